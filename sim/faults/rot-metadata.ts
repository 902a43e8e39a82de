/**
 * Bits that flip in a logger's own metadata log while the logger is down: it must know again what they said, from its
 * zones and from the coordinator (docs/decisions/0015-damaged-metadata.md). Not in a life in which the coordinator's
 * content goes back as well.
 */
import { below } from '../../src/env/random.ts';
import { frameUnitBytes } from '../../src/core/logger/metadata-format.ts';
import type { FaultActor, FaultRow, HowKilled, Stage } from './actor.ts';
import { deviceFile } from './device-file.ts';

/**
 * The logger ends, and one frame of its metadata log gets a wrong bit: with all of them lost it would not know any more
 * who it is.
 */
export interface RotMetadataPlan {
  readonly kind: 'rot-metadata';
  readonly atMs: number;
  readonly node: string;
  readonly how: HowKilled;
  readonly downMs: number;
}

const magic = Buffer.from('KVL1', 'latin1');
/** Bytes of a frame's start in which a bit flips: its header, and its first entries. */
const hitBytes = 110;

class RotMetadata implements FaultActor<RotMetadataPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, how, downMs }: RotMetadataPlan): void {
    const stage = this.#stage;
    const node = stage.node(host);
    if (stage.planned.has('metadata-back') || node.logger === undefined) return;
    stage.kill(node, how, downMs);
    const places = node.disk.placesOf(deviceFile, magic, frameUnitBytes);
    const place = places[below(stage.random, Math.max(1, places.length))];
    if (place === undefined) return;
    node.disk.rot(deviceFile, place + below(stage.random, hitBytes), 1 << below(stage.random, 8));
    stage.coverage.count('metadata of a logger rotten');
  }
}

export const rotMetadata: FaultRow<RotMetadataPlan> = {
  actor: RotMetadata,
  draw: (_, { atMs, logger, how, downMs }) => ({
    kind: 'rot-metadata',
    atMs,
    node: logger,
    how,
    downMs,
  }),
};
