/**
 * The `file` device: a zoned device in one file, handed out to zones in extents.
 *
 *   file = superblock metadata-area metadata-area extent*         see superblock.ts, map-log.ts, extents.ts
 *
 * Invariants:
 * - One fdatasync makes everything stable: data, the map that says where they are, and zeros, all being writes to one
 *   file.
 * - An extent is written by a zone only after the entry that gives it to the zone is in the log, and goes to another
 *   zone only after the
 *   entry that took it away is stable.
 * - Beyond a zone's last byte it reads as zeros, after a crash too (for one exception, which S9 bears, see
 *   Extents.take).
 * - Zeros are written into the cache by the thread that appends, always at or beyond the write pointer, and the call
 *   has returned before the
 *   next append begins: so no append can enter a range whose prefill is in flight. The device asserts it all the same.
 * - A sync or write of the file that fails is final (S17): afterwards only reads work.
 */
import { assert, present } from '../../base/assert.ts';
import type { Clock } from '../clock.ts';
import type { File } from '../files.ts';
import type { DeviceGeometry, DeviceZone, ZonedDevice, ZoneReport } from '../zoned-device.ts';
import { DeviceError } from '../zoned-device.ts';
import type { Extents, Taken } from './extents.ts';
import type { MapEntry, MapLog } from './map-log.ts';
import { checkpointBytes } from './map-log.ts';
import type { Layout } from './options.ts';
import type { Superblock } from './superblock.ts';
import type { Piece, Zone } from './zone.ts';
import { allocations, checkpointOf, newZone, piecesOf, stateOf } from './zone.ts';
import { isFull, Medium, zeros } from './medium.ts';
import { GroupSync } from './group-sync.ts';

const KIB = 1024;
/** Zeros written per sync ahead of the write pointers: small, so that no single sync pays for much. */
const prefillStepBytes = 256 * KIB;
assert(prefillStepBytes <= zeros.length, 'a step is one write');
/**
 * With batches of a larger mean size zeros ahead no longer pay (bench/device.ts, three devices on one disk: at 16 KiB
 * they double the rate, from 64 KiB on they cost 13% of it, since they double the traffic).
 */
const prefillBatchBytesMax = 48 * KIB;
/** Extents zeroed per sync for later use, and kept in stock. */
const cleaningPerSync = 2;
const cleanStock = 8;
/** With fewer free extents none is taken ahead of need. */
const prefillFreeExtentsMin = 16;

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
  readonly #medium: Medium;
  readonly #layout: Layout;
  readonly #extentBytes: number;
  readonly #map: MapLog;
  readonly #extents: Extents;
  readonly #zones: Map<DeviceZone, Zone>;
  readonly #privileged = new Set<DeviceZone>();
  readonly #syncs: GroupSync;
  #closed = false;
  /** Counts changes, so that a sync of nothing costs nothing. */
  #changes = 0;
  #changesStable = 0;
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
    this.geometry = {
      zoneCount: layout.zoneCount,
      zoneCapacity: superblock.zoneCapacity,
      alignment: superblock.alignment,
    };
    this.deviceId = superblock.deviceId;
    this.created = parts.created;
    const place = { dataOffset: layout.dataOffset, extentBytes: superblock.extentBytes };
    this.#medium = new Medium(parts.path, parts.file, place, parts.stableBytes);
    this.#layout = layout;
    this.#extentBytes = superblock.extentBytes;
    this.#map = parts.map;
    this.#extents = parts.extents;
    this.#zones = parts.zones;
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
    return this.#medium.failure;
  }

  /**
   * Lets `zone` take the reserve: for what must be written on a full device. Lasts until the device is closed or the
   * zone is reset.
   */
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
    if (found === undefined)
      return { zone, state: 'empty', writePointer: 0, writePointerKnown: true, capacity, occupied: 0 };
    const occupied = found.extents.length * this.#extentBytes;
    return {
      zone,
      state: stateOf(found, capacity),
      writePointer: found.writePointer,
      writePointerKnown: found.known,
      capacity,
      occupied,
    };
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
      this.#medium.write(found, offset, bytes);
    } catch (cause) {
      this.#undoWrite(zone, found, extentsBefore, offset, bytes.length);
      throw this.#medium.writeError(cause, `write of ${bytes.length} bytes at ${offset} of zone ${zone}`);
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
    return this.#medium.read(this.#pieces(zone, offset, length), length);
  }

  readNow(zone: DeviceZone, offset: number, length: number): Uint8Array {
    return this.#medium.readNow(this.#pieces(zone, offset, length), length);
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
      throw invalid(
        `zone ${zone}: cannot recover [${stableBefore}, ${writePointer}) of at most ${found.writePointer} bytes`,
      );
    }
    if (writePointer % this.geometry.alignment !== 0)
      throw invalid(`zone ${zone}: write pointer ${writePointer} is not aligned`);
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
    await this.#medium.close();
  }

  // --- checks --------------------------------------------------------------------------------------------------------

  #checkWorking(): void {
    this.#medium.checkNotFailed();
    if (this.#closed) throw invalid(`${this.#medium.path} is closed`);
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
    if (!found.known || !found.writable)
      throw invalid(`zone ${zone} must be recovered, dropping what lies beyond, before it is written`);
    if (offset !== found.writePointer)
      throw invalid(`write at ${offset} of zone ${zone}, whose write pointer is ${found.writePointer}`);
    if (length % alignment !== 0) throw invalid(`write of ${length} bytes: not a multiple of ${alignment}`);
    if (offset + length > zoneCapacity)
      throw invalid(`write of ${length} bytes at ${offset}: beyond the zone's capacity of ${zoneCapacity}`);
    return found;
  }

  // --- places --------------------------------------------------------------------------------------------------------

  /**
   * Where [offset, offset + length) of a zone lies in the file, neighbours joined; `at` is undefined where it lies
   * nowhere.
   */
  #pieces(zone: DeviceZone, offset: number, length: number): Piece[] {
    this.#checkZone(zone);
    if (
      !Number.isSafeInteger(offset) ||
      !Number.isSafeInteger(length) ||
      offset < 0 ||
      length < 0 ||
      offset + length > this.geometry.zoneCapacity
    ) {
      throw invalid(`no bytes [${offset}, ${offset} + ${length}) in a zone of ${this.geometry.zoneCapacity}`);
    }
    return piecesOf(this.#zones.get(zone)?.extents ?? [], this.#medium.place, offset, length);
  }

  // --- extents -------------------------------------------------------------------------------------------------------

  /** Gives the zone extents up to `end`, all or none. @throws DeviceError `full` */
  #grow(zone: DeviceZone, found: Zone, end: number): void {
    const wanted = Math.ceil(end / this.#extentBytes) - found.extents.length;
    if (wanted <= 0) return;
    const taken: Taken[] = [];
    try {
      for (let index = 0; index < wanted; index += 1) {
        const extent = this.#extents.take(this.#privileged.has(zone));
        if (extent === undefined) throw this.#noSpace();
        taken.push(extent);
        if (extent.kind === 'dirty') this.#medium.zeroExtent(extent.extent);
      }
      this.#reserveMapRoom(this.#extents.usedCount);
      this.#record(allocations(zone, found.extents.length, taken));
    } catch (cause) {
      for (const extent of taken.reverse()) this.#extents.giveBack(extent);
      throw this.#medium.writeError(cause, `space for zone ${zone}`);
    }
    for (const extent of taken) {
      found.extents.push(extent.extent);
      found.clean.push(extent.kind !== 'fresh');
    }
  }

  #noSpace(): DeviceError {
    const { extentCount, reserveExtents } = this.#layout;
    const what = `${this.#extents.usedCount} of ${extentCount} extents in use, ${reserveExtents} in reserve`;
    return new DeviceError('full', `${this.#medium.path}: full: ${what}`);
  }

  /**
   * Puts the zone back to what it was before a write that found no space: what had got through reads as zeros again.
   */
  #undoWrite(zone: DeviceZone, found: Zone, extentsBefore: number, offset: number, length: number): void {
    try {
      this.#medium.zero(found, offset, Math.min(offset + length, extentsBefore * this.#extentBytes));
    } catch (cause) {
      // Beyond the first block without space nothing was written, so there is nothing to undo; another failure is
      // final.
      if (!isFull(cause)) this.#medium.fail(cause, 'zeros after a failed write');
    }
    if (this.#medium.failure !== undefined || found.extents.length === extentsBefore) return;
    this.#record([extentsBefore === 0 ? { kind: 'reset', zone } : { kind: 'trim', zone, count: extentsBefore }]);
    this.#releaseBeyond(found, extentsBefore);
  }

  #releaseBeyond(zone: Zone, count: number): void {
    this.#extents.release(zone.extents.splice(count));
    zone.clean.splice(count);
    zone.zeroedTo = Math.min(zone.zeroedTo, count * this.#extentBytes);
  }

  // --- the map -------------------------------------------------------------------------------------------------------

  /** Room in both metadata areas for a map of so many extents, so that reset and finish work on a full file system. */
  #reserveMapRoom(extentCount: number): void {
    this.#map.materialize(3 * checkpointBytes(extentCount, this.#zones.size + 1) + 64 * KIB);
  }

  #record(entries: readonly MapEntry[]): void {
    if (this.#map.wantsCheckpoint) this.#checkpoint();
    // Only thousands of changes without a sync in between could fill an area, since a stable map is made short again.
    if (this.#map.room < 4 * KIB + 32 * entries.length)
      throw new DeviceError('full', `${this.#medium.path}: the map's log is full until the next sync`);
    try {
      this.#map.append(entries);
    } catch (cause) {
      throw this.#medium.writeError(cause, 'the map');
    }
    this.#changes += 1;
  }

  #checkpoint(): void {
    try {
      this.#map.checkpoint(checkpointOf(this.#zones));
    } catch (cause) {
      throw this.#medium.fail(cause, 'checkpoint of the map');
    }
  }

  // --- syncing and zeros ---------------------------------------------------------------------------------------------

  async #syncOnce(): Promise<void> {
    this.#medium.checkNotFailed();
    const changes = this.#changes;
    const map = this.#map.mark;
    const extents = this.#extents.mark();
    const fileBytes = this.#medium.fileBytes;
    const done = this.#medium.sync();
    // The next zeros are written while the disk is busy; this sync need not wait for them.
    this.#noteBatch();
    this.#writeZerosAhead();
    try {
      await done;
    } catch (cause) {
      throw this.#medium.fail(cause, 'sync');
    }
    this.#changesStable = changes;
    this.#extents.noteStable(extents);
    try {
      this.#map.noteStable(map, fileBytes);
    } catch (cause) {
      throw this.#medium.fail(cause, 'the map');
    }
  }

  #noteBatch(): void {
    this.#batchBytesMean += (this.#batchBytes - this.#batchBytesMean) / 8;
    this.#batchBytes = 0;
  }

  /** Throttled by being called once per sync: a step for the zone written last, and a few extents for the stock. */
  #writeZerosAhead(): void {
    if (this.#medium.failure !== undefined || this.#closed) return;
    try {
      for (
        let count = 0;
        count < cleaningPerSync &&
        this.#extents.cleanCount + this.#extents.zeroingCount < this.#layout.reserveExtents + cleanStock;
        count += 1
      ) {
        const extent = this.#extents.takeDirty();
        if (extent === undefined) break;
        this.#medium.zeroExtent(extent);
      }
      const written = this.#written;
      this.#written = new Set();
      if (this.#batchBytesMean > prefillBatchBytesMax) return;
      let budget = prefillStepBytes;
      for (const zone of written) budget -= this.#prefill(zone, budget);
    } catch (cause) {
      // Without space for zeros the appends themselves will say so.
      if (!isFull(cause)) this.#medium.fail(cause, 'writing zeros ahead');
    }
  }

  /**
   * Writes at most `budget` zeros ahead of the zone's write pointer, in the spots that are not zeros already; returns
   * how many.
   */
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
      this.#medium.write(found, found.zeroedTo, zeros.subarray(0, count));
      this.#prefilling = undefined;
      found.zeroedTo += count;
      written += count;
    }
    found.filling = found.zeroedTo < target;
    return written;
  }

  // --- recovery ------------------------------------------------------------------------------------------------------

  async #rewrite(zone: DeviceZone, found: Zone, from: number, to: number): Promise<void> {
    for (let offset = from; offset < to; ) {
      const length = Math.min(this.#extentBytes, to - offset);
      const bytes = await this.read(zone, offset, length);
      this.#checkWorking();
      if (this.#zones.get(zone) !== found) throw invalid(`zone ${zone} was reset while it was recovered`);
      try {
        this.#medium.write(found, offset, bytes);
      } catch (cause) {
        throw this.#medium.writeError(cause, `rewriting zone ${zone}`);
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
      this.#medium.zero(found, writePointer, end);
    } catch (cause) {
      throw this.#medium.writeError(cause, `zeroing the end of zone ${zone}`);
    }
    this.#changes += 1;
  }
}

function invalid(message: string): DeviceError {
  return new DeviceError('invalid', message);
}
