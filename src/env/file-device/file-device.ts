/**
 * The `file` device: a zoned device in one file, handed out to zones in extents.
 *
 *   file = superblock metadata-area metadata-area extent*         see superblock.ts, map-log.ts, extents.ts
 *
 * Invariants:
 * - One fdatasync makes everything stable: data, the map that says where they are, and zeros, all being writes to one
 *   file.
 * - Beyond a zone's last byte it reads as zeros, after a crash too (for one exception, which S9 bears, see
 *   Extents.take).
 * - A sync or write of the file that fails is final (S17): afterwards only reads work.
 *
 * Large because it is the one place that changes a zone: each verb with its checks.
 *
 * It owns the verbs: what each may do to a zone, and the zone's bytes and write pointer. It does not own the space
 * (zone-space.ts), zeros ahead of the write pointers (zeros-ahead.ts), the file and its failures (medium.ts), nor how
 * calls share a sync (group-sync.ts). What the zones' bytes mean is their user's business. Large because each verb
 * checks what it may do.
 */
import type { Clock } from '../clock.ts';
import type { File } from '../files.ts';
import type { DeviceGeometry, DeviceZone, LoggerDevice, ZoneReport } from '../zoned-device.ts';
import { DeviceError } from '../zoned-device.ts';
import type { Claim, Extents } from './extents.ts';
import { GroupSync } from './group-sync.ts';
import type { MapLog } from './map-log.ts';
import { isFull, Medium } from './medium.ts';
import type { Layout } from './options.ts';
import type { Superblock } from './superblock.ts';
import { ZerosAhead } from './zeros-ahead.ts';
import type { Piece, Zone } from './zone.ts';
import { newZone, piecesOf, stateOf, whyNotWritten } from './zone.ts';
import { ZoneSpace } from './zone-space.ts';

export interface FileDeviceParts {
  readonly path: string;
  readonly file: File;
  readonly superblock: Superblock;
  readonly layout: Layout;
  readonly map: MapLog;
  readonly extents: Extents;
  readonly zones: Map<DeviceZone, Zone>;
  readonly created: boolean;
  /** Length that the file is known to have at least on the medium. */
  readonly stableBytes: number;
}

interface BeforeWrite {
  /** Bytes where the write goes; undefined: zeros, or what can't be read. */
  readonly bytes: Uint8Array | undefined;
  /** Extents that the zone keeps. */
  readonly count: number;
}

export class FileDevice implements LoggerDevice {
  readonly geometry: DeviceGeometry;
  /** 32 hexadecimal digits, drawn when the file was made (S16). */
  readonly deviceId: string;
  /** The file was made by this opening. */
  readonly created: boolean;
  readonly #medium: Medium;
  readonly #extentBytes: number;
  readonly #extents: Extents;
  readonly #space: ZoneSpace;
  readonly #zeros: ZerosAhead;
  readonly #zones: Map<DeviceZone, Zone>;
  readonly #syncs: GroupSync;
  #closed = false;
  /** Counts changes, so that a sync of nothing costs nothing. */
  #changes = 0;
  #changesStable = 0;
  readonly #recovering = new Set<DeviceZone>();

  constructor(parts: FileDeviceParts, clock: Clock) {
    const { superblock, layout, map, extents, zones } = parts;
    this.geometry = {
      zoneCount: layout.zoneCount,
      zoneCapacity: superblock.zoneCapacity,
      alignment: superblock.alignment,
    };
    this.deviceId = superblock.deviceId;
    this.created = parts.created;
    const place = { dataOffset: layout.dataOffset, extentBytes: superblock.extentBytes };
    this.#medium = new Medium(parts.path, parts.file, place, parts.stableBytes);
    this.#extentBytes = superblock.extentBytes;
    this.#zones = zones;
    this.#extents = extents;
    const medium = this.#medium;
    const onChange = (): void => void (this.#changes += 1);
    this.#space = new ZoneSpace({ medium, layout, map, extents, zones, onChange });
    const { zoneCapacity } = this.geometry;
    this.#zeros = new ZerosAhead({ medium, layout, extents, zones, space: this.#space, zoneCapacity });
    this.#syncs = new GroupSync(() => this.#syncOnce(), clock);
  }

  /** Bytes that zones can hold together, reserve included. */
  get capacityBytes(): number {
    return this.#space.capacityBytes;
  }

  /** Bytes of the extents that zones have. */
  get occupiedBytes(): number {
    return this.#space.occupiedBytes;
  }

  /** Bytes of extents that ordinary zones can still get. */
  get freeBytes(): number {
    return this.#space.freeBytes;
  }

  /** Time at which the sync under way began, by the clock; undefined: none is. For the operator: a sync may hang. */
  get syncingSince(): number | undefined {
    return this.#syncs.since;
  }

  /** Cause of the state `failed`; undefined: the device works. */
  get failure(): DeviceError | undefined {
    return this.#medium.failure;
  }

  /**
   * Lets `zone` take the reserve: for what must be written on a full device. Lasts until the device is closed or the
   * zone is reset.
   */
  privilege(zone: DeviceZone): void {
    this.#checkZone(zone);
    this.#space.privilege(zone);
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

  write(zone: DeviceZone, offset: number, bytes: Uint8Array, urgent = false): void {
    this.#checkWorking();
    const found = this.#checkWrite(zone, offset, bytes.length);
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    this.#zeros.appendBegins();
    const claim = this.#space.claimOf(zone, urgent);
    if (claim === 'ordinary' && found.urgentFrom !== undefined) {
      this.#zeros.restock();
      this.#space.checkOrdinary(found, end);
    }
    // A file system without space may still have room in extents that the file occupies already.
    if (!this.#tryWrite(zone, found, offset, bytes, claim)) this.#tryWrite(zone, found, offset, bytes, claim, true);
    found.writePointer = end;
    found.zeroedTo = Math.max(found.zeroedTo, end);
    found.opened = true;
    if (!this.#zones.has(zone)) this.#zones.set(zone, found);
    this.#changes += 1;
    this.#zeros.appended(zone, bytes.length);
  }

  /** False: the file system had no space, the zone is as before, and another try may do. @throws DeviceError */
  #tryWrite(zone: DeviceZone, found: Zone, offset: number, bytes: Uint8Array, claim: Claim, isLast = false): boolean {
    const before = this.#beforeWrite(found, offset, bytes.length);
    this.#space.grow(zone, found, offset + bytes.length, claim);
    try {
      this.#medium.write(found, offset, bytes);
      return true;
    } catch (cause) {
      this.#undoWrite(zone, found, offset, bytes.length, before);
      if (isFull(cause)) this.#extents.noteFull();
      if (isFull(cause) && !isLast && this.#extents.hasMaterialized(claim)) return false;
      throw this.#medium.writeError(cause, `write of ${bytes.length} bytes at ${offset} of zone ${zone}`);
    }
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

  rewind(zone: DeviceZone, to: number): void {
    this.#checkWorking();
    this.#checkZone(zone);
    const found = this.#zones.get(zone) ?? newZone();
    if (found.finished || !found.known || to < 0 || to > found.writePointer)
      throw invalid(`zone ${zone} cannot go back to ${to}: its write pointer is ${found.writePointer}`);
    if (to === 0) return this.reset(zone);
    this.#dropBeyond(zone, found, to);
    found.writePointer = to;
    found.zeroedTo = found.extents.length * this.#extentBytes;
  }

  reset(zone: DeviceZone): void {
    this.#checkWorking();
    this.#checkZone(zone);
    const found = this.#zones.get(zone);
    if (found === undefined) return;
    this.#space.record([{ kind: 'reset', zone }]);
    this.#space.releaseBeyond(found, 0);
    this.#zones.delete(zone);
    this.#space.unprivilege(zone);
  }

  finish(zone: DeviceZone, length: number, keptTo = length): void {
    this.#checkWorking();
    this.#checkZone(zone);
    const found = this.#zones.get(zone) ?? newZone();
    if (found.finished) throw invalid(`zone ${zone} is finished already`);
    if (!found.known) throw invalid(`zone ${zone} must be recovered before it is finished`);
    if (!Number.isSafeInteger(length) || length < 0 || length > found.writePointer) {
      throw invalid(`zone ${zone} cannot be finished at ${length}: its write pointer is ${found.writePointer}`);
    }
    const count = Math.ceil(Math.max(length, keptTo) / this.#extentBytes);
    const trims = count < found.extents.length ? [{ kind: 'trim', zone, count } as const] : [];
    this.#space.record([...trims, { kind: 'finish', zone, length }]);
    this.#zones.set(zone, found);
    found.finished = true;
    found.writePointer = length;
    this.#space.releaseBeyond(found, count);
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
    found.keepsBeyond = keepBeyond;
    found.zeroedTo = keepBeyond ? writePointer : found.extents.length * this.#extentBytes;
    await this.sync();
  }

  /** Waits for the sync under way. Bytes that were not synced may be lost. Idempotent. */
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
    const reason = whyNotWritten(found, offset, length, this.geometry);
    if (reason !== undefined) throw invalid(`zone ${zone}: ${reason}`);
    return found;
  }

  /**
   * Pieces of the file in which [offset, offset + length) of a zone lies, neighbours joined; `at` is undefined where
   * it lies nowhere.
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

  // --- failed writes -------------------------------------------------------------------------------------------------

  /** State to which `#undoWrite` puts the zone back. */
  #beforeWrite(found: Zone, offset: number, length: number): BeforeWrite {
    const { extents, keepsBeyond } = found;
    if (!keepsBeyond) return { bytes: undefined, count: Math.ceil(offset / this.#extentBytes) };
    const pieces = piecesOf(extents, this.#medium.place, offset, length);
    return { bytes: this.#medium.readIfGood(pieces, length), count: extents.length };
  }

  /**
   * Puts the zone back to what it was before a write that found no space: what had got through reads as before, or
   * as zeros again, and extents that the write took, which may lack space, are given back. In a zone that keeps what
   * lies beyond its write pointer that stays, in the write's own range and behind it (S9, S19).
   */
  #undoWrite(zone: DeviceZone, found: Zone, offset: number, length: number, { bytes, count }: BeforeWrite): void {
    const end = Math.min(offset + length, count * this.#extentBytes);
    try {
      if (bytes === undefined) this.#medium.zero(found, offset, end);
      else this.#medium.putBack(found, offset, bytes.subarray(0, Math.max(0, end - offset)));
    } catch (cause) {
      // Beyond the first block without space nothing was written, so there is nothing to undo; another failure is
      // final.
      if (!isFull(cause)) this.#medium.fail(cause, 'zeros after a failed write');
    }
    if (this.#medium.failure !== undefined || found.extents.length === count) return;
    try {
      this.#space.record([count === 0 ? { kind: 'reset', zone } : { kind: 'trim', zone, count }]);
    } catch (cause) {
      // The map gives the zone what nobody here remembers.
      throw this.#medium.fail(cause, 'taking back space');
    }
    this.#space.releaseBeyond(found, count, true);
  }

  // --- syncing -------------------------------------------------------------------------------------------------------
  async #syncOnce(): Promise<void> {
    this.#medium.checkNotFailed();
    const changes = this.#changes;
    const mark = this.#space.mark();
    const done = this.#medium.sync();
    // The next zeros are written while the disk is busy; this sync need not wait for them.
    if (!this.#closed) this.#zeros.syncBegan();
    try {
      await done;
    } catch (cause) {
      throw this.#medium.fail(cause, 'sync');
    }
    this.#changesStable = changes;
    this.#space.noteStable(mark);
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
      this.#space.record([{ kind: 'trim', zone, count }]);
      this.#space.releaseBeyond(found, count);
    }
    const end = found.extents.length * this.#extentBytes;
    try {
      this.#medium.zeroEvenIfFull(found, writePointer, end);
    } catch (cause) {
      throw this.#medium.writeError(cause, `zeroing the end of zone ${zone}`);
    }
    this.#changes += 1;
  }
}

function invalid(message: string): DeviceError {
  return new DeviceError('invalid', message);
}
