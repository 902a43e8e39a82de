/**
 * Results of runs as files of docs/evidence/, each with what it takes to repeat the run, so that no document carries
 * numbers that somebody copied.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { changedFiles, checkout, headCommit } from './source.ts';

/** First line of every evidence file, by which it is known. */
const mark = 'Evidence of a run, written by the program that ran. Not to be edited: run it again.';
const folder = 'docs/evidence';

export class EvidenceError extends Error {
  override readonly name = 'EvidenceError';
}

/** Conditions of a run, as they were when it began. */
export interface Origin {
  /** Line that repeats the run. */
  readonly command: string;
  readonly commit: string;
  /** Changed files beside the evidence; undefined: not known. */
  readonly changed: readonly string[] | undefined;
  readonly date: Date;
  readonly node: string;
  readonly machine: string;
}

/** `script`: of package.json. */
export function originOf(script: string, args: readonly string[]): Origin {
  const quoted = args.map((argument) => (/^[\w.,/-]+$/.test(argument) ? argument : `'${argument}'`));
  return {
    command: `npm run ${script} -- ${quoted.join(' ')}`,
    commit: headCommit(),
    changed: changedFiles('.', `:!${folder}`),
    date: new Date(),
    node: process.version,
    machine: `${os.availableParallelism()} cores, ${os.cpus()[0]?.model.trim() ?? 'unknown'}, ${os.platform()} ${os.arch()}`,
  };
}

/**
 * Path of the evidence file `name` with the extension. To be called before a long run. @throws EvidenceError when the
 * name is not made of lower-case letters, digits, `.` and `-`, or when there is a file of that name that is not
 * evidence: it is not overwritten.
 */
export function evidencePath(name: string, extension: 'txt' | 'md', base = checkout): string {
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(name))
    throw new EvidenceError(`'${name}': the name of evidence has lower-case letters, digits, . and - only`);
  const file = path.join(base, folder, `${name}.${extension}`);
  if (existsSync(file) && !readFileSync(file, 'utf8').startsWith(`${mark}\n`))
    throw new EvidenceError(`${path.relative(base, file)} is there and is no evidence; it stays as it is`);
  return file;
}

/** Writes or replaces the evidence. REQUIRES: `file` is of `evidencePath`. */
export function writeEvidence(file: string, origin: Origin, result: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${mark}\n\n${describeOrigin(origin)}\n\n${result.trimEnd()}\n`);
}

/** Indented, so that it is read as it stands in Markdown, too. */
function describeOrigin({ command, commit, changed, date, node, machine }: Origin): string {
  const rows = {
    command,
    commit,
    changes: changed === undefined ? 'unknown' : changed.length === 0 ? 'none' : changed.join(', '),
    date: date.toISOString(),
    node,
    machine,
  };
  return Object.entries(rows)
    .map(([name, value]) => `    ${name.padEnd(9)} ${value}`)
    .join('\n');
}
