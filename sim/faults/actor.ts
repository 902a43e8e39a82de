/**
 * Faults as the rest of the simulator knows them: data in the plan, a way to draw it, and an actor that does it to a
 * cluster and ends it. Each file beside this one holds one fault, or a few that belong together; table.ts lists them.
 */
import type { Fate, MemoryCoordinator, MemoryRequest } from '../../src/coordinator/memory/memory.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { SimulatedClock } from '../../src/env/simulated/clock.ts';
import type { SimulatedNetwork } from '../../src/env/simulated/network.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import type { Coverage } from '../coverage.ts';
import type { NodeKind, SimulatedNode } from '../node.ts';
import type { Reversals } from '../reversals.ts';
import type { Transcript } from '../transcript.ts';
import type { SimulatedProcess } from '../world.ts';

/** Part of a plan. Hosts (hosts.ts) name nodes; further fields are plain data, milliseconds and counts. */
export interface FaultPlan {
  readonly kind: string;
  /** Milliseconds from the start of the workload. */
  readonly atMs: number;
}

/** Hosts of a life that faults can hit. */
export interface Cast {
  readonly gateways: readonly string[];
  readonly loggers: readonly string[];
  readonly clients: readonly string[];
}

export type HowKilled = 'process' | 'power';

/** Values drawn for every fault, whatever its kind: most kinds need no more. */
export interface Sketch {
  readonly cast: Cast;
  /** Hosts of all gateways and loggers. */
  readonly nodes: readonly string[];
  readonly atMs: number;
  /** Any of `nodes`, and any of the loggers. */
  readonly node: string;
  readonly logger: string;
  /** Time that the fault lasts, and time that a killed node stays away (budget.ts has the limits). */
  readonly forMs: number;
  readonly downMs: number;
  readonly how: HowKilled;
  /** Two different hosts: any, and any of `nodes`. */
  readonly from: string;
  readonly to: string;
}

/** Row of table.ts. */
export interface FaultRow<F extends FaultPlan> {
  draw(random: SimulatedRandom, sketch: Sketch): F;
  /** Class of the actor: one object in a life, shared by the rows that name the same class. */
  readonly actor: ActorClass<F>;
  /**
   * The fault in a cluster without `host`; absent: it names no hosts but those of `node`, `from` and `to`, without
   * which there is no such fault.
   */
  without?(fault: F, host: string): F;
  /** Settings that a cluster must have to survive it. */
  readonly settings?: Partial<
    Record<'firstHandWaitMs' | 'repairDelayMs' | 'repairBytesPerSecond' | 'minReplicas', number>
  >;
}

export type ActorClass<F extends FaultPlan> = new (stage: Stage) => FaultActor<F>;

/**
 * Actor of a fault in the cluster of one life. All methods but `inject` are optional: hooks that the cluster calls.
 * Nothing of a fault may be left after `heal` and `healNode`.
 */
export interface FaultActor<F extends FaultPlan> {
  inject(fault: F): void;
  /** Ends what was done to the cluster as a whole: everything is to work again. Callbacks of `later` no longer come. */
  heal?(): void;
  /** Ends what was done to one node, which is started next if it is down. */
  healNode?(node: SimulatedNode): void;
  /** The node's process is up. */
  started?(node: SimulatedNode): void;
  /** The node's process was ended. */
  killed?(node: SimulatedNode): void;
  /** The node's process sends a transaction, begins a sync or has written something, now. */
  reached?(node: SimulatedNode, site: Site): void;
  syncFailed?(node: SimulatedNode): void;
  /**
   * Fate of a request to the coordinator; undefined: no business of this actor. `delayMs` draws how long one way takes
   * in good weather.
   */
  fate?(request: MemoryRequest, random: SimulatedRandom, delayMs: () => number): Fate | undefined;
  /** Milliseconds after which `client` hears of a change, at least. */
  newsDelayMs?(client: string): number;
  /** Trace of all shards of the life, read once before it begins. */
  readonly trace?: ShardTrace | undefined;
}

export type Site = 'transact' | 'sync' | 'write';

/** Another cluster on the same network. */
export interface OtherCluster {
  /** A member of this kind listens at `host` from now on. Gives how to end that; undefined: it can't just now. */
  moveTo(host: string, kind: NodeKind): (() => void) | undefined;
  /** All of it is gone. Idempotent. */
  end(): void;
}

/** Part of the cluster that actors may use. It is the cluster's business to start what was killed. */
export interface Stage {
  readonly clock: SimulatedClock;
  readonly network: SimulatedNetwork;
  readonly coordinator: MemoryCoordinator;
  readonly transcript: Transcript;
  readonly coverage: Coverage;
  /** Randomness during the life. */
  readonly random: SimulatedRandom;
  /** Kinds of the faults that the plan has. */
  readonly planned: ReadonlySet<string>;
  /** Hosts of all that have a part in the life now: nodes, replacements, clients. */
  readonly hosts: readonly string[];
  /** All nodes, with those that stand in for others. */
  readonly everyNode: readonly SimulatedNode[];
  /** Copies that zones are to have. */
  readonly wantedReplicas: number;
  /** What was put back, for checkers. */
  readonly reversals: Reversals;
  /** @throws Error when there is no such node */
  node(host: string): SimulatedNode;
  /** Calls back after `forMs`, unless everything is healed before. */
  later(forMs: number, callback: () => void): void;
  /** Ends the node's process and starts it again after `downMs`, or soon when everything is healed. */
  kill(node: SimulatedNode, how: HowKilled, downMs: number): void;
  /** A node that is to run in the place of `node`, on a host of its own; it is not started. */
  newReplacement(node: SimulatedNode): SimulatedNode;
  /** Starts it, once: a replacement that ends is not started again. */
  startReplacement(replacement: SimulatedNode): void;
  /** Makes the node's disk as fast as the plan says, and good. */
  resetDisk(node: SimulatedNode): void;
  /** Starts a cluster that has nothing to do with this one. */
  newOtherCluster(): OtherCluster;
  /** A process of a host that is no node. */
  clientProcess(id: number, host: string): SimulatedProcess;
}
