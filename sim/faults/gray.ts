/**
 * Loggers that are gray for the rest of the life: they answer, but their disk is slow most of the time, and hangs now
 * and then. Nothing ends it but the end of all faults.
 */
import { below } from '../../src/env/random.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface GrayPlan {
  readonly kind: 'gray';
  readonly atMs: number;
  readonly node: string;
  /** Time that a sync takes while the disk is slow. */
  readonly delayMs: number;
  /** Period, and the part of it, in percent, in which the disk is slow; then it is as good as any. */
  readonly everyMs: number;
  readonly slowPercent: number;
  /** Of the slow times one in so many is a hang; 0: none. */
  readonly hangOneIn: number;
}

class Grays implements FaultActor<GrayPlan> {
  readonly #stage: Stage;
  readonly #gray = new Set<SimulatedNode>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: GrayPlan): void {
    const node = this.#stage.node(fault.node);
    if (this.#gray.has(node)) return;
    this.#gray.add(node);
    this.#stage.coverage.count('logger gray until the end');
    this.#turnSlow(fault, node);
  }

  #turnSlow(fault: GrayPlan, node: SimulatedNode): void {
    const stage = this.#stage;
    const { disk } = node;
    const hangs = fault.hangOneIn > 0 && below(stage.random, fault.hangOneIn) === 0;
    if (hangs) disk.holdSyncs();
    else disk.faults.syncDelayMs = fault.delayMs;
    const slowMs = (fault.everyMs * fault.slowPercent) / 100;
    stage.later(slowMs, () => {
      disk.releaseSyncs();
      stage.resetDisk(node);
      stage.later(fault.everyMs - slowMs, () => this.#turnSlow(fault, node));
    });
  }

  healNode(node: SimulatedNode): void {
    node.disk.releaseSyncs();
    this.#stage.resetDisk(node);
  }
}

export const gray: FaultRow<GrayPlan> = {
  actor: Grays,
  draw: (random, { atMs, logger }) => ({
    kind: 'gray',
    atMs,
    node: logger,
    delayMs: pick(random, [20, 80, 250, 1_200]),
    everyMs: pick(random, [200, 700, 2_500]),
    slowPercent: pick(random, [30, 70, 100]),
    hangOneIn: pick(random, [0, 0, 4]),
  }),
};
