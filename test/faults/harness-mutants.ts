/**
 * Proof that the fault test finds what it is for: builds with one deliberate fault each, and what must fail with it.
 * Like the simulator's mutants, they are edits of the compiled text; the product has no switch for any of them.
 */
import type { Edit } from '../../sim/mutant.ts';
import { withoutAsserts } from '../../sim/mutant-build.ts';

export interface HarnessMutant {
  readonly name: string;
  /** Row that must fail, or the increments. */
  readonly fails: string;
  readonly edits: readonly Edit[];
}

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
