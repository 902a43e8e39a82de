/**
 * How much may go wrong in one life, so that what was promised can still be demanded at its end. A fault that appears
 * here is one that the system must survive with every promise kept; every fault ends, and then it must serve again.
 */
import { below } from '../src/env/random.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import { pick } from './pick.ts';

/**
 * Faults that the product cannot survive yet, each with what is missing. The list must end empty: whoever builds what
 * is missing takes the line out and adds the fault to the plan.
 */
export const notYetSurvivable = [
  {
    fault: 'bit rot',
    missing: 'repair of a damaged replica from another, and reading below a damaged tail at take-over',
  },
  { fault: 'full disk', missing: 'cleaning, which frees space' },
  { fault: 'wiped disk', missing: 'repair: copying under-replicated zones to a logger that came back empty' },
  { fault: 'gateway that never returns', missing: 'suspicion: nobody takes its shards over while it is away' },
  { fault: 'logger that never returns', missing: 'repair, and declaring a logger lost' },
  { fault: 'writes and reads of a disk that fail', missing: 'repair' },
] as const;

export const budget = {
  /** Faults in one life. */
  faultsMax: 14,
  /** A node that was killed or lost power is up again after this, whatever else happens. */
  downMsMax: 4_000,
  /** Partitions, pauses and slowness end by themselves. */
  lastingMsMax: 5_000,
  /** One life in so many has none at all. */
  calmOneIn: 8,
  /**
   * After everything is healed: how long until every shard serves, and until nothing is under way any more. Simulated
   * time.
   */
  recoveryMs: 60_000,
  settleMs: 30_000,
} as const;

export type FaultKind = Fault['kind'];

/** `atMs` counts from the start of the workload. Nodes are named by their hosts. */
export type Fault =
  | {
      readonly kind: 'kill';
      readonly atMs: number;
      readonly node: string;
      readonly how: 'process' | 'power';
      readonly downMs: number;
    }
  /** Every logger, or every node, at the same instant: a rack loses power. */
  | { readonly kind: 'blackout'; readonly atMs: number; readonly nodes: readonly string[]; readonly downMs: number }
  /** Dies at its `count`th transaction or sync from then on: in the middle of what matters. */
  | {
      readonly kind: 'kill-at';
      readonly atMs: number;
      readonly node: string;
      readonly how: 'process' | 'power';
      readonly downMs: number;
      readonly site: 'transact' | 'sync';
      readonly count: number;
      /** Who loses power with it. */
      readonly others: readonly string[];
    }
  | { readonly kind: 'pause'; readonly atMs: number; readonly node: string; readonly forMs: number }
  | { readonly kind: 'cut'; readonly atMs: number; readonly from: string; readonly to: string }
  | {
      readonly kind: 'block';
      readonly atMs: number;
      readonly from: string;
      readonly to: string;
      readonly forMs: number;
    }
  | {
      readonly kind: 'partition';
      readonly atMs: number;
      readonly from: string;
      readonly to: string;
      readonly forMs: number;
    }
  | { readonly kind: 'isolate'; readonly atMs: number; readonly node: string; readonly forMs: number }
  | { readonly kind: 'refuse'; readonly atMs: number; readonly node: string; readonly forMs: number }
  | {
      readonly kind: 'slow-syncs';
      readonly atMs: number;
      readonly node: string;
      readonly delayMs: number;
      readonly forMs: number;
    }
  | { readonly kind: 'hang-syncs'; readonly atMs: number; readonly node: string; readonly forMs: number }
  /**
   * Its next sync fails: the logger ends (S17) and comes back. `then`: who dies a moment later, before anybody can
   * react.
   */
  | {
      readonly kind: 'fail-sync';
      readonly atMs: number;
      readonly node: string;
      readonly downMs: number;
      readonly then?: {
        readonly nodes: readonly string[];
        readonly how: 'process' | 'power';
        readonly afterMs: number;
      };
    }
  /** The last appends that were sent to the logger arrive once more, or late: now, or when it is up again. */
  | { readonly kind: 'late-appends'; readonly atMs: number; readonly node: string }
  /**
   * Requests of all processes are delayed, lost on the way there or back, with these probabilities; or of one, refused.
   * `everyMs`: it takes what has arrived only so often, all at once, so that rivals are neck and neck (0: at any time).
   */
  | {
      readonly kind: 'coordinator';
      readonly atMs: number;
      readonly forMs: number;
      readonly delayMs: number;
      readonly requestLost: number;
      readonly answerLost: number;
      readonly timeoutMs: number;
      readonly everyMs: number;
    }
  | { readonly kind: 'coordinator-cut'; readonly atMs: number; readonly node: string; readonly forMs: number }
  /**
   * What one process asks arrives in time, but it is told late: what it reads, after `answerMs`; news, at the end. So
   * it acts on what was true once.
   */
  | {
      readonly kind: 'coordinator-late';
      readonly atMs: number;
      readonly node: string;
      readonly forMs: number;
      readonly answerMs: number;
    }
  /**
   * An operator takes the gateway for dead and starts another in its place, on another machine, while the old one goes
   * on (`alive`), is `paused`, cannot be reached (`isolated`) or hears nothing of it since only the coordinator is out
   * of its reach (`uninformed`), or first one and then the other (`stunned`): what its clients asked meanwhile it
   * answers in its old belief. The new one does not reach the loggers `unreached`. After `forMs` the old machine's
   * gateway is started again and the other one is the old one.
   */
  | {
      readonly kind: 'replace';
      readonly atMs: number;
      readonly node: string;
      readonly old: 'alive' | 'paused' | 'isolated' | 'uninformed' | 'stunned';
      readonly unreached: readonly string[];
      readonly forMs: number;
    }
  | { readonly kind: 'clock-jump'; readonly atMs: number; readonly node: string; readonly byMs: number };

export interface Cast {
  readonly gateways: readonly string[];
  readonly loggers: readonly string[];
  readonly clients: readonly string[];
}

/**
 * Faults of one life, by time: all begin within `windowMs` of the workload's start. `wanted`: relative frequencies,
 * when they are not drawn.
 */
export function drawFaults(
  random: SimulatedRandom,
  cast: Cast,
  windowMs: number,
  wanted?: Readonly<Partial<Record<FaultKind, number>>>,
): readonly Fault[] {
  if (below(random, budget.calmOneIn) === 0) return [];
  const drawn = drawWeights(random);
  const weights = wanted === undefined ? drawn : new Map(kinds.map((kind) => [kind, wanted[kind] ?? 0]));
  const count = 1 + below(random, budget.faultsMax);
  // All over the life, or one upon the other: what matters mostly needs two of them at once.
  const spanMs = Math.min(windowMs, pick(random, [windowMs, 2_000, 400]));
  const fromMs = below(random, windowMs - spanMs + 1);
  const faults = Array.from({ length: count }, () => drawFault(random, cast, weights, fromMs + below(random, spanMs)));
  return faults.sort((a, b) => a.atMs - b.atMs);
}

const kinds = [
  'kill',
  'blackout',
  'kill-at',
  'pause',
  'cut',
  'block',
  'partition',
  'isolate',
  'refuse',
  'slow-syncs',
  'hang-syncs',
  'fail-sync',
  'late-appends',
  'coordinator',
  'coordinator-cut',
  'coordinator-late',
  'replace',
  'clock-jump',
] as const satisfies readonly FaultKind[];

/** Each life prefers some kinds ("swarm testing"): a life of nothing but crashes reaches what a mixture never does. */
function drawWeights(random: SimulatedRandom): ReadonlyMap<FaultKind, number> {
  const weights = new Map<FaultKind, number>(kinds.map((kind) => [kind, [0, 0, 1, 1, 4][below(random, 5)] ?? 1]));
  if ([...weights.values()].every((weight) => weight === 0)) weights.set('kill', 1);
  return weights;
}

function pickKind(random: SimulatedRandom, weights: ReadonlyMap<FaultKind, number>): FaultKind {
  const sum = [...weights.values()].reduce((total, weight) => total + weight, 0);
  let at = below(random, sum);
  for (const [kind, weight] of weights) {
    if (at < weight) return kind;
    at -= weight;
  }
  return 'kill';
}

function drawFault(random: SimulatedRandom, cast: Cast, weights: ReadonlyMap<FaultKind, number>, atMs: number): Fault {
  const kind = pickKind(random, weights);
  const nodes = [...cast.gateways, ...cast.loggers];
  const node = pick(random, nodes);
  const logger = pick(random, cast.loggers);
  const forMs = 1 + below(random, below(random, 3) === 0 ? budget.lastingMsMax : 600);
  const downMs = 1 + below(random, below(random, 3) === 0 ? budget.downMsMax : 500);
  const how = below(random, 2) === 0 ? 'process' : 'power';
  const from = pick(random, [...nodes, ...cast.clients]);
  const to = pick(random, without(nodes, from));
  switch (kind) {
    case 'kill':
      return { kind, atMs, node, how, downMs };
    case 'kill-at': {
      const site = below(random, 2) === 0 ? 'transact' : 'sync';
      return {
        kind,
        atMs,
        node: site === 'sync' ? logger : pick(random, cast.gateways),
        how,
        downMs,
        site,
        count: 1 + below(random, 6),
        others: pick(random, [[], [], cast.loggers, nodes]),
      };
    }
    case 'blackout':
      return { kind, atMs, nodes: below(random, 2) === 0 ? cast.loggers : nodes, downMs };
    case 'cut':
      return { kind, atMs, from, to };
    case 'block':
    case 'partition':
      return { kind, atMs, from, to, forMs };
    case 'pause':
    case 'isolate':
    case 'refuse':
    case 'coordinator-cut':
      return { kind, atMs, node, forMs };
    case 'coordinator-late':
      return { kind, atMs, node: pick(random, cast.gateways), forMs, answerMs: below(random, forMs) };
    case 'slow-syncs':
      return { kind, atMs, node: logger, delayMs: 1 + below(random, 1 + below(random, 1_500)), forMs };
    case 'hang-syncs':
      return { kind, atMs, node: logger, forMs };
    case 'fail-sync':
      return { kind, atMs, node: logger, downMs };
    case 'late-appends':
      return { kind, atMs, node: logger };
    case 'coordinator':
      return drawWeather(random, atMs);
    case 'replace': {
      const unreached =
        below(random, 2) === 0
          ? []
          : cast.loggers.filter(() => below(random, 2) === 0).slice(0, cast.loggers.length - 1);
      const old = pick(random, ['alive', 'paused', 'isolated', 'uninformed', 'stunned', 'stunned'] as const);
      return { kind, atMs, node: pick(random, cast.gateways), old, unreached, forMs: 300 + below(random, 2_000) };
    }
    case 'clock-jump':
      return { kind, atMs, node, byMs: (below(random, 2) === 0 ? -1 : 1) * below(random, 3_600_000) };
  }
}

function without(names: readonly string[], name: string): string[] {
  return names.filter((other) => other !== name);
}

function drawWeather(random: SimulatedRandom, atMs: number): Fault {
  const most = (): number => (below(random, 2) === 0 ? 0 : random.fraction() * 0.6);
  return {
    kind: 'coordinator',
    atMs,
    forMs: 200 + below(random, budget.lastingMsMax),
    delayMs: below(random, 1 + below(random, 400)),
    requestLost: most(),
    answerLost: most(),
    timeoutMs: 5 + below(random, 300),
    everyMs: pick(random, [0, 0, 0, 20]),
  };
}
