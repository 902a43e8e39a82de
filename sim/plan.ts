/**
 * Everything that a seed decides before a life begins: the cluster, its settings, the workload, the faults. Plain data,
 * so that a shrinker can take parts away and run the rest. What else is random during the life comes from generators
 * forked from the same seed.
 *
 * Types alone: draw-plan.ts draws, themes/ say what for, faults/ do what a plan says.
 */
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { Cast } from './faults/actor.ts';
import type { RawPlan } from './raw-plan.ts';
import type { FaultKind, faultTable } from './faults/table.ts';
import type { Knobs } from './knobs.ts';

export interface ClusterPlan {
  readonly gateways: number;
  readonly loggers: number;
  readonly shards: number;
  readonly zoneSize: number;
  readonly alignment: number;
  readonly replicas: number;
  readonly minReplicas: number;
  readonly extentBytes: number;
  readonly prefillBytes: number;
  readonly valueCacheBytes: number;
  readonly snapshotEveryBytes: number;
  readonly loggerTimeoutMs: number;
  readonly loggerSlowMs: number;
  readonly sealWaitMs: number;
  readonly coldSealWaitMs: number;
  readonly regrowDelayMs: number;
  readonly batchesInFlightMax: number;
  readonly batchBytesTarget: number;
  /** Longest append that is sent whole, and length of the pieces of a longer one. */
  readonly appendPieceBytes: number;
  /** 0: a take-over without a first-hand answer waits for every replica for ever. */
  readonly firstHandWaitMs: number;
  readonly repairDelayMs: number;
  readonly repairBytesPerSecond: number;
  /** 0: copies are not scrubbed. */
  readonly scrubBytesPerSecond: number;
  readonly scrubEveryMs: number;
  /** Absent: all limits of the product are at their defaults. */
  readonly knobs?: Knobs;
  readonly suspicionLeastMs: number;
  readonly suspicionMostMs: number;
}

export interface WorldPlan {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  readonly splitProbability: number;
  readonly joinProbability: number;
  readonly syncDelayMs: number;
  readonly syncDelaySpreadMs: number;
  readonly readDelayMs: number;
  /** One rate per node: gateways, then loggers. */
  readonly clockRates: readonly number[];
  readonly wallOffsetsMs: readonly number[];
}

export interface WorkloadPlan {
  readonly clients: number;
  readonly workersPerClient: number;
  readonly operations: number;
  readonly keys: number;
  /** Number of operations of which one goes to one of the few hot keys; 0: none does. */
  readonly hotOneIn: number;
  readonly hotKeys: number;
  /** Relative frequency, by kind. */
  readonly weights: Readonly<Record<OperationKind, number>>;
  readonly valueBytesMax: number;
  readonly batchMax: number;
  /** Time that all operations take together when nothing delays them: faults happen in it. */
  readonly durationMs: number;
  /** Percentage of the pauses between a worker's operations that are none: it comes in bursts. */
  readonly burstPercent: number;
  readonly timeoutMs: number;
  /**
   * Number of clients, the first ones, that go straight to the owners; the others stay with the gateways they were told
   * of, which forward.
   */
  readonly directClients: number;
  readonly sides: SidesPlan | undefined;
  /** Period in which some gateway asks for some shard; 0: nobody does. */
  readonly moveEveryMs: number;
}

/**
 * Sides of clients: each knows one gateway only, client i that of i modulo the gateways. Who had a write acknowledged
 * tells a client of another side, which looks at once and must see it: people talk to one another, not only through the
 * store.
 */
export interface SidesPlan {
  /** Side whose clients only look when they are told; -1: none. */
  readonly listening: number;
  /** Times when they make calls of their own nevertheless. */
  readonly speaking: readonly { readonly fromMs: number; readonly toMs: number }[];
}

export type OperationKind =
  | 'get'
  | 'put'
  | 'delete'
  | 'put-if-version'
  | 'put-if-absent'
  | 'delete-if-version'
  | 'put-many'
  | 'get-many';

export interface Plan {
  readonly seed: number;
  /** Name of the theme. */
  readonly theme: string;
  readonly cluster: ClusterPlan;
  readonly world: WorldPlan;
  readonly workload: WorkloadPlan;
  /** Clients without the SDK; undefined: none. */
  readonly raw?: RawPlan | undefined;
  readonly faults: readonly Fault[];
}

/** Any fault of the table. `atMs` counts from the start of the workload; hosts (hosts.ts) name nodes. */
export type Fault = ReturnType<(typeof faultTable)[FaultKind]['draw']>;

/** Purpose of a life: most are made for nothing in particular, some for what those rarely reach. */
export interface Theme {
  /** One word, kebab-case. Part of the seed of what the theme draws. */
  readonly name: string;
  /** Parts of the plan that the theme wants otherwise than drawn for any life (themes/anything.ts). */
  draw(random: SimulatedRandom): ThemeParts;
  /**
   * Faults, by time, all of which begin within `windowMs` of the workload's start; absent: as in any life. Not asked
   * for when `draw` gave faults.
   */
  readonly drawFaults?: (random: SimulatedRandom, cast: Cast, windowMs: number) => readonly Fault[];
}

export interface ThemeParts {
  readonly cluster?: Partial<ClusterPlan>;
  readonly world?: Partial<WorldPlan>;
  readonly workload?: Partial<WorkloadPlan>;
  /** Faults that hang on the other parts. */
  readonly faults?: readonly Fault[];
}
