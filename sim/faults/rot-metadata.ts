/**
 * Bits that flip in a logger's own metadata log while the logger is down: it must know again what they said, from its
 * zones and from the coordinator (docs/decisions/0015-damaged-metadata.md). Not in a life in which the coordinator's
 * content goes back as well.
 */
import { below } from '../../src/env/random.ts';
import { frameUnitBytes } from '../../src/core/logger/metadata-format.ts';
import type { FaultActor, FaultRow, HowKilled, Stage } from './actor.ts';

/** The logger ends, and `frames` frames of its metadata log, any that lie there, each get a wrong bit. */
export interface RotMetadataPlan {
  readonly kind: 'rot-metadata';
  readonly atMs: number;
  readonly node: string;
  readonly how: HowKilled;
  readonly downMs: number;
  readonly frames: number;
}

/** In the folder that node-options.ts gives a logger. */
const deviceFile = '/data/device';
const magic = Buffer.from('KVL1', 'latin1');
/** Bytes of a frame's start in which a bit flips: its header, and its first entries. */
const hitBytes = 110;

class RotMetadata implements FaultActor<RotMetadataPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, how, downMs, frames }: RotMetadataPlan): void {
    const stage = this.#stage;
    const node = stage.node(host);
    if (stage.planned.has('metadata-back') || node.logger === undefined) return;
    stage.kill(node, how, downMs);
    const places = node.disk.placesOf(deviceFile, magic, frameUnitBytes);
    // One is left: a logger that does not know any more who it is cannot start.
    for (let count = Math.min(frames, places.length - 1); count > 0; count -= 1) {
      const [place = 0] = places.splice(below(stage.random, places.length), 1);
      node.disk.rot(deviceFile, place + below(stage.random, hitBytes), 1 << below(stage.random, 8));
      stage.coverage.count('metadata of a logger rotten');
    }
  }
}

export const rotMetadata: FaultRow<RotMetadataPlan> = {
  actor: RotMetadata,
  draw: (random, { atMs, logger, how, downMs }) => ({
    kind: 'rot-metadata',
    atMs,
    node: logger,
    how,
    downMs,
    frames: 1 + below(random, 3),
  }),
};
