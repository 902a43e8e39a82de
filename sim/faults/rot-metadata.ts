/**
 * Bits that flip in a logger's own metadata log while the logger is down: it must know again what they said, from its
 * zones and from the coordinator (docs/decisions/0015-damaged-metadata.md). Not in a life in which the coordinator's
 * content goes back as well.
 */
import { below } from '../../src/env/random.ts';
import type { Frame, MetadataEntry } from '../../src/core/logger/metadata-format.ts';
import { decodeFrame, frameHeaderBytes, frameUnitBytes } from '../../src/core/logger/metadata-format.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
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
  /**
   * Frame that is hit: the newest that alone tells of a fence, or of a zone that is open; any where there is none, or
   * with `any`: most frames say what others say again.
   */
  readonly telling: 'any' | 'fence' | 'zone';
}

const magic = Buffer.from('KVL1', 'latin1');
/** Bytes of a frame's start in which a bit flips: its header, and its first entries. */
const hitBytes = 110;
/** Bytes of a metadata zone at most: a frame that says it lies behind them is damaged. */
const zoneBytesMax = 1024 * 1024;

class RotMetadata implements FaultActor<RotMetadataPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, how, downMs, telling }: RotMetadataPlan): void {
    const stage = this.#stage;
    const node = stage.node(host);
    if (stage.planned.has('metadata-back') || node.logger === undefined) return;
    stage.kill(node, how, downMs);
    const places = node.disk.placesOf(deviceFile, magic, frameUnitBytes);
    const any = places[below(stage.random, Math.max(1, places.length))];
    const place = telling === 'any' ? any : (onlyWitness(node, places, telling) ?? any);
    if (place === undefined) return;
    node.disk.rot(deviceFile, place + below(stage.random, hitBytes), 1 << below(stage.random, 8));
    stage.coverage.count('metadata of a logger rotten');
  }
}

/** Place of the newest frame that alone tells of a fence, or of an open zone; undefined: there is none. */
function onlyWitness(
  node: SimulatedNode,
  places: readonly number[],
  telling: MetadataEntry['kind'],
): number | undefined {
  const frames = places.flatMap((place) => {
    const frame = frameAt(node, place);
    return frame === undefined ? [] : [{ place, frame, names: frame.entries.map(nameOf) }];
  });
  frames.sort((a, b) => b.frame.generation - a.frame.generation || b.frame.offset - a.frame.offset);
  const alone = frames.find(({ place, frame, names }) =>
    frame.entries.some((entry, at) => {
      const isSaidAgain = frames.some((other) => other.place !== place && other.names.includes(names[at] ?? ''));
      return entry.kind === telling && !isSaidAgain;
    }),
  );
  return alone?.place;
}

function frameAt({ disk }: SimulatedNode, place: number): Frame | undefined {
  const header = Buffer.from(disk.bytesAt(deviceFile, place, frameHeaderBytes));
  if (header.length < frameHeaderBytes) return undefined;
  const [length, offset] = [header.readUInt32LE(16), header.readUInt32LE(20)];
  if (Math.max(length, offset) > zoneBytesMax) return undefined;
  // A frame is decoded where it lies in its zone.
  const bytes = Buffer.concat([Buffer.alloc(offset), disk.bytesAt(deviceFile, place, length)]);
  const result = decodeFrame(bytes, offset, header.readUInt16LE(38));
  return result.kind === 'frame' ? result.frame : undefined;
}

function nameOf(entry: MetadataEntry): string {
  return `${entry.kind}/${entry.shard}/${entry.kind === 'fence' ? entry.epoch : entry.zone}`;
}

export const rotMetadata: FaultRow<RotMetadataPlan> = {
  actor: RotMetadata,
  draw: (random, { atMs, logger, how, downMs }) => ({
    kind: 'rot-metadata',
    atMs,
    node: logger,
    how,
    downMs,
    telling: pick(random, ['any', 'fence', 'zone'] as const),
  }),
};
