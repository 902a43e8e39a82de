/** Clients without the SDK (raw-clients.ts) as a plan has them, and how they are drawn. */
import { below } from '../src/env/random.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import { pick } from './pick.ts';

export interface RawPlan {
  readonly clients: number;
  /** Clients, the first ones, that number their writes. */
  readonly numbered: number;
  /** Numbers, the last ones, that a client may send again and so keeps incomplete (S15), within the shards' window. */
  readonly open: number;
  /** Calls of all together. */
  readonly operations: number;
  /** Time after which a client gives a call up. */
  readonly patienceMs: number;
  /** Kinds of calls; each client picks any. */
  readonly kinds: readonly RawKind[];
}

export type RawKind =
  | 'get'
  | 'has'
  | 'stale'
  | 'put'
  | 'put-if-version'
  | 'put-if-absent'
  | 'delete'
  | 'put-twice'
  | 'put-again'
  | 'testbed-put'
  | 'testbed-delete'
  | 'testbed-get';

const everyKind: readonly RawKind[] = [
  'get',
  'has',
  'stale',
  'put',
  'put-if-version',
  'put-if-absent',
  'delete',
  'put-twice',
  'put-again',
  'testbed-put',
  'testbed-delete',
  'testbed-get',
];

/** Number of lives of which one has no such clients. */
const withoutOneIn = 5;

export function drawRaw(random: SimulatedRandom): RawPlan | undefined {
  if (below(random, withoutOneIn) === 0) return undefined;
  const clients = pick(random, [1, 2, 3, 6]);
  // Lives of few kinds reach what a mixture never does.
  const some = everyKind.filter(() => below(random, 3) === 0);
  return {
    clients,
    numbered: pick(random, [0, clients, below(random, clients + 1)]),
    open: pick(random, [1, 4, 100, 100]),
    operations: pick(random, [60, 120, 120, 240]),
    patienceMs: pick(random, [1_000, 4_000, 10_000]),
    kinds: pick(random, [everyKind, some.length < 2 ? everyKind : [...some, 'put', 'stale']]),
  };
}
