/** The sources that run, as git knows them: a result is evidence only at its commit. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the checkout, whether this runs compiled or not. */
export const checkout = findCheckout(path.dirname(fileURLToPath(import.meta.url)));

function findCheckout(folder: string): string {
  const parent = path.dirname(folder);
  return existsSync(path.join(folder, 'package.json')) || parent === folder ? folder : findCheckout(parent);
}

/** Short hash of the commit that is checked out; `unknown` where there is no git. */
export function headCommit(): string {
  return git('rev-parse', '--short', 'HEAD') ?? 'unknown';
}

/** Files, by `pathspecs` of git, that differ from that commit or are not in it; undefined where there is no git. */
export function changedFiles(...pathspecs: readonly string[]): readonly string[] | undefined {
  const lines = git('status', '--porcelain', '--untracked-files=all', '--', ...pathspecs)?.split('\n');
  return lines?.flatMap((line) => line.split(/^ *\S+ +/)[1] ?? []);
}

function git(...args: readonly string[]): string | undefined {
  try {
    return execFileSync('git', args, { cwd: checkout, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
