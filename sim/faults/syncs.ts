/** Syncs that take long, do not return for a while, or fail. */
import { below } from '../../src/env/random.ts';
import type { SimulatedNode } from '../node.ts';
import type { FaultActor, FaultRow, HowKilled, Stage } from './actor.ts';

export interface SlowSyncsPlan {
  readonly kind: 'slow-syncs';
  readonly atMs: number;
  readonly node: string;
  readonly delayMs: number;
  readonly forMs: number;
}

export interface HangSyncsPlan {
  readonly kind: 'hang-syncs';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
}

/** The next sync fails: the logger ends (S17) and comes back. */
export interface FailSyncPlan {
  readonly kind: 'fail-sync';
  readonly atMs: number;
  readonly node: string;
  readonly downMs: number;
  /** Nodes that die a moment later, before anybody can react. */
  readonly then?: {
    readonly nodes: readonly string[];
    readonly how: HowKilled;
    readonly afterMs: number;
  };
}

type SyncPlan = SlowSyncsPlan | HangSyncsPlan | FailSyncPlan;

class Syncs implements FaultActor<SyncPlan> {
  readonly #stage: Stage;
  /** Faults whose sync has not failed yet. */
  readonly #failing = new Map<SimulatedNode, FailSyncPlan>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: SyncPlan): void {
    const stage = this.#stage;
    const node = stage.node(fault.node);
    const { disk } = node;
    if (fault.kind === 'fail-sync') {
      disk.faults.failSyncs = 1;
      this.#failing.set(node, fault);
    } else if (fault.kind === 'slow-syncs') {
      disk.faults.syncDelayMs = fault.delayMs;
      stage.later(fault.forMs, () => stage.resetDisk(node));
    } else {
      disk.holdSyncs();
      stage.later(fault.forMs, () => disk.releaseSyncs());
    }
  }

  syncFailed(node: SimulatedNode): void {
    const fault = this.#failing.get(node);
    this.#failing.delete(node);
    if (fault?.then === undefined) return;
    const { nodes, how, afterMs } = fault.then;
    const stage = this.#stage;
    stage.later(afterMs, () => {
      for (const host of nodes) stage.kill(stage.node(host), how, fault.downMs);
    });
  }

  heal(): void {
    this.#failing.clear();
  }

  healNode(node: SimulatedNode): void {
    this.#stage.resetDisk(node);
    node.disk.releaseSyncs();
  }
}

export const slowSyncs: FaultRow<SlowSyncsPlan> = {
  actor: Syncs,
  draw: (random, { atMs, logger, forMs }) => ({
    kind: 'slow-syncs',
    atMs,
    node: logger,
    delayMs: 1 + below(random, 1 + below(random, 1_500)),
    forMs,
  }),
};

export const hangSyncs: FaultRow<HangSyncsPlan> = {
  actor: Syncs,
  draw: (_random, { atMs, logger, forMs }) => ({ kind: 'hang-syncs', atMs, node: logger, forMs }),
};

export const failSync: FaultRow<FailSyncPlan> = {
  actor: Syncs,
  draw: (_random, { atMs, logger, downMs }) => ({ kind: 'fail-sync', atMs, node: logger, downMs }),
  without: (fault, host) =>
    fault.then === undefined
      ? fault
      : { ...fault, then: { ...fault.then, nodes: fault.then.nodes.filter((name) => name !== host) } },
};
