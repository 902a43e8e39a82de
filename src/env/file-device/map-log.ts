/**
 * The map of a `file` device as a log: which extents belong to which zone, and which zones are finished. It lies in two
 * areas that take turns: a *generation* begins with a checkpoint of everything in one area and goes on with entries;
 * the next generation begins in the other area once the present one is stable.
 *
 *   area   = sector*                                  512 bytes each
 *   sector = 0 magic:u32 "KVFM"  4 checksum:u32 (bytes 8 .. 512, seeded with the device id)
 *            8 generation:u48  14 index:u32 (of the sector in its area)  18 entry bytes:u16  20 entry count:u16
 *            22 first sequence:u48 (of its first entry; numbers begin at 1 in each generation)
 *            28 stable sequence:u48  34 stable bytes:u48      entries and file length known to be stable at that time
 *            40 entry*, zeros
 *   entry  = 1:u8 allocate zone:u32 position:u32 extent:u32 count:u32    extents in a row, from the `position`-th
 *          | 2:u8 reset zone:u32
 *          | 3:u8 finish zone:u32 length:u48                             extents beyond the length are given back
 *          | 4:u8 trim zone:u32 count:u32                                the zone keeps its first `count` extents
 *          | 5:u8 checkpoint-end
 *
 * A medium writes a sector wholly or not at all, so a sector that is neither good, nor zeros, nor good of an older
 * generation is damage, never a torn write. What was not synced when the machine died is missing sectors: the log ends
 * before the first. It must not end before what a later sector calls stable: that is damage as well. Damage is
 * reported, never guessed around.
 *
 * It owns the two areas and the place of the next entry. It does not own what the entries are about (zone-space.ts),
 * when one is stable (the device's syncs), nor the rest of the file.
 */
import { assert, present } from '../../base/assert.ts';
import { asBuffer, isZero } from '../../base/bytes.ts';
import { checksum } from '../../base/checksum.ts';
import type { File } from '../files.ts';
import { DeviceError } from '../zoned-device.ts';
import { superblockBytes } from './superblock.ts';

export const sectorBytes = 512;
const headerBytes = 40;
const roomBytes = sectorBytes - headerBytes;
const magic = 0x4d46564b; // "KVFM"
const allocateBytes = 17;
const finishBytes = 11;
const materializeStepBytes = 16 * 1024;

export type MapEntry =
  | {
      readonly kind: 'allocate';
      readonly zone: number;
      readonly position: number;
      readonly extent: number;
      readonly count: number;
    }
  | { readonly kind: 'reset'; readonly zone: number }
  | { readonly kind: 'finish'; readonly zone: number; readonly length: number }
  | { readonly kind: 'trim'; readonly zone: number; readonly count: number }
  | { readonly kind: 'checkpoint-end' };

/** Place of a device's areas. */
export interface MapPlace {
  readonly path: string;
  readonly areaBytes: number;
  /** Seed of the checksums: made from the device id. */
  readonly seed: number;
}

/** Upper bound of a checkpoint's length with so many runs of extents and finished zones. */
export function checkpointBytes(runs: number, finished: number): number {
  const sectors =
    Math.ceil(runs / Math.floor(roomBytes / allocateBytes)) + Math.ceil(finished / Math.floor(roomBytes / finishBytes));
  return (sectors + 2) * sectorBytes;
}

export function areaOffset(place: MapPlace, area: number): number {
  return superblockBytes + area * place.areaBytes;
}

function encodeEntry(entry: MapEntry): Buffer {
  switch (entry.kind) {
    case 'allocate':
      return fields(1, [entry.zone, 4], [entry.position, 4], [entry.extent, 4], [entry.count, 4]);
    case 'reset':
      return fields(2, [entry.zone, 4]);
    case 'finish':
      return fields(3, [entry.zone, 4], [entry.length, 6]);
    case 'trim':
      return fields(4, [entry.zone, 4], [entry.count, 4]);
    case 'checkpoint-end':
      return fields(5);
  }
}

function fields(kind: number, ...values: readonly (readonly [number, number])[]): Buffer {
  const bytes = Buffer.alloc(values.reduce((sum, [, width]) => sum + width, 1));
  bytes.writeUInt8(kind, 0);
  let at = 1;
  for (const [value, width] of values) at = bytes.writeUIntLE(value, at, width);
  return bytes;
}

/** Undefined: no such entry. The sector's checksum is good, so that would be a bug or a newer format. */
function decodeEntry(bytes: Buffer, at: number): { readonly entry: MapEntry; readonly end: number } | undefined {
  switch (bytes.readUInt8(at)) {
    case 1: {
      const [zone, position, extent, count] = [1, 5, 9, 13].map((field) => bytes.readUInt32LE(at + field));
      if (zone === undefined || position === undefined || extent === undefined || count === undefined) return undefined;
      return { entry: { kind: 'allocate', zone, position, extent, count }, end: at + allocateBytes };
    }
    case 2:
      return { entry: { kind: 'reset', zone: bytes.readUInt32LE(at + 1) }, end: at + 5 };
    case 3:
      return {
        entry: { kind: 'finish', zone: bytes.readUInt32LE(at + 1), length: bytes.readUIntLE(at + 5, 6) },
        end: at + finishBytes,
      };
    case 4:
      return {
        entry: { kind: 'trim', zone: bytes.readUInt32LE(at + 1), count: bytes.readUInt32LE(at + 5) },
        end: at + 9,
      };
    case 5:
      return { entry: { kind: 'checkpoint-end' }, end: at + 1 };
    default:
      return undefined;
  }
}

interface Sector {
  readonly kind: 'good';
  readonly generation: number;
  readonly firstSequence: number;
  readonly entries: readonly MapEntry[];
  readonly stableSequence: number;
  readonly stableBytes: number;
}

type SectorResult = Sector | { readonly kind: 'zero' } | { readonly kind: 'bad'; readonly reason: string };

function decodeSector(bytes: Buffer, index: number, seed: number): SectorResult {
  if (isZero(bytes)) return { kind: 'zero' };
  if (bytes.readUInt32LE(0) !== magic) return { kind: 'bad', reason: 'wrong magic' };
  if (checksum(bytes.subarray(8), seed) !== bytes.readUInt32LE(4)) return { kind: 'bad', reason: 'wrong checksum' };
  if (bytes.readUInt32LE(14) !== index) return { kind: 'bad', reason: `belongs to sector ${bytes.readUInt32LE(14)}` };
  const entries: MapEntry[] = [];
  const end = headerBytes + bytes.readUInt16LE(18);
  for (let at = headerBytes; at < end; ) {
    const decoded = decodeEntry(bytes, at);
    if (decoded === undefined) return { kind: 'bad', reason: 'unknown entry' };
    entries.push(decoded.entry);
    at = decoded.end;
  }
  return {
    kind: 'good',
    generation: bytes.readUIntLE(8, 6),
    firstSequence: bytes.readUIntLE(22, 6),
    entries,
    stableSequence: bytes.readUIntLE(28, 6),
    stableBytes: bytes.readUIntLE(34, 6),
  };
}

export interface MapContents {
  readonly generation: number;
  readonly area: number;
  readonly entries: readonly MapEntry[];
  /** The first so many entries were known to be stable. */
  readonly stableCount: number;
  /** The file was at least so long. */
  readonly stableBytes: number;
  /** Bytes of the area that hold this generation. */
  readonly length: number;
}

/**
 * Writes what was read again where it was read: it may be in the cache alone, and what a failed sync has thrown away is
 * written by no later one (S3). The other area must not be written before a sync has returned.
 */
export function rewriteMap(file: File, place: MapPlace, { area, length }: MapContents): void {
  const offset = areaOffset(place, area);
  file.write(offset, Buffer.from(file.readNow(offset, length)));
}

/** Reads both areas and returns the newest complete generation. @throws DeviceError `damaged`, with the offset */
export function readMap(file: File, place: MapPlace): MapContents {
  const first = readArea(file, place, 0);
  const second = readArea(file, place, 1);
  const [newest, other] = first.generation >= second.generation ? [first, second] : [second, first];
  if (newest.generation === 0) throw damaged(place, areaOffset(place, 0), 'neither metadata area has a good sector');
  // An area whose first sector is bad may hold a generation newer than any seen: going back behind it would be a guess.
  if (other.first === 'bad')
    throw damaged(place, other.offset, `the first sector of metadata area ${other.area} is damaged`);
  const chosen = newest.contents === undefined ? whenTorn(newest, other, place) : newest;
  if (chosen.trouble !== undefined) throw damaged(place, chosen.trouble.offset, chosen.trouble.reason);
  return present(chosen.contents, 'contents of a complete area');
}

/**
 * The newest generation's checkpoint is incomplete: its writing was cut by a crash, unless sectors of it are damaged.
 */
function whenTorn(newest: Area, other: Area, place: MapPlace): Area {
  if (newest.bad !== undefined) throw damaged(place, newest.bad.offset, newest.bad.reason);
  if (newest.stableSequence > 0)
    throw damaged(
      place,
      newest.offset,
      `the checkpoint of generation ${newest.generation} was stable and has lost sectors`,
    );
  if (other.contents === undefined || other.generation !== newest.generation - 1) {
    throw damaged(place, other.offset, `generation ${newest.generation - 1} of the map is missing`);
  }
  return other;
}

interface Trouble {
  readonly offset: number;
  readonly reason: string;
}

interface Area {
  readonly area: number;
  readonly offset: number;
  readonly first: 'good' | 'zero' | 'bad';
  /** The highest seen; 0: none. */
  readonly generation: number;
  /** The highest that a sector of this generation calls stable. */
  readonly stableSequence: number;
  /** The first sector that is neither good nor zeros. */
  readonly bad: Trouble | undefined;
  /** Trouble of the log if this area is the one to use. */
  readonly trouble: Trouble | undefined;
  /** Undefined when the checkpoint is not complete. */
  readonly contents: MapContents | undefined;
}

function readArea(file: File, place: MapPlace, area: number): Area {
  const offset = areaOffset(place, area);
  const buffer = asBuffer(file.readNow(offset, place.areaBytes));
  const sectors = decodeSectors(buffer, place.seed);
  const good = sectors.filter((sector) => sector.kind === 'good');
  const generation = good.reduce((highest, sector) => Math.max(highest, sector.generation), 0);
  const newest = good.filter((sector) => sector.generation === generation);
  const stableSequence = newest.reduce((highest, sector) => Math.max(highest, sector.stableSequence), 0);
  const stableBytes = newest.reduce((highest, sector) => Math.max(highest, sector.stableBytes), 0);
  const bad = troubleAt(
    sectors,
    sectors.findIndex((sector) => sector.kind === 'bad'),
    offset,
  );
  const { entries, end } = entriesOf(sectors, generation);
  const complete = entries.some((entry) => entry.kind === 'checkpoint-end');
  const lost = `entries up to number ${stableSequence} were stable, those after ${entries.length} are missing`;
  const trouble =
    troubleAt(sectors, end, offset) ??
    (stableSequence > entries.length ? { offset: offset + end * sectorBytes, reason: lost } : undefined);
  const length = end * sectorBytes;
  const contents = complete
    ? { generation, area, entries, stableCount: stableSequence, stableBytes, length }
    : undefined;
  return { area, offset, first: sectors[0]?.kind ?? 'zero', generation, stableSequence, bad, trouble, contents };
}

/** Most of an area was never written: long rows of zeros are not looked at sector by sector. */
function decodeSectors(bytes: Buffer, seed: number): SectorResult[] {
  const sectors: SectorResult[] = [];
  const rowSectors = 128;
  const zero = { kind: 'zero' } as const;
  const count = Math.floor(bytes.length / sectorBytes);
  for (let row = 0; row < count; row += rowSectors) {
    const end = Math.min(count, row + rowSectors);
    const untouched = isZero(bytes.subarray(row * sectorBytes, end * sectorBytes));
    for (let index = row; index < end; index += 1) {
      sectors.push(
        untouched ? zero : decodeSector(bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes), index, seed),
      );
    }
  }
  return sectors;
}

function troubleAt(sectors: readonly SectorResult[], index: number, offset: number): Trouble | undefined {
  const sector = sectors[index];
  return sector?.kind === 'bad'
    ? { offset: offset + index * sectorBytes, reason: `metadata sector: ${sector.reason}` }
    : undefined;
}

/** The entries of the unbroken row of sectors of `generation` at the start, and the index of the sector after it. */
function entriesOf(
  sectors: readonly SectorResult[],
  generation: number,
): { readonly entries: MapEntry[]; readonly end: number } {
  const entries: MapEntry[] = [];
  let end = 0;
  for (const sector of sectors) {
    if (sector.kind !== 'good' || sector.generation !== generation || sector.firstSequence !== entries.length + 1)
      break;
    entries.push(...sector.entries);
    end += 1;
  }
  return { entries, end };
}

function damaged(place: MapPlace, offset: number, reason: string): DeviceError {
  return new DeviceError('damaged', `${place.path}: damaged at offset ${offset}: ${reason}`);
}

/**
 * The writing side. Every method writes into the cache; the device's sync makes it stable and is told to `noteStable`.
 */
export class MapLog {
  readonly #file: File;
  readonly #place: MapPlace;
  #generation: number;
  #area: number;
  #sector = Buffer.alloc(sectorBytes);
  #index = 0;
  #used = 0;
  #count = 0;
  #sequence = 0;
  #stableSequence = 0;
  #stableBytes: number;
  /** Bytes of each area that have been written, so that writing them again needs no space. */
  readonly #materialized: [number, number];
  #checkpointEnd = 0;

  constructor(file: File, place: MapPlace, generation: number, area: number, stableBytes: number) {
    this.#file = file;
    this.#place = place;
    this.#generation = generation;
    this.#area = area;
    this.#stableBytes = stableBytes;
    this.#materialized = [0, 0];
  }

  /** Sequence of the last entry, with its generation: what a sync that begins now will make stable. */
  get mark(): { readonly generation: number; readonly sequence: number } {
    return { generation: this.#generation, sequence: this.#sequence };
  }

  /** The present generation's checkpoint is stable, so that the other area may be written again. */
  get canCheckpoint(): boolean {
    return this.#stableSequence > 0;
  }

  /** Worth a checkpoint: the log is longer than what it says. */
  get wantsCheckpoint(): boolean {
    return this.canCheckpoint && this.#position > 2 * this.#checkpointEnd + 64 * sectorBytes;
  }

  /** Bytes left in the area. */
  get room(): number {
    return this.#place.areaBytes - this.#position - sectorBytes;
  }

  get #position(): number {
    return this.#index * sectorBytes;
  }

  /**
   * Makes both areas occupy their first `bytes`, so that the map can be written on a full file system. @throws
   * FilesError `full`
   */
  materialize(bytes: number): void {
    const wanted = Math.min(this.#place.areaBytes, Math.ceil(bytes / materializeStepBytes) * materializeStepBytes);
    for (const area of [0, 1] as const) {
      // Until the present generation is stable the other area is the map.
      if (area !== this.#area && !this.canCheckpoint) continue;
      // In the present area only what lies beyond the log may be zeroed.
      const from = Math.max(this.#materialized[area], area === this.#area ? this.#position + sectorBytes : 0);
      if (from >= wanted) continue;
      this.#file.write(areaOffset(this.#place, area) + from, Buffer.alloc(wanted - from));
      this.#materialized[area] = wanted;
    }
  }

  /** Begins the next generation in the other area. REQUIRES: `canCheckpoint`, or nothing written yet by this object. */
  checkpoint(entries: readonly MapEntry[]): void {
    assert(this.canCheckpoint || this.#sequence === 0, 'a checkpoint must not overwrite the only stable map');
    this.#generation += 1;
    this.#area = 1 - this.#area;
    this.#index = 0;
    this.#sequence = 0;
    this.#stableSequence = 0;
    this.#beginSector();
    for (const entry of entries) this.#add(entry);
    this.#add({ kind: 'checkpoint-end' });
    this.#writeSector();
    this.#checkpointEnd = this.#position;
  }

  /** REQUIRES: `room`. @throws FilesError; the entries are then not in the log. */
  append(entries: readonly MapEntry[]): void {
    const before = {
      index: this.#index,
      used: this.#used,
      count: this.#count,
      sequence: this.#sequence,
      sector: Buffer.from(this.#sector),
    };
    try {
      for (const entry of entries) this.#add(entry);
      this.#writeSector();
    } catch (cause) {
      this.#index = before.index;
      this.#used = before.used;
      this.#count = before.count;
      this.#sequence = before.sequence;
      this.#sector = before.sector;
      // A sector that took some of the entries is there already, so putting it back needs no space.
      this.#writeSector();
      throw cause;
    }
  }

  /** A sync that began at `mark` has returned. Says so in the log, which costs no sync: the next one takes it along. */
  noteStable(mark: { readonly generation: number; readonly sequence: number }, fileBytes: number): void {
    if (mark.generation !== this.#generation) return;
    const news = mark.sequence > this.#stableSequence;
    this.#stableSequence = mark.sequence;
    this.#stableBytes = fileBytes;
    if (news) this.#writeSector();
  }

  #add(entry: MapEntry): void {
    const bytes = encodeEntry(entry);
    if (this.#used + bytes.length > roomBytes) {
      this.#writeSector();
      this.#index += 1;
      this.#beginSector();
    }
    assert(this.#position < this.#place.areaBytes, 'the map fits its area');
    bytes.copy(this.#sector, headerBytes + this.#used);
    this.#used += bytes.length;
    this.#count += 1;
    this.#sequence += 1;
  }

  #beginSector(): void {
    this.#sector = Buffer.alloc(sectorBytes);
    this.#used = 0;
    this.#count = 0;
  }

  #writeSector(): void {
    const sector = this.#sector;
    sector.writeUInt32LE(magic, 0);
    sector.writeUIntLE(this.#generation, 8, 6);
    sector.writeUInt32LE(this.#index, 14);
    sector.writeUInt16LE(this.#used, 18);
    sector.writeUInt16LE(this.#count, 20);
    sector.writeUIntLE(this.#sequence - this.#count + 1, 22, 6);
    sector.writeUIntLE(this.#stableSequence, 28, 6);
    sector.writeUIntLE(this.#stableBytes, 34, 6);
    sector.writeUInt32LE(checksum(sector.subarray(8), this.#place.seed), 4);
    this.#file.write(areaOffset(this.#place, this.#area) + this.#position, sector);
  }
}
