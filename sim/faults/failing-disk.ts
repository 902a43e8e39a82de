/**
 * Disks that fail now and then: a read, or a write, out of so many ends in EIO, at any call. What a logger cannot write
 * it does not acknowledge, and it ends (S17); what it cannot read others give. A node whose disk failed is started
 * again when the disk is good: what it could not read at a start it takes for damaged until the next one.
 */
import { below } from '../../src/env/random.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface FailingDiskPlan {
  readonly kind: 'failing-disk';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
  /** Calls out of 1,000 that fail. */
  readonly readsPerMille: number;
  readonly writesPerMille: number;
}

class FailingDisks implements FaultActor<FailingDiskPlan> {
  readonly #stage: Stage;
  /** Nodes that may have met a failure. */
  readonly #failed = new Set<SimulatedNode>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, forMs, readsPerMille, writesPerMille }: FailingDiskPlan): void {
    const node = this.#stage.node(host);
    const { faults } = node.disk;
    faults.failedReadsPerMille = readsPerMille;
    faults.failedWritesPerMille = writesPerMille;
    this.#failed.add(node);
    this.#stage.coverage.count('disk that fails calls');
    this.#stage.later(forMs, () => {
      faults.failedReadsPerMille = 0;
      faults.failedWritesPerMille = 0;
    });
  }

  /** The operator has seen the errors. */
  heal(): void {
    for (const { disk } of this.#failed)
      Object.assign(disk.faults, { failedReadsPerMille: 0, failedWritesPerMille: 0 });
    for (const node of this.#failed) this.#stage.kill(node, 'process', 1);
  }
}

export const failingDisk: FaultRow<FailingDiskPlan> = {
  actor: FailingDisks,
  draw(random, { cast, atMs, logger, forMs }) {
    const node = below(random, 4) === 0 ? pick(random, cast.gateways) : logger;
    const rate = (): number => pick(random, [5, 50, 300]);
    const which = below(random, 3);
    const readsPerMille = which === 1 ? 0 : rate();
    const writesPerMille = which === 0 ? 0 : rate();
    return { kind: 'failing-disk', atMs, node, forMs, readsPerMille, writesPerMille };
  },
};
