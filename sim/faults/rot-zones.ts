/**
 * Bits that flip in the zones of one logger of a life: in batches of zones, open ones too, of which another logger
 * holds a sound copy. Whoever meets them is served from that copy. Not in a life in which other loggers may not know
 * what they hold, since their disks fail or their metadata rot.
 */
import { decodeSuperblock, superblockBytes } from '../../src/env/file-device/superblock.ts';
import { below } from '../../src/env/random.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, HowKilled, Stage } from './actor.ts';
import { deviceFile } from './device-file.ts';
import { shardsOf } from './shard-entries.ts';
import { hasOther, isTaking, spoilSoon } from './sound.ts';

/** Of the batches that another logger holds too, `perMille` out of 1,000 get a wrong bit. */
export interface RotZonesPlan {
  readonly kind: 'rot-zones';
  readonly atMs: number;
  readonly node: string;
  readonly perMille: number;
  /** It ends in the same moment, so that its next process finds the damage; `none`: it goes on. */
  readonly how: HowKilled | 'none';
  readonly downMs: number;
}

const magic = Buffer.from('KVB1', 'latin1');
const headerBytes = 64;

/** Batch as it lies on a disk, by its header (src/codec/log-format.ts). */
interface FoundBatch {
  readonly at: number;
  readonly length: number;
  readonly shard: number;
  readonly zone: number;
}

class RotZones implements FaultActor<RotZonesPlan> {
  readonly #stage: Stage;
  #last: RotZonesPlan | undefined;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: RotZonesPlan): void {
    this.#last = fault;
    const { coverage } = this.#stage;
    spoilSoon(
      this.#stage,
      () => this.#rot(fault),
      (isDone) => coverage.count(isDone ? 'zones of a logger rotten' : 'zones of a logger could not rot'),
    );
  }

  /** All rots once more: what was written last is read when all is well otherwise. */
  heal(): void {
    if (this.#last !== undefined) this.#rot({ ...this.#last, perMille: 1_000, how: 'none' });
  }

  #rot({ node: host, perMille, how, downMs }: RotZonesPlan): boolean {
    const stage = this.#stage;
    const node = stage.node(host);
    if (!this.#mayRot(node) || !this.#flipBits(node, perMille)) return false;
    if (how !== 'none') stage.kill(node, how, downMs);
    return true;
  }

  #mayRot(node: SimulatedNode): boolean {
    const { planned, coordinator, reversals } = this.#stage;
    if (planned.has('failing-disk') || planned.has('rot-metadata') || node.logger === undefined) return false;
    return !isTaking(this.#stage, shardsOf(coordinator.snapshot())) && reversals.maySpoil(node.disk);
  }

  #flipBits(node: SimulatedNode, perMille: number): boolean {
    const { random, reversals } = this.#stage;
    const copies = this.#spareCopies(node);
    let isRotten = false;
    for (const { at, length, shard, zone } of batchesOn(node)) {
      const copyId = copies.get(nameOf(shard, zone));
      if (copyId === undefined || below(random, 1_000) >= perMille || node.logger === undefined) continue;
      node.disk.rot(deviceFile, at + below(random, length), 1 << below(random, 8));
      reversals.rotted(node.logger.uuid, shard, zone, copyId);
      isRotten = true;
    }
    return isRotten;
  }

  /** Copy ids of what the logger holds and another one, too. */
  #spareCopies({ logger }: SimulatedNode): ReadonlyMap<string, string> {
    const { coordinator, reversals } = this.#stage;
    if (logger === undefined) return new Map();
    const spare = new Set<string>();
    for (const [shard, { head, zones }] of shardsOf(coordinator.snapshot()))
      for (const { zone, replicas } of [head.openZone, ...zones])
        if (replicas.includes(logger.uuid) && hasOther(replicas, logger.uuid, reversals.unsound))
          spare.add(nameOf(shard, zone));
    const held = logger.zones().map(({ shard, zone, copyId }) => [nameOf(shard, zone), copyId] as const);
    return new Map(held.filter(([name]) => spare.has(name)));
  }
}

/** Batches whose magic lies within one page, and the bytes of each that surely lie in an extent of its zone. */
function batchesOn({ disk }: SimulatedNode): readonly FoundBatch[] {
  const superblock = Buffer.from(disk.bytesAt(deviceFile, 0, superblockBytes));
  if (superblock.length < superblockBytes) return [];
  const { extentBytes } = decodeSuperblock(superblock, deviceFile);
  return disk.placesOf(deviceFile, magic, 1).flatMap((at) => {
    const header = Buffer.from(disk.bytesAt(deviceFile, at, headerBytes));
    if (header.length < headerBytes) return [];
    const length = Math.min(header.readUInt32LE(16), extentBytes - (at % extentBytes));
    return [{ at, length, shard: header.readUInt32LE(24), zone: header.readUIntLE(28, 6) }];
  });
}

function nameOf(shard: number, zone: number): string {
  return `${shard}/${zone}`;
}

export const rotZones: FaultRow<RotZonesPlan> = {
  actor: RotZones,
  draw: (random, { atMs, logger, how, downMs }) => ({
    kind: 'rot-zones',
    atMs,
    node: logger,
    perMille: pick(random, [20, 300, 1_000]),
    how: below(random, 2) === 0 ? 'none' : how,
    downMs,
  }),
};
