/**
 * A disk that lied: the logger's machine loses power and comes back with what was stable some time before, as if syncs
 * had not done what they said, or an operator had put an older folder back. One logger of a life; the others' copies
 * are what they seem (S9).
 */
import type { Uuid } from '../../src/base/ids.ts';
import { below } from '../../src/env/random.ts';
import type { DiskImage } from '../../src/env/simulated/files.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';
import { shardsOf } from './shard-entries.ts';
import { isElsewhere, isTaking } from './sound.ts';

/**
 * At `atMs` a copy is taken of what is stable on the logger's disk; `forMs` later it loses power, with the hosts
 * `others`, and begins again with that copy.
 */
export interface PutBackPlan {
  readonly kind: 'put-back';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
  readonly downMs: number;
  readonly others: readonly string[];
}

/** Copy of a logger's disk. */
interface Older {
  readonly image: DiskImage;
  readonly logger: Uuid;
  readonly copyIds: readonly string[];
}

class PutBacks implements FaultActor<PutBackPlan> {
  readonly #stage: Stage;
  #isDone = false;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: PutBackPlan): void {
    const stage = this.#stage;
    const node = stage.node(fault.node);
    if (this.#isDone || node.logger === undefined) return stage.coverage.count('logger could not be put back');
    const older: Older = { image: node.disk.stableImage(), logger: node.logger.uuid, copyIds: copyIdsOf(node) };
    stage.later(fault.forMs, () => this.#putBack(fault, node, older));
  }

  #putBack({ downMs, others }: PutBackPlan, node: SimulatedNode, { image, logger, copyIds }: Older): void {
    const stage = this.#stage;
    const shards = shardsOf(stage.coordinator.snapshot());
    const { unsound } = stage.reversals;
    const isSpare = node.logger?.uuid === logger && !isTaking(stage, shards) && isElsewhere(logger, shards, unsound);
    if (this.#isDone || !isSpare || !stage.reversals.maySpoil(node.disk))
      return stage.coverage.count('logger could not be put back');
    this.#isDone = true;
    stage.coverage.count('logger put back');
    const lost = [...copyIds, ...copyIdsOf(node)];
    const newestZones = new Map([...shards].map(([shard, { head }]) => [shard, head.nextZone - 1]));
    stage.reversals.loggerBack({ logger, newestZones }, lost);
    stage.kill(node, 'power', downMs);
    node.disk.putBack(image);
    for (const other of others) if (other !== node.host) stage.kill(stage.node(other), 'power', downMs);
  }
}

function copyIdsOf({ logger }: SimulatedNode): readonly string[] {
  return logger?.zones().map(({ copyId }) => copyId) ?? [];
}

export const putBack: FaultRow<PutBackPlan> = {
  actor: PutBacks,
  draw: (random, { cast, nodes, atMs, logger, forMs, downMs }) => ({
    kind: 'put-back',
    atMs,
    node: logger,
    forMs: below(random, 2) === 0 ? 1 + below(random, 20) : forMs,
    downMs,
    others: pick(random, [[], [], cast.loggers, nodes]),
  }),
  without: (fault, host) => ({ ...fault, others: fault.others.filter((name) => name !== host) }),
  // Going on without a first-hand answer may rightly lose what only the others' copies hold.
  settings: { firstHandWaitMs: 0 },
};
