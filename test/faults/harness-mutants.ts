/**
 * Proof that the fault test finds what it is for: builds with one deliberate fault each, and what must fail with it.
 * Like the simulator's mutants, they are edits of the compiled text; the product has no switch for any of them.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownBuild } from './nodes.ts';

interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface HarnessMutant {
  readonly name: string;
  /** Row that must fail, or the increments. */
  readonly fails: string;
  readonly edits: readonly Edit[];
}

/** The product's own guards would end the process before a client is told anything wrong. */
const withoutAsserts: Edit = {
  file: 'src/base/assert.js',
  find: 'if (!condition)\n        throw new AssertionFailure(rule);',
  replace: '',
};

export const harnessMutants: readonly HarnessMutant[] = [
  {
    name: 'reads are not confirmed (S7)',
    fails: 'owner-stopped-alone',
    edits: [
      withoutAsserts,
      {
        file: 'src/core/shard/serving/reads.js',
        find: 'const confirmed = zone.confirmedByAll;',
        replace: 'const confirmed = Number.MAX_SAFE_INTEGER;',
      },
      {
        file: 'src/core/shard/serving/reads.js',
        find: 'this.#groups.push({ number: this.#confirm(zone), sentMs: nowMs, reads });',
        replace: 'this.#groups.push({ number: this.#confirm(zone), sentMs: nowMs, reads }); this.release(zone);',
      },
    ],
  },
  {
    name: 'repetitions are applied again (S15)',
    fails: 'increments',
    edits: [
      withoutAsserts,
      {
        file: 'src/core/shard/serving/decider.js',
        find: 'const seen = this.#state.once.check(write.client, write.number, write.firstIncomplete);',
        replace: "const seen = { kind: 'new' };",
      },
    ],
  },
  {
    name: 'syncs do nothing (S3)',
    fails: 'power-cut',
    edits: [
      {
        file: 'src/env/real/files.js',
        find: 'fs.fdatasync(descriptor, (error) => {',
        // Those of its start are good, or there would be no logger that could lose anything.
        replace:
          'const isGood = (globalThis.syncs = (globalThis.syncs ?? 0) + 1) < 30;\n' +
          'fs[isGood ? "fdatasync" : "fstat"](descriptor, (error) => {',
      },
    ],
  },
];

/** Makes a copy of the compiled product with the edits of a mutant. @throws Error a text is not there once */
export function buildMutant({ name, edits }: HarnessMutant, folder: string): void {
  mkdirSync(join(folder, 'src'), { recursive: true });
  cpSync(join(ownBuild, 'src'), join(folder, 'src'), {
    recursive: true,
    filter: (file) => !/\.(map|d\.ts)$/.test(file),
  });
  const manifest = {
    name: 'kv-filelog',
    version: '0.0.0',
    type: 'module',
    exports: { './package.json': './package.json' },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  symlinkSync(packagesAbove(ownBuild), join(folder, 'node_modules'));
  for (const { file, find, replace } of edits) {
    const path = join(folder, file);
    const parts = readFileSync(path, 'utf8').split(find);
    if (parts.length !== 2) throw new Error(`mutant '${name}': its text occurs ${parts.length - 1} times in ${file}`);
    writeFileSync(path, parts.join(replace));
  }
}

function packagesAbove(folder: string): string {
  const packages = join(folder, 'node_modules');
  if (existsSync(packages)) return packages;
  if (dirname(folder) === folder) throw new Error('node_modules was not found');
  return packagesAbove(dirname(folder));
}
