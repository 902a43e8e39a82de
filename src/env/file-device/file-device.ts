/**
 * The `file` device: a zoned device in one file, handed out to zones in extents.
 *
 *   file = superblock metadata-area metadata-area extent*         see superblock.ts, map-log.ts, extents.ts
 *
 * Invariants:
 * - One fdatasync makes everything stable: data, the map that says where they are, and zeros, all being writes to one file.
 * - An extent is written by a zone only after the entry that gives it to the zone is in the log, and goes to another zone only after the
 *   entry that took it away is stable.
 * - Beyond a zone's last byte it reads as zeros, after a crash too (for one exception, which S9 bears, see Extents.take).
 * - Zeros are written into the cache by the thread that appends, always at or beyond the write pointer, and the call has returned before the
 *   next append begins: so no append can enter a range whose prefill is in flight. The device asserts it all the same.
 * - A sync or write of the file that fails is final (S17): afterwards only reads work.
 */
import { assert, present } from '../../base/assert.ts';
import type { Clock } from '../clock.ts';
import type { File } from '../files.ts';
import { FilesError } from '../files.ts';
import type { DeviceGeometry, DeviceZone, ZonedDevice, ZoneReport, ZoneState } from '../zoned-device.ts';
import { DeviceError } from '../zoned-device.ts';
import type { Extents, Taken } from './extents.ts';
import type { MapEntry, MapLog } from './map-log.ts';
import { checkpointBytes } from './map-log.ts';
import type { Layout } from './options.ts';
import type { Superblock } from './superblock.ts';
import { GroupSync } from './group-sync.ts';

const KIB = 1024;
/** Zeros written per sync ahead of the write pointers: small, so that no single sync pays for much. */
const prefillStepBytes = 256 * KIB;
/** Batches of this mean size gain nothing from prefilled space, which then only doubles the traffic (bench/device.ts). */
const prefillBatchBytesMax = 128 * KIB;
/** Extents zeroed per sync for later use, and kept in stock. */
const cleaningPerSync = 2;
const cleanStock = 8;
/** With fewer free extents none is taken ahead of need. */
const prefillFreeExtentsMin = 16;
const zeros = Buffer.alloc(prefillStepBytes);

/** A zone that is not empty. */
export interface Zone {
  readonly extents: number[];
  /** Bytes from the start of each extent that are known to be zeros or the zone's own: `extentBytes` when it was handed out clean. */
  readonly clean: boolean[];
  writePointer: number;
  known: boolean;
  finished: boolean;
  /** Written to since the device was opened. */
  opened: boolean;
  /** False after a recovery that kept what lies beyond the write pointer. */
  writable: boolean;
  /** Zeros lie in [writePointer, zeroedTo). */
  zeroedTo: number;
  /** Zeros ahead fell below half of what is wanted and are being filled up: in bursts, since a sync with few zeros costs as much as one with many. */
  filling: boolean;
}

export interface FileDeviceParts {
  readonly path: string;
  readonly file: File;
  readonly superblock: Superblock;
  readonly layout: Layout;
  readonly map: MapLog;
  readonly extents: Extents;
  readonly zones: Map<DeviceZone, Zone>;
  readonly created: boolean;
  /** The file is known to be at least so long on the medium. */
  readonly stableBytes: number;
}

export class FileDevice implements ZonedDevice {
  readonly geometry: DeviceGeometry;
  /** 32 hexadecimal digits, drawn when the file was made (S16). */
  readonly deviceId: string;
  /** The file was made by this opening. */
  readonly created: boolean;
  readonly #path: string;
  readonly #file: File;
  readonly #layout: Layout;
  readonly #extentBytes: number;
  readonly #map: MapLog;
  readonly #extents: Extents;
  readonly #zones: Map<DeviceZone, Zone>;
  readonly #privileged = new Set<DeviceZone>();
  readonly #syncs: GroupSync;
  #failure: DeviceError | undefined;
  #closed = false;
  /** Counts changes, so that a sync of nothing costs nothing. */
  #changes = 0;
  #changesStable = 0;
  /** How far this object has written or knows the file to be stable. */
  #fileBytes: number;
  /** Bytes appended since the last sync began, and the mean of such sums. */
  #batchBytes = 0;
  #batchBytesMean = 0;
  /** Zones written since the last sync began. */
  #written = new Set<DeviceZone>();
  /** The zone whose zeros are being written at this moment. */
  #prefilling: DeviceZone | undefined;
  readonly #recovering = new Set<DeviceZone>();

  constructor(parts: FileDeviceParts, clock: Clock) {
    const { superblock, layout } = parts;
    this.geometry = { zoneCount: layout.zoneCount, zoneCapacity: superblock.zoneCapacity, alignment: superblock.alignment };
    this.deviceId = superblock.deviceId;
    this.created = parts.created;
    this.#path = parts.path;
    this.#file = parts.file;
    this.#layout = layout;
    this.#extentBytes = superblock.extentBytes;
    this.#map = parts.map;
    this.#extents = parts.extents;
    this.#zones = parts.zones;
    this.#fileBytes = parts.stableBytes;
    this.#syncs = new GroupSync(() => this.#syncOnce(), clock);
  }

  /** Bytes that zones can hold together, reserve included. */
  get capacityBytes(): number {
    return this.#layout.extentCount * this.#extentBytes;
  }

  /** Bytes of the extents that zones have. */
  get occupiedBytes(): number {
    return this.#extents.usedCount * this.#extentBytes;
  }

  /** Bytes of extents that ordinary zones can still get. */
  get freeBytes(): number {
    return this.#extents.freeCount * this.#extentBytes;
  }

  /** When the sync under way began, by the clock; undefined: none is. For the operator: a sync may hang. */
  get syncingSince(): number | undefined {
    return this.#syncs.since;
  }

  /** Why the device is `failed`; undefined: it is not. */
  get failure(): DeviceError | undefined {
    return this.#failure;
  }

  /** Lets `zone` take the reserve: for what must be written on a full device. Lasts until the device is closed or the zone is reset. */
  privilege(zone: DeviceZone): void {
    this.#checkZone(zone);
    this.#privileged.add(zone);
  }

  reportZones(): readonly ZoneReport[] {
    return Array.from({ length: this.geometry.zoneCount }, (_, zone) => this.reportZone(zone));
  }

  reportZone(zone: DeviceZone): ZoneReport {
    this.#checkZone(zone);
    const found = this.#zones.get(zone);
    const capacity = this.geometry.zoneCapacity;
    if (found === undefined) return { zone, state: 'empty', writePointer: 0, writePointerKnown: true, capacity, occupied: 0 };
    const occupied = found.extents.length * this.#extentBytes;
    return { zone, state: stateOf(found, capacity), writePointer: found.writePointer, writePointerKnown: found.known, capacity, occupied };
  }

  write(zone: DeviceZone, offset: number, bytes: Uint8Array): void {
    this.#checkWorking();
    const found = this.#checkWrite(zone, offset, bytes.length);
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    const extentsBefore = found.extents.length;
    this.#grow(zone, found, end);
    assert(this.#prefilling === undefined, 'an append enters no range whose prefill is in flight');
    try {
      this.#writeThrough(found, offset, bytes);
    } catch (cause) {
      this.#undoWrite(zone, found, extentsBefore, offset, bytes.length);
      throw this.#deviceError(cause, `write of ${bytes.length} bytes at ${offset} of zone ${zone}`);
    }
    found.writePointer = end;
    found.zeroedTo = Math.max(found.zeroedTo, end);
    found.opened = true;
    if (!this.#zones.has(zone)) this.#zones.set(zone, found);
    this.#changes += 1;
    this.#batchBytes += bytes.length;
    this.#written.add(zone);
  }

  async read(zone: DeviceZone, offset: number, length: number): Promise<Uint8Array> {
    const pieces = this.#pieces(zone, offset, length);
    const parts = await Promise.all(pieces.map(async (piece) => {
      if (piece.at === undefined) return new Uint8Array(piece.length);
      try {
        return await this.#file.read(piece.at, piece.length);
      } catch (cause) {
        throw this.#readError(cause, zone, offset, length);
      }
    }));
    return joined(parts, pieces, length);
  }

  readNow(zone: DeviceZone, offset: number, length: number): Uint8Array {
    const pieces = this.#pieces(zone, offset, length);
    try {
      const parts = pieces.map((piece) => (piece.at === undefined ? new Uint8Array(piece.length) : this.#file.readNow(piece.at, piece.length)));
      return joined(parts, pieces, length);
    } catch (cause) {
      throw this.#readError(cause, zone, offset, length);
    }
  }

  async sync(): Promise<void> {
    this.#checkWorking();
    if (this.#changes === this.#changesStable) return;
    await this.#syncs.request();
  }

  reset(zone: DeviceZone): void {
    this.#checkWorking();
    this.#checkZone(zone);
    const found = this.#zones.get(zone);
    if (found === undefined) return;
    this.#record([{ kind: 'reset', zone }]);
    this.#extents.release(found.extents);
    this.#zones.delete(zone);
    this.#privileged.delete(zone);
  }

  finish(zone: DeviceZone, length: number): void {
    this.#checkWorking();
    this.#checkZone(zone);
    const found = this.#zones.get(zone) ?? newZone();
    if (found.finished) throw invalid(`zone ${zone} is finished already`);
    if (!found.known) throw invalid(`zone ${zone} must be recovered before it is finished`);
    if (!Number.isSafeInteger(length) || length < 0 || length > found.writePointer) {
      throw invalid(`zone ${zone} cannot be finished at ${length}: its write pointer is ${found.writePointer}`);
    }
    this.#record([{ kind: 'finish', zone, length }]);
    this.#zones.set(zone, found);
    found.finished = true;
    found.writePointer = length;
    this.#releaseBeyond(found, Math.ceil(length / this.#extentBytes));
  }

  async recover(zone: DeviceZone, stableBefore: number, writePointer: number, keepBeyond: boolean): Promise<void> {
    this.#checkWorking();
    this.#checkZone(zone);
    const found = this.#zones.get(zone);
    if (found === undefined || found.known) throw invalid(`zone ${zone} is not waiting to be recovered`);
    if (!(stableBefore >= 0 && stableBefore <= writePointer && writePointer <= found.writePointer)) {
      throw invalid(`zone ${zone}: cannot recover [${stableBefore}, ${writePointer}) of at most ${found.writePointer} bytes`);
    }
    if (writePointer % this.geometry.alignment !== 0) throw invalid(`zone ${zone}: write pointer ${writePointer} is not aligned`);
    if (this.#recovering.has(zone)) throw invalid(`zone ${zone} is being recovered`);
    this.#recovering.add(zone);
    try {
      await this.#rewrite(zone, found, stableBefore, writePointer);
    } finally {
      this.#recovering.delete(zone);
    }
    if (!keepBeyond) this.#dropBeyond(zone, found, writePointer);
    found.known = true;
    found.writePointer = writePointer;
    found.writable = !keepBeyond;
    found.zeroedTo = keepBeyond ? writePointer : found.extents.length * this.#extentBytes;
    await this.sync();
  }

  /** What was not synced may be lost. Waits for the sync under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#syncs.idle();
    await this.#file.close();
  }

  // --- checks ------------------------------------------------------------------------------------------------------------

  #checkWorking(): void {
    this.#checkNotFailed();
    if (this.#closed) throw invalid(`${this.#path} is closed`);
  }

  #checkNotFailed(): void {
    if (this.#failure !== undefined) {
      throw new DeviceError('failed', `${this.#path}: an earlier write or sync failed (S17): ${this.#failure.message}`, { cause: this.#failure });
    }
  }

  #checkZone(zone: DeviceZone): void {
    if (!Number.isSafeInteger(zone) || zone < 0 || zone >= this.geometry.zoneCount) {
      throw invalid(`no zone ${zone}: the device has ${this.geometry.zoneCount}`);
    }
  }

  #checkWrite(zone: DeviceZone, offset: number, length: number): Zone {
    this.#checkZone(zone);
    const found = this.#zones.get(zone) ?? newZone();
    const { alignment, zoneCapacity } = this.geometry;
    if (found.finished) throw invalid(`zone ${zone} is full`);
    if (!found.known || !found.writable) throw invalid(`zone ${zone} must be recovered, dropping what lies beyond, before it is written`);
    if (offset !== found.writePointer) throw invalid(`write at ${offset} of zone ${zone}, whose write pointer is ${found.writePointer}`);
    if (length % alignment !== 0) throw invalid(`write of ${length} bytes: not a multiple of ${alignment}`);
    if (offset + length > zoneCapacity) throw invalid(`write of ${length} bytes at ${offset}: beyond the zone's capacity of ${zoneCapacity}`);
    return found;
  }

  #readError(cause: unknown, zone: DeviceZone, offset: number, length: number): DeviceError {
    const text = cause instanceof Error ? cause.message : String(cause);
    return new DeviceError('io', `${this.#path}: read of ${length} bytes at ${offset} of zone ${zone}: ${text}`, { cause });
  }

  /** Of a failed write or sync: anything but `full` is final. */
  #deviceError(cause: unknown, what: string): DeviceError {
    if (cause instanceof DeviceError) return cause;
    const text = `${this.#path}: ${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
    if (cause instanceof FilesError && cause.code === 'full') return new DeviceError('full', text, { cause });
    return this.#fail(new DeviceError('io', text, { cause }));
  }

  #fail(error: DeviceError): DeviceError {
    this.#failure ??= error;
    return error;
  }

  // --- places ------------------------------------------------------------------------------------------------------------

  /** Where [offset, offset + length) of a zone lies in the file, neighbours joined; `at` is undefined where it lies nowhere. */
  #pieces(zone: DeviceZone, offset: number, length: number): Piece[] {
    this.#checkZone(zone);
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > this.geometry.zoneCapacity) {
      throw invalid(`no bytes [${offset}, ${offset} + ${length}) in a zone of ${this.geometry.zoneCapacity}`);
    }
    return this.#piecesOf(this.#zones.get(zone)?.extents ?? [], offset, length);
  }

  #piecesOf(extents: readonly number[], offset: number, length: number): Piece[] {
    const pieces: Piece[] = [];
    for (let from = offset; from < offset + length; ) {
      const position = Math.floor(from / this.#extentBytes);
      const within = from - position * this.#extentBytes;
      const count = Math.min(this.#extentBytes - within, offset + length - from);
      const extent = extents[position];
      const at = extent === undefined ? undefined : this.#layout.dataOffset + extent * this.#extentBytes + within;
      const last = pieces.at(-1);
      if (last !== undefined && (at === undefined ? last.at === undefined : last.at !== undefined && last.at + last.length === at)) last.length += count;
      else pieces.push({ at, length: count });
      from += count;
    }
    return pieces;
  }

  #writeThrough(zone: Zone, offset: number, bytes: Uint8Array): void {
    let done = 0;
    for (const piece of this.#piecesOf(zone.extents, offset, bytes.length)) {
      const at = piece.at;
      assert(at !== undefined, 'a zone writes into its own extents');
      this.#file.write(at, done === 0 && piece.length === bytes.length ? bytes : bytes.subarray(done, done + piece.length));
      done += piece.length;
      this.#fileBytes = Math.max(this.#fileBytes, at + piece.length);
    }
  }

  // --- extents -----------------------------------------------------------------------------------------------------------

  /** Gives the zone extents up to `end`, all or none. @throws DeviceError `full` */
  #grow(zone: DeviceZone, found: Zone, end: number): void {
    const wanted = Math.ceil(end / this.#extentBytes) - found.extents.length;
    if (wanted <= 0) return;
    const taken: Taken[] = [];
    try {
      for (let index = 0; index < wanted; index += 1) {
        const extent = this.#extents.take(this.#privileged.has(zone));
        if (extent === undefined) throw new DeviceError('full', `${this.#path}: full: ${this.#extents.usedCount} of ${this.#layout.extentCount} extents in use, ${this.#layout.reserveExtents} in reserve`);
        taken.push(extent);
        if (extent.kind === 'dirty') this.#zeroExtent(extent.extent);
      }
      this.#reserveMapRoom(this.#extents.usedCount);
      this.#record(allocations(zone, found.extents.length, taken));
    } catch (cause) {
      for (const extent of taken.reverse()) this.#extents.giveBack(extent);
      throw this.#deviceError(cause, `space for zone ${zone}`);
    }
    for (const extent of taken) {
      found.extents.push(extent.extent);
      found.clean.push(extent.kind !== 'fresh');
    }
  }

  /** Puts the zone back to what it was before a write that found no space: what had got through reads as zeros again. */
  #undoWrite(zone: DeviceZone, found: Zone, extentsBefore: number, offset: number, length: number): void {
    try {
      const kept = Math.min(length, extentsBefore * this.#extentBytes - offset);
      for (let done = 0; done < kept; done += zeros.length) this.#writeThrough(found, offset + done, zeros.subarray(0, Math.min(zeros.length, kept - done)));
    } catch (cause) {
      // Beyond the first block without space nothing was written, so there is nothing to undo; another failure is final.
      if (!(cause instanceof FilesError && cause.code === 'full')) this.#fail(new DeviceError('io', `${this.#path}: zeros after a failed write`, { cause }));
    }
    if (this.#failure !== undefined || found.extents.length === extentsBefore) return;
    this.#record([extentsBefore === 0 ? { kind: 'reset', zone } : { kind: 'trim', zone, count: extentsBefore }]);
    this.#releaseBeyond(found, extentsBefore);
  }

  #releaseBeyond(zone: Zone, count: number): void {
    this.#extents.release(zone.extents.splice(count));
    zone.clean.splice(count);
    zone.zeroedTo = Math.min(zone.zeroedTo, count * this.#extentBytes);
  }

  #zeroExtent(extent: number): void {
    const start = this.#layout.dataOffset + extent * this.#extentBytes;
    for (let done = 0; done < this.#extentBytes; done += zeros.length) {
      this.#file.write(start + done, zeros.subarray(0, Math.min(zeros.length, this.#extentBytes - done)));
    }
    this.#fileBytes = Math.max(this.#fileBytes, start + this.#extentBytes);
  }

  // --- the map -----------------------------------------------------------------------------------------------------------

  /** Room in both metadata areas for a map of so many extents, so that reset and finish work on a full file system. */
  #reserveMapRoom(extentCount: number): void {
    this.#map.materialize(3 * checkpointBytes(extentCount, this.#zones.size + 1) + 64 * KIB);
  }

  #record(entries: readonly MapEntry[]): void {
    if (this.#map.wantsCheckpoint) this.#checkpoint();
    // Only thousands of changes without a sync in between could fill an area, since a stable map is made short again.
    if (this.#map.room < 4 * KIB + 32 * entries.length) throw new DeviceError('full', `${this.#path}: the map's log is full until the next sync`);
    try {
      this.#map.append(entries);
    } catch (cause) {
      throw this.#deviceError(cause, 'the map');
    }
    this.#changes += 1;
  }

  #checkpoint(): void {
    try {
      this.#map.checkpoint(checkpointOf(this.#zones));
    } catch (cause) {
      throw this.#fail(new DeviceError('io', `${this.#path}: checkpoint of the map failed`, { cause }));
    }
  }

  // --- syncing and zeros -------------------------------------------------------------------------------------------------

  async #syncOnce(): Promise<void> {
    this.#checkNotFailed();
    const changes = this.#changes;
    const map = this.#map.mark;
    const extents = this.#extents.mark();
    const fileBytes = this.#fileBytes;
    const done = this.#file.sync();
    // The next zeros are written while the disk is busy; this sync need not wait for them.
    this.#noteBatch();
    this.#writeZerosAhead();
    try {
      await done;
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw this.#fail(new DeviceError('io', `${this.#path}: ${text}`, { cause }));
    }
    this.#changesStable = changes;
    this.#extents.noteStable(extents);
    try {
      this.#map.noteStable(map, fileBytes);
    } catch (cause) {
      throw this.#fail(new DeviceError('io', `${this.#path}: the map`, { cause }));
    }
  }

  #noteBatch(): void {
    this.#batchBytesMean += (this.#batchBytes - this.#batchBytesMean) / 8;
    this.#batchBytes = 0;
  }

  /** Throttled by being called once per sync: a step for the zone written last, and a few extents for the stock. */
  #writeZerosAhead(): void {
    if (this.#failure !== undefined || this.#closed) return;
    try {
      for (let count = 0; count < cleaningPerSync && this.#extents.cleanCount + this.#extents.zeroingCount < this.#layout.reserveExtents + cleanStock; count += 1) {
        const extent = this.#extents.takeDirty();
        if (extent === undefined) break;
        this.#zeroExtent(extent);
      }
      const written = this.#written;
      this.#written = new Set();
      if (this.#batchBytesMean > prefillBatchBytesMax) return;
      let budget = prefillStepBytes;
      for (const zone of written) budget -= this.#prefill(zone, budget);
    } catch (cause) {
      // Without space for zeros the appends themselves will say so.
      const full = (cause instanceof FilesError || cause instanceof DeviceError) && cause.code === 'full';
      if (!full) this.#fail(new DeviceError('io', `${this.#path}: writing zeros ahead`, { cause }));
    }
  }

  /** Writes at most `budget` zeros ahead of the zone's write pointer, in the spots that are not zeros already; returns how many. */
  #prefill(zone: DeviceZone, budget: number): number {
    const found = this.#zones.get(zone);
    if (found === undefined || found.finished || !found.known || !found.writable) return 0;
    const target = Math.min(this.geometry.zoneCapacity, found.writePointer + this.#layout.prefillBytes);
    const ahead = found.zeroedTo - found.writePointer;
    if (ahead < this.#layout.prefillBytes / 2) found.filling = true;
    if (!found.filling) return 0;
    let written = 0;
    while (written < budget && found.zeroedTo < target) {
      const position = Math.floor(found.zeroedTo / this.#extentBytes);
      if (position >= found.extents.length) {
        // Near the end of the space extents go to who needs them now.
        if (this.#extents.freeCount <= prefillFreeExtentsMin) return written;
        this.#grow(zone, found, (position + 1) * this.#extentBytes);
      }
      const end = (position + 1) * this.#extentBytes;
      if (present(found.clean[position], 'an extent of the zone')) {
        found.zeroedTo = end;
        continue;
      }
      const count = Math.min(budget - written, end - found.zeroedTo);
      assert(found.zeroedTo >= found.writePointer, 'prefill stays beyond the write pointer');
      this.#prefilling = zone;
      this.#writeThrough(found, found.zeroedTo, zeros.subarray(0, count));
      this.#prefilling = undefined;
      found.zeroedTo += count;
      written += count;
    }
    found.filling = found.zeroedTo < target;
    return written;
  }

  // --- recovery ----------------------------------------------------------------------------------------------------------

  async #rewrite(zone: DeviceZone, found: Zone, from: number, to: number): Promise<void> {
    for (let offset = from; offset < to; ) {
      const length = Math.min(this.#extentBytes, to - offset);
      const bytes = await this.read(zone, offset, length);
      this.#checkWorking();
      if (this.#zones.get(zone) !== found) throw invalid(`zone ${zone} was reset while it was recovered`);
      try {
        this.#writeThrough(found, offset, bytes);
      } catch (cause) {
        throw this.#deviceError(cause, `rewriting zone ${zone}`);
      }
      this.#changes += 1;
      offset += length;
    }
  }

  /** Gives back the extents beyond `writePointer` and zeroes the rest of the last one. */
  #dropBeyond(zone: DeviceZone, found: Zone, writePointer: number): void {
    const count = Math.ceil(writePointer / this.#extentBytes);
    if (count < found.extents.length) {
      this.#record([{ kind: 'trim', zone, count }]);
      this.#releaseBeyond(found, count);
    }
    const end = found.extents.length * this.#extentBytes;
    try {
      for (let offset = writePointer; offset < end; offset += zeros.length) {
        this.#writeThrough(found, offset, zeros.subarray(0, Math.min(zeros.length, end - offset)));
      }
    } catch (cause) {
      throw this.#deviceError(cause, `zeroing the end of zone ${zone}`);
    }
    this.#changes += 1;
  }
}

interface Piece {
  readonly at: number | undefined;
  length: number;
}

export function newZone(): Zone {
  return { extents: [], clean: [], writePointer: 0, known: true, finished: false, opened: false, writable: true, zeroedTo: 0, filling: false };
}

function stateOf(zone: Zone, capacity: number): ZoneState {
  if (zone.finished || (zone.known && zone.writePointer === capacity)) return 'full';
  if (zone.known && zone.writePointer === 0) return 'empty';
  return zone.opened ? 'open' : 'closed';
}

/** The bytes of the pieces in a row; what lies beyond the file's end is zeros. */
function joined(parts: readonly Uint8Array[], pieces: readonly Piece[], length: number): Uint8Array {
  const only = parts[0];
  if (parts.length === 1 && only?.length === length) return only;
  const bytes = new Uint8Array(length);
  let at = 0;
  parts.forEach((part, index) => {
    bytes.set(part, at);
    at += present(pieces[index], 'piece').length;
  });
  return bytes;
}

function allocations(zone: DeviceZone, position: number, taken: readonly Taken[]): MapEntry[] {
  return runs(taken.map((item) => item.extent)).map((run) => ({ kind: 'allocate', zone, position: position + run.index, extent: run.extent, count: run.count }));
}

/** Rows of consecutive extents. */
function runs(extents: readonly number[]): { readonly index: number; readonly extent: number; count: number }[] {
  const found: { readonly index: number; readonly extent: number; count: number }[] = [];
  extents.forEach((extent, index) => {
    const last = found.at(-1);
    if (last !== undefined && last.extent + last.count === extent) last.count += 1;
    else found.push({ index, extent, count: 1 });
  });
  return found;
}

/** Everything the map says, as entries. */
export function checkpointOf(zones: ReadonlyMap<DeviceZone, Zone>): MapEntry[] {
  const entries: MapEntry[] = [];
  for (const [zone, { extents, finished, writePointer }] of zones) {
    for (const run of runs(extents)) entries.push({ kind: 'allocate', zone, position: run.index, extent: run.extent, count: run.count });
    if (finished) entries.push({ kind: 'finish', zone, length: writePointer });
  }
  return entries;
}

function invalid(message: string): DeviceError {
  return new DeviceError('invalid', message);
}
