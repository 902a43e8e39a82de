/**
 * A disk that is replaced, or a folder that somebody empties: a logger ends and begins again with nothing, under a new
 * UUID (S16). What it held another logger holds too, and repair makes the copies again. One disk of a life, and not in
 * one in which other loggers may not know what they hold, or in which a take-over would wait for it for ever.
 */
import type { FaultActor, FaultRow, HowKilled, Stage } from './actor.ts';
import { mayGo, spoilSoon } from './sound.ts';

export interface WipedPlan {
  readonly kind: 'wiped';
  readonly atMs: number;
  readonly node: string;
  readonly how: HowKilled;
  readonly downMs: number;
}

/** In the whole of which node-options.ts lets a logger keep its files. */
const folder = '/data';

class Wipes implements FaultActor<WipedPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: WipedPlan): void {
    const { coverage } = this.#stage;
    spoilSoon(
      this.#stage,
      () => this.#wipe(fault),
      (isDone) => coverage.count(isDone ? 'logger wiped' : 'logger could not be wiped'),
    );
  }

  #wipe({ node: host, how, downMs }: WipedPlan): boolean {
    const stage = this.#stage;
    const { planned, reversals } = stage;
    const node = stage.node(host);
    const { logger } = node;
    if (logger === undefined || excluding.some((kind) => planned.has(kind))) return false;
    if (!mayGo(stage, node, logger.uuid)) return false;
    reversals.wiped(
      logger.uuid,
      logger.zones().map(({ copyId }) => copyId),
    );
    stage.kill(node, how, downMs);
    node.disk.wipe(folder);
    return true;
  }
}

const excluding = ['failing-disk', 'rot-metadata', 'put-back'] as const;

export const wiped: FaultRow<WipedPlan> = {
  actor: Wipes,
  draw: (_, { atMs, logger, how, downMs }) => ({ kind: 'wiped', atMs, node: logger, how, downMs }),
  settings: {
    // Copies of what is gone are made again within the life.
    repairDelayMs: 1_000,
    repairBytesPerSecond: 4 * 1024 * 1024,
  },
};
