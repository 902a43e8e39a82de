/**
 * Paths between two hosts: connections that are reset, and bytes that do not pass for a while, one way or both, or pass
 * late.
 */
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

/** Connections between the two are reset. */
export interface CutPlan {
  readonly kind: 'cut';
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
}

/** A path on which nothing passes, one way (`block`) or both (`partition`). */
export interface BlockPlan {
  readonly kind: 'block' | 'partition';
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly forMs: number;
}

/** A path on which everything takes so much longer, in its old order: answers come when much has happened since. */
export interface SlowPlan {
  readonly kind: 'slow';
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly lateMs: number;
  readonly forMs: number;
}

type PathPlan = CutPlan | BlockPlan | SlowPlan;

/** Actor without healing: the cluster opens all paths when everything is healed. */
class Paths implements FaultActor<PathPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: PathPlan): void {
    const { network } = this.#stage;
    const { kind, from, to } = fault;
    if (kind === 'cut') {
      network.cut(from, to);
    } else if (kind === 'block') {
      network.block(from, to);
      this.#stage.later(fault.forMs, () => network.unblock(from, to));
    } else if (kind === 'slow') {
      network.slow(from, to, fault.lateMs);
      this.#stage.later(fault.forMs, () => network.slow(from, to, 0));
    } else {
      network.partition(from, to);
      this.#stage.later(fault.forMs, () => network.heal(from, to));
    }
  }
}

export const cut: FaultRow<CutPlan> = {
  actor: Paths,
  draw: (_random, { atMs, from, to }) => ({ kind: 'cut', atMs, from, to }),
};

export const block: FaultRow<BlockPlan> = {
  actor: Paths,
  draw: (_random, { atMs, from, to, forMs }) => ({ kind: 'block', atMs, from, to, forMs }),
};

export const partition: FaultRow<BlockPlan> = {
  actor: Paths,
  draw: (_random, { atMs, from, to, forMs }) => ({ kind: 'partition', atMs, from, to, forMs }),
};

export const slow: FaultRow<SlowPlan> = {
  actor: Paths,
  draw: (random, { atMs, from, to, forMs }) => ({
    kind: 'slow',
    atMs,
    from,
    to,
    lateMs: pick(random, [5, 30, 100]),
    forMs,
  }),
};
