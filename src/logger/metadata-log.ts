/**
 * The logger's metadata log on its device (core/logger/metadata-format.ts says what lies there). Two device zones take
 * turns: when one has grown, a checkpoint of the whole state begins the other, and the old one is reset once that
 * checkpoint is stable.
 *
 *   persist --> [grown?] --> checkpoint in the other zone --sync--> reset the old zone --sync--> it may be used again
 *
 * What is written here is made stable by the same sync as the data (S3).
 *
 * It owns the two zones, their turns and the place of the next frame. It does not own the form of frames and entries,
 * the state that they record (core/logger), nor syncs (log-store.ts).
 */
import { assert, present } from '../base/assert.ts';
import { KvError } from '../base/errors.ts';
import type { Uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { Frame, MetadataEntry } from '../core/logger/metadata-format.ts';
import {
  encodeFrame,
  entryBytes,
  frameLength,
  metadataFormatVersion,
  metadataZones,
  readMetadataZone,
} from '../core/logger/metadata-format.ts';
import type { MetadataImage } from '../core/logger/metadata-salvage.ts';
import { salvageFrames } from '../core/logger/metadata-salvage.ts';
import type { LoggerDevice, ZonedDevice } from '../env/zoned-device.ts';
import { DeviceError } from '../env/zoned-device.ts';
import { readDespiteDamage } from './readable.ts';

export interface LoggerIdentity {
  readonly cluster: Uuid;
  readonly logger: Uuid;
  readonly zoneSize: number;
}

/** Metadata of an existing device. */
export type FoundMetadata =
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'found';
      readonly identity: LoggerIdentity;
      /** With `damage`, those that are still good; they may begin with no checkpoint. */
      readonly frames: readonly Frame[];
      /** Number of the newest checkpoint, or a higher one. */
      readonly generation: number;
      /** Zone that holds the newest frame. */
      readonly zone: number;
      /** Place in which frames were acknowledged that can't be read any more; undefined: nothing is missing. */
      readonly damage?: MetadataDamage;
    };

export interface MetadataDamage {
  readonly deviceZone: number;
  /** Bytes, in that zone: of the first frame that is lost. */
  readonly offset: number;
}

/** A checkpoint is written twice when it takes at most such a part of the zone. */
const checkpointCopiedOneIn = 8;
/** One chunk of reading. */
const readBytes = 1024 * 1024;

/**
 * Reads the newest state, or what is left of it. `empty` when the device holds nothing at all: a new logger.
 * @throws KvError `newer-format`; `data-damaged` when nothing says even which logger this was
 */
export async function findMetadata(device: LoggerDevice, where: string): Promise<FoundMetadata> {
  let best: { readonly frames: readonly Frame[]; readonly generation: number; readonly zone: number } | undefined;
  let damaged: { readonly zone: number; readonly offset: number; readonly generation: number } | undefined;
  const images: MetadataImage[] = [];
  let unreadable = 0;
  for (const zone of metadataZones) {
    const bytes = await readAll(device, zone, () => (unreadable += 1));
    images.push({ deviceZone: zone, bytes });
    const result = readMetadataZone(bytes, zone);
    if (result.kind === 'newer-format') throw newerFormat(where, result.format);
    if (result.kind === 'state' && (best === undefined || result.generation > best.generation))
      best = { ...result, zone };
    if (result.kind === 'damaged' && (damaged === undefined || result.generation > damaged.generation))
      damaged = { ...result, zone };
  }
  // Damage in an older generation is of no importance: the newer checkpoint holds everything.
  if (damaged !== undefined && damaged.generation >= (best?.generation ?? 0))
    return salvaged(images, { deviceZone: damaged.zone, offset: damaged.offset }, where, unreadable);
  if (best !== undefined) {
    const { frames, generation, zone } = best;
    return { kind: 'found', identity: identityIn(frames), frames, generation, zone };
  }
  const inUse = device.reportZones().find((report) => report.state !== 'empty' && !isMetadataZone(report.zone));
  if (inUse === undefined) return { kind: 'empty' };
  throw new KvError(
    'data-damaged',
    `${where}: device zone ${inUse.zone} holds data, but no metadata says whose; ${advice}`,
  );
}

/** Metadata of what is good, for a logger that learns the rest elsewhere (docs/decisions/0015-damaged-metadata.md). */
function salvaged(
  images: readonly MetadataImage[],
  damage: MetadataDamage,
  where: string,
  unreadable: number,
): FoundMetadata {
  const result = salvageFrames(images);
  if (result.kind === 'newer-format') throw newerFormat(where, result.format);
  if (result.kind === 'none') {
    throw new KvError(
      'data-damaged',
      `${where}: the metadata in device zone ${damage.deviceZone} are damaged at offset ${damage.offset}, and nothing ` +
        `says any more which logger this was; ` +
        (unreadable === 0 ? advice : `${unreadable} blocks of it cannot be read: ${adviceUnreadable}`),
    );
  }
  const { frames } = result;
  const newest = present(frames.at(-1), 'the newest frame');
  // A checkpoint of the next generation may be what is lost.
  const generation = newest.generation + 1;
  return { kind: 'found', identity: identityIn(frames), frames, generation, zone: newest.deviceZone, damage };
}

function identityIn(frames: readonly Frame[]): LoggerIdentity {
  const { cluster, logger, zoneSize } = present(frames[0], 'the first frame');
  return { cluster, logger, zoneSize };
}

function newerFormat(where: string, format: number): KvError {
  return new KvError(
    'newer-format',
    `${where}: the logger's metadata has format ${format}; this version reads up to ${metadataFormatVersion}`,
  );
}

const advice =
  'this logger cannot be trusted any more: move its folder away and start it again, it then joins as a new, empty one';

/** Copies that are whole are not thrown away for a cable. */
const adviceUnreadable = `check the disk and start the logger again; only if that stays so, ${advice}`;

function isMetadataZone(zone: number): boolean {
  return metadataZones.some((own) => own === zone);
}

async function readAll(device: LoggerDevice, zone: number, onUnreadable: () => void): Promise<Buffer> {
  const report = device.reportZone(zone);
  const length = report.state === 'empty' ? 0 : Math.min(report.writePointer, device.geometry.zoneCapacity);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < length; at += readBytes)
    // What cannot be read counts as damage, which is of no importance where nothing lies.
    pieces.push(await readDespiteDamage(device, zone, at, Math.min(readBytes, length - at), onUnreadable));
  return Buffer.concat(pieces);
}

/** Zones of which a checkpoint surely fits a metadata zone, beside fences and zone floors of all shards. */
export function zonesThatFit(device: ZonedDevice): number {
  const shards = limits.shardCountMax * (entryBytes.fence + entryBytes['zone-floor'] + entryBytes.lost);
  return Math.max(1, Math.floor((device.geometry.zoneCapacity * 0.75 - shards - 128) / entryBytes.zone));
}

/** Space that the metadata log needs from the start, so that a fence or a delete is never refused for want of it. */
export function metadataSpace(zoneCapacity: number): { readonly zones: number; readonly bytes: number } {
  return { zones: metadataZones.length, bytes: Math.min(zoneCapacity / 2, limits.metadataGrownBytes) };
}

export class MetadataLog {
  readonly #device: LoggerDevice;
  readonly #identity: LoggerIdentity;
  readonly #snapshot: () => readonly MetadataEntry[];
  readonly #grownBytes: number;
  #zone: number;
  #generation: number;
  /** Place of the next frame. */
  #end = 0;
  #checkpointLength = 0;
  /** End of what a sync that returned has made stable, and of what the one under way will. */
  #stable = 0;
  #syncing = 0;
  /** The zone given up: waits for its successor's checkpoint, then for its own reset, to become stable. */
  #old: 'ready' | 'in-use' | 'checkpointed' | 'reset' | 'resetting';

  /**
   * `grownBytes`: length at which a zone is given up, or four checkpoints if that is more, or half of its capacity if
   * that is less. `snapshot` gives the whole state, with every change that was handed to `persist` before or is being
   * handed to it.
   */
  constructor(
    device: LoggerDevice,
    identity: LoggerIdentity,
    found: FoundMetadata,
    snapshot: () => readonly MetadataEntry[],
    grownBytes: number = limits.metadataGrownBytes,
  ) {
    this.#grownBytes = grownBytes;
    this.#device = device;
    this.#identity = identity;
    this.#snapshot = snapshot;
    this.#zone = found.kind === 'found' ? found.zone : metadataZones[1];
    this.#generation = found.kind === 'found' ? found.generation : 0;
    this.#old = 'ready';
  }

  /**
   * The first checkpoint of this process, in the zone that does not hold the newest state; synced before anything is
   * answered. So whatever of the old log was only in a cache is stable again (S3), and a torn end is never written
   * behind.
   */
  async start(): Promise<void> {
    const other = this.#other();
    if (this.#device.reportZone(other).state !== 'empty') {
      this.#device.reset(other);
      await this.#device.sync();
    }
    this.#checkpoint();
    this.syncStarts();
    await this.#device.sync();
    this.synced();
  }

  /** Writes the entries as one frame. @throws DeviceError */
  persist(entries: readonly MetadataEntry[]): void {
    assert(entries.length > 0, 'a frame of changes has some');
    const length = frameLength(entries, this.#device.geometry.alignment);
    const grown = Math.min(
      this.#device.geometry.zoneCapacity / 2,
      Math.max(this.#grownBytes, 4 * this.#checkpointLength),
    );
    if (this.#end + length > grown && this.#old === 'ready') return this.#checkpoint();
    if (this.#end + length > this.#device.geometry.zoneCapacity)
      throw new DeviceError('full', 'no room is left in the metadata log');
    this.#write('changes', entries);
  }

  /** A sync of the device begins. */
  syncStarts(): void {
    this.#syncing = this.#end;
    if (this.#old === 'in-use') this.#old = 'checkpointed';
    if (this.#old === 'reset') this.#old = 'resetting';
  }

  /** The sync returned. */
  synced(): void {
    this.#stable = this.#syncing;
    if (this.#old === 'resetting') this.#old = 'ready';
    if (this.#old !== 'checkpointed') return;
    this.#device.reset(this.#other());
    this.#old = 'reset';
  }

  #other(): number {
    return this.#zone === metadataZones[0] ? metadataZones[1] : metadataZones[0];
  }

  #checkpoint(): void {
    this.#zone = this.#other();
    this.#device.privilege(this.#zone);
    this.#generation += 1;
    this.#end = 0;
    this.#stable = 0;
    this.#syncing = 0;
    const entries = this.#snapshot();
    this.#write('checkpoint', entries, limits.blockBytes);
    // Said again in other blocks: one that can't be read must not take away who this logger is, nor all that it knew.
    if (this.#end <= this.#device.geometry.zoneCapacity / checkpointCopiedOneIn) this.#write('changes', entries);
    this.#checkpointLength = this.#end;
    this.#old = 'in-use';
  }

  #write(kind: 'checkpoint' | 'changes', entries: readonly MetadataEntry[], unit?: number): void {
    const frame = encodeFrame(
      {
        kind,
        ...this.#identity,
        alignment: this.#device.geometry.alignment,
        deviceZone: this.#zone,
        generation: this.#generation,
        offset: this.#end,
        stable: this.#stable,
      },
      entries,
      unit,
    );
    this.#device.write(this.#zone, this.#end, frame);
    this.#end += frame.length;
  }
}
