/**
 * A logger that is taken out of use: it drains, and either it drains no more after a while, or it is removed for good
 * as soon as no list names it, since everything is promised to be elsewhere.
 */
import { below } from '../../src/env/random.ts';
import type { Uuid } from '../../src/base/ids.ts';
import { drainLogger, undrainLogger } from '../../src/coordinator/planned-changes.ts';
import type { SimulatedNode } from '../node.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';
import { removeForGood, say } from './operator.ts';
import { listsOf, shardsOf } from './shard-entries.ts';

export interface DrainPlan {
  readonly kind: 'drain';
  readonly atMs: number;
  readonly node: string;
  /** Time after which the order is taken back; 0: it is removed. */
  readonly backAfterMs: number;
}

const lookMs = 50;
const removedAfterMs = 100;

class Drains implements FaultActor<DrainPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, backAfterMs }: DrainPlan): void {
    const stage = this.#stage;
    const node = stage.node(host);
    const { logger } = node;
    if (logger === undefined || node.isGone) return;
    say(
      stage,
      (coordinator) => drainLogger(coordinator, logger.uuid, stage.wantedReplicas),
      (word) => {
        stage.coverage.count(word === 'taken' ? 'logger drains' : 'logger could not drain');
        if (word === 'refused') return;
        if (backAfterMs === 0) this.#removeSoon(node, logger.uuid);
        else stage.later(backAfterMs, () => this.#takeBack(logger.uuid));
      },
    );
  }

  #takeBack(logger: Uuid): void {
    say(
      this.#stage,
      (coordinator) => undrainLogger(coordinator, logger),
      () => this.#stage.coverage.count('logger drains no more'),
    );
  }

  /** One disk of a life: of two that go, each may be where the other's copies went. */
  #removeSoon(node: SimulatedNode, logger: Uuid): void {
    const stage = this.#stage;
    const lists = listsOf(shardsOf(stage.coordinator.snapshot()));
    const isThere = node.logger?.uuid === logger;
    const isDrained = isThere && !lists.some(({ replicas }) => replicas.includes(logger));
    if (!isDrained || excluding.some((kind) => stage.planned.has(kind)))
      return stage.later(lookMs, () => this.#removeSoon(node, logger));
    stage.coverage.count('logger drained');
    if (!stage.reversals.maySpoil(node.disk)) return;
    removeForGood(stage, node, logger, removedAfterMs);
  }
}

/** Faults that exchange disks or put metadata back: what is listed now is not what will be. */
const excluding = ['metadata-back', 'swap', 'rot-metadata', 'put-back', 'failing-disk'] as const;

export const drain: FaultRow<DrainPlan> = {
  actor: Drains,
  draw: (random, { atMs, logger }) => {
    const backAfterMs = below(random, 3) === 0 ? 1 + below(random, 2_000) : 0;
    return { kind: 'drain', atMs, node: logger, backAfterMs };
  },
  settings: { minReplicas: 1, repairBytesPerSecond: 4 * 1024 * 1024 },
};
