/**
 * A logger that never returns: its machine is gone, and after a while the operator says so. Its disk is the one of the
 * life that is lost, and what it held another logger holds.
 */
import { below } from '../../src/env/random.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';
import { removeForGood } from './operator.ts';
import { mayGo, spoilSoon } from './sound.ts';

export interface NeverReturnsPlan {
  readonly kind: 'never-returns';
  readonly atMs: number;
  readonly node: string;
  /** Time until the operator says that it is lost. */
  readonly afterMs: number;
}

class Losses implements FaultActor<NeverReturnsPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: NeverReturnsPlan): void {
    spoilSoon(
      this.#stage,
      () => this.#lose(fault),
      () => undefined,
    );
  }

  #lose({ node: host, afterMs }: NeverReturnsPlan): boolean {
    const stage = this.#stage;
    const { planned } = stage;
    const node = stage.node(host);
    const { logger } = node;
    if (logger === undefined || node.isGone || excluding.some((kind) => planned.has(kind))) return false;
    if (!mayGo(stage, node, logger.uuid)) return false;
    removeForGood(stage, node, logger.uuid, afterMs);
    return true;
  }
}

/** Faults by which another logger may not have what it is listed for, and those that exchange disks. */
const excluding = ['failing-disk', 'rot-metadata', 'put-back', 'metadata-back', 'swap', 'wiped', 'rot-zones'] as const;

export const neverReturns: FaultRow<NeverReturnsPlan> = {
  actor: Losses,
  draw: (random, { atMs, logger }) => {
    return { kind: 'never-returns', atMs, node: logger, afterMs: below(random, 1_500) };
  },
  settings: { minReplicas: 1, repairBytesPerSecond: 4 * 1024 * 1024 },
};
