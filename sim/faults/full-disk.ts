/** File systems without space: full to the page for a while, or full for every so many writes that need a new page. */
import { below } from '../../src/env/random.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface FullDiskPlan {
  readonly kind: 'full-disk';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
  /** Bytes that are left. */
  readonly leftBytes: number;
}

export interface ScarceSpacePlan {
  readonly kind: 'scarce-space';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
  /** Writes out of 1,000 that find no space. */
  readonly perMille: number;
}

class FullDisk implements FaultActor<FullDiskPlan | ScarceSpacePlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: FullDiskPlan | ScarceSpacePlan): void {
    const node = this.#stage.node(fault.node);
    if (fault.kind === 'full-disk') node.disk.capacityBytes = node.disk.usedBytes + fault.leftBytes;
    else node.disk.faults.fullWritesPerMille = fault.perMille;
    this.#stage.later(fault.forMs, () => this.healNode(node));
  }

  healNode({ disk }: SimulatedNode): void {
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    disk.faults.fullWritesPerMille = 0;
  }
}

export const fullDisk: FaultRow<FullDiskPlan> = {
  actor: FullDisk,
  draw: (random, { atMs, node, logger, forMs }) => ({
    kind: 'full-disk',
    atMs,
    node: pick(random, [node, logger, logger]),
    forMs,
    leftBytes: 4096 * below(random, 1 + below(random, 40)),
  }),
};

export const scarceSpace: FaultRow<ScarceSpacePlan> = {
  actor: FullDisk,
  draw: (random, { atMs, logger, forMs }) => ({
    kind: 'scarce-space',
    atMs,
    node: logger,
    forMs,
    perMille: pick(random, [10, 100, 500, 1_000]),
  }),
};
