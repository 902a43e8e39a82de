/** Builds with deliberate faults: copies of the compiled product, edited. The product has no switches for them. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Edit } from './mutant.ts';

/** Compiled product beside this compiled file. */
export const ownBuild = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** The product's own guards would end a process before anybody is told anything wrong. */
export const withoutAsserts: Edit = {
  file: 'src/base/assert.js',
  find: 'if (!condition)\n        throw new AssertionFailure(rule);',
  replace: '',
};

const manifest = {
  name: 'kv-filelog',
  version: '0.0.0',
  type: 'module',
  exports: { './package.json': './package.json' },
};

/**
 * Copies `parts` of the build and what makes them run, edited, into the empty `folder`.
 * @throws Error the text of an edit is not there once
 */
export function buildMutant(folder: string, parts: readonly string[], name: string, edits: readonly Edit[]): void {
  for (const part of parts) {
    mkdirSync(path.join(folder, part), { recursive: true });
    cpSync(path.join(ownBuild, part), path.join(folder, part), {
      recursive: true,
      filter: (file) => !/\.(map|d\.ts)$/.test(file),
    });
  }
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  symlinkSync(packagesAbove(ownBuild), path.join(folder, 'node_modules'));
  for (const { file, find, replace } of edits) {
    const edited = path.join(folder, file);
    const pieces = readFileSync(edited, 'utf8').split(find);
    if (pieces.length !== 2) throw new Error(`mutant '${name}': its text occurs ${pieces.length - 1} times in ${file}`);
    writeFileSync(edited, pieces.join(replace));
  }
}

function packagesAbove(folder: string): string {
  const packages = path.join(folder, 'node_modules');
  if (existsSync(packages)) return packages;
  if (path.dirname(folder) === folder) throw new Error('node_modules was not found');
  return packagesAbove(path.dirname(folder));
}
