/**
 * Space of a `file` device: which extents a zone has, and the entries of the map that say so.
 *
 * - An extent is written by a zone only after the entry that gives it to the zone is in the log, and goes to another
 *   zone only after the entry that took it away is stable.
 * - Reset and finish work on a full file system: the map has room for their entries beforehand.
 *
 * It owns extents, map and who may take the reserve. It does not own the zones' bytes and write pointers
 * (file-device.ts), how zeros get ahead of them (zeros-ahead.ts), nor when a sync is due.
 */
import type { DeviceZone } from '../zoned-device.ts';
import { DeviceError } from '../zoned-device.ts';
import type { Claim, Extents, Taken } from './extents.ts';
import type { MapEntry, MapLog } from './map-log.ts';
import { checkpointBytes } from './map-log.ts';
import type { Medium } from './medium.ts';
import { isFull } from './medium.ts';
import type { Layout } from './options.ts';
import type { Zone } from './zone.ts';
import { allocations, checkpointOf } from './zone.ts';

const KIB = 1024;

export interface ZoneSpaceParts {
  readonly medium: Medium;
  readonly layout: Layout;
  readonly map: MapLog;
  readonly extents: Extents;
  readonly zones: ReadonlyMap<DeviceZone, Zone>;
  /** Called for each change of the map: it wants a sync. */
  readonly onChange: () => void;
}

/** State of extents and map when a sync begins. */
export interface SpaceMark {
  readonly map: MapLog['mark'];
  readonly extents: number;
  readonly fileBytes: number;
}

export class ZoneSpace {
  readonly #parts: ZoneSpaceParts;
  readonly #extentBytes: number;
  readonly #privileged = new Set<DeviceZone>();

  constructor(parts: ZoneSpaceParts) {
    this.#parts = parts;
    this.#extentBytes = parts.medium.place.extentBytes;
  }

  /** Bytes that zones can hold together, reserve included. */
  get capacityBytes(): number {
    return this.#parts.layout.extentCount * this.#extentBytes;
  }

  /** Bytes of the extents that zones have. */
  get occupiedBytes(): number {
    return this.#parts.extents.usedCount * this.#extentBytes;
  }

  /** Bytes of extents that ordinary zones can still get. */
  get freeBytes(): number {
    return this.#parts.extents.freeCount * this.#extentBytes;
  }

  /** Lets `zone` take the reserve. */
  privilege(zone: DeviceZone): void {
    this.#privileged.add(zone);
  }

  unprivilege(zone: DeviceZone): void {
    this.#privileged.delete(zone);
  }

  /** Right to the reserve of a write into `zone`. */
  claimOf(zone: DeviceZone, urgent: boolean): Claim {
    if (this.#privileged.has(zone)) return 'privileged';
    return urgent ? 'urgent' : 'ordinary';
  }

  /**
   * Keeps ordinary writes out of what a zone took from the reserve, for as long as that is short. @throws DeviceError
   * `full`
   */
  checkOrdinary(found: Zone, end: number): void {
    if (found.urgentFrom === undefined || end <= found.urgentFrom) return;
    if (this.#parts.extents.isReserveShort) throw this.#noSpace();
    found.urgentFrom = undefined;
  }

  /** Gives the zone extents up to `end`, all or none. @throws DeviceError `full` */
  grow(zone: DeviceZone, found: Zone, end: number, claim: Claim): void {
    const wanted = Math.ceil(end / this.#extentBytes) - found.extents.length;
    if (wanted <= 0) return;
    const { extents, medium } = this.#parts;
    const taken: Taken[] = [];
    try {
      for (let index = 0; index < wanted; index += 1) {
        const extent = extents.take(claim);
        if (extent === undefined) throw this.#noSpace();
        taken.push(extent);
        if (extent.kind === 'dirty' || extent.kind === 'hollow') medium.zeroExtent(extent.extent);
      }
      this.#reserveMapRoom();
      this.record(allocations(zone, found.extents.length, taken));
    } catch (cause) {
      for (const extent of taken.reverse()) extents.giveBack(extent);
      if (isFull(cause) && !(cause instanceof DeviceError)) extents.noteFull();
      throw medium.writeError(cause, `space for zone ${zone}`);
    }
    const isOrdinary = claim !== 'urgent' || !extents.isReserveShort;
    if (!isOrdinary) found.urgentFrom ??= found.extents.length * this.#extentBytes;
    for (const extent of taken) {
      found.extents.push(extent.extent);
      found.clean.push(extent.kind !== 'fresh');
    }
  }

  /**
   * Takes the zone's extents from the `count`-th on away; `hollow`: there was no space for what was written to them.
   * REQUIRES: the entry that says so is recorded.
   */
  releaseBeyond(zone: Zone, count: number, hollow = false): void {
    this.#parts.extents.release(zone.extents.splice(count), hollow);
    zone.clean.splice(count);
    if (count * this.#extentBytes <= (zone.urgentFrom ?? 0)) zone.urgentFrom = undefined;
    zone.zeroedTo = Math.min(zone.zeroedTo, count * this.#extentBytes);
  }

  /** Writes the entries into the map's log. @throws DeviceError `full`, `io` */
  record(entries: readonly MapEntry[]): void {
    const { map, medium, onChange } = this.#parts;
    if (map.wantsCheckpoint) this.#checkpoint();
    // Only thousands of changes without a sync in between could fill an area, since a stable map is made short again.
    if (map.room < 4 * KIB + 32 * entries.length)
      throw new DeviceError('full', `${medium.path}: the map's log is full until the next sync`);
    try {
      map.append(entries);
    } catch (cause) {
      throw medium.writeError(cause, 'the map');
    }
    onChange();
  }

  /** A sync begins now: everything so far is stable when it has returned. */
  mark(): SpaceMark {
    const { map, extents, medium } = this.#parts;
    return { map: map.mark, extents: extents.mark(), fileBytes: medium.fileBytes };
  }

  /** The sync that began at `mark` has returned. @throws DeviceError `io` */
  noteStable(mark: SpaceMark): void {
    const { map, extents, medium } = this.#parts;
    extents.noteStable(mark.extents);
    try {
      map.noteStable(mark.map, mark.fileBytes);
    } catch (cause) {
      throw medium.fail(cause, 'the map');
    }
  }

  #noSpace(): DeviceError {
    const { layout, extents, medium } = this.#parts;
    const what = `${extents.usedCount} of ${layout.extentCount} extents in use, ${layout.reserveExtents} in reserve`;
    return new DeviceError('full', `${medium.path}: full: ${what}`);
  }

  /** Room in both metadata areas for a map of all extents in use, so that reset and finish work without space. */
  #reserveMapRoom(): void {
    const { map, extents, zones } = this.#parts;
    map.materialize(3 * checkpointBytes(extents.usedCount, zones.size + 1) + 64 * KIB);
  }

  #checkpoint(): void {
    const { map, medium, zones } = this.#parts;
    try {
      map.checkpoint(checkpointOf(zones));
    } catch (cause) {
      throw medium.fail(cause, 'checkpoint of the map');
    }
  }
}
