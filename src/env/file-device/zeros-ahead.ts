/**
 * Zeros ahead of the write pointers: a synced write into prefilled space costs half of one that extends the file. The
 * policy: with each sync, while the disk is busy, a few zeros are written ahead of the zones that were written last,
 * and a few dirty extents are zeroed for the stock of clean ones.
 *
 * - Zeros are written into the cache by the thread that appends, always at or beyond the write pointer, and the call
 *   has returned before the next append begins: so no append can enter a range whose prefill is in flight. Asserted all
 *   the same.
 *
 * It owns how much and where. It does not own the space (zone-space.ts), nor when a sync begins; without space for
 * zeros it gives up silently, since the appends themselves will say so.
 */
import { assert, present } from '../../base/assert.ts';
import type { DeviceZone } from '../zoned-device.ts';
import type { Extents } from './extents.ts';
import type { Medium } from './medium.ts';
import { isFull, zeros } from './medium.ts';
import type { Layout } from './options.ts';
import type { Zone } from './zone.ts';
import type { ZoneSpace } from './zone-space.ts';

const KIB = 1024;
/** Zeros written per sync ahead of the write pointers: small, so that no single sync pays for much. */
const prefillStepBytes = 256 * KIB;
assert(prefillStepBytes <= zeros.length, 'a step is one write');
/**
 * Mean size of a batch above which zeros ahead no longer pay (bench/device.ts, three devices on one disk: at 16 KiB
 * they double the rate, from 64 KiB on they cost 13% of it, since they double the traffic).
 */
const prefillBatchBytesMax = 48 * KIB;
/** Extents zeroed per sync for later use, and kept in stock. */
const cleaningPerSync = 2;
const cleanStock = 8;
/** Free extents below which none is taken ahead of need. */
const prefillFreeExtentsMin = 16;

export interface ZerosAheadParts {
  readonly medium: Medium;
  readonly layout: Layout;
  readonly extents: Extents;
  readonly zones: ReadonlyMap<DeviceZone, Zone>;
  readonly space: ZoneSpace;
  readonly zoneCapacity: number;
}

export class ZerosAhead {
  readonly #parts: ZerosAheadParts;
  readonly #extentBytes: number;
  /** Bytes appended since the last sync began, and the mean of such sums. */
  #batchBytes = 0;
  #batchBytesMean = 0;
  /** Zones written since the last sync began. */
  #written = new Set<DeviceZone>();
  /** Whether zeros are being written at this moment. */
  #isFilling = false;

  constructor(parts: ZerosAheadParts) {
    this.#parts = parts;
    this.#extentBytes = parts.medium.place.extentBytes;
  }

  /** REQUIRES: called before each append. */
  appendBegins(): void {
    assert(!this.#isFilling, 'an append enters no range whose prefill is in flight');
  }

  appended(zone: DeviceZone, length: number): void {
    this.#batchBytes += length;
    this.#written.add(zone);
  }

  /** A sync has begun. Failures but for want of space are the device's (S17). */
  syncBegan(): void {
    this.#batchBytesMean += (this.#batchBytes - this.#batchBytesMean) / 8;
    this.#batchBytes = 0;
    const { medium } = this.#parts;
    if (medium.failure !== undefined) return;
    try {
      this.#stockUp();
      this.#prefillAll();
    } catch (cause) {
      if (!isFull(cause)) medium.fail(cause, 'writing zeros ahead');
    }
  }

  /** Zeroes a few dirty extents, until the stock of clean ones is full. */
  #stockUp(): void {
    const { extents, layout, medium } = this.#parts;
    const wanted = layout.reserveExtents + cleanStock;
    for (let count = 0; count < cleaningPerSync && extents.cleanCount + extents.zeroingCount < wanted; count += 1) {
      const extent = extents.takeDirty();
      if (extent === undefined) return;
      medium.zeroExtent(extent);
    }
  }

  #prefillAll(): void {
    const written = this.#written;
    this.#written = new Set();
    if (this.#batchBytesMean > prefillBatchBytesMax) return;
    let budget = prefillStepBytes;
    for (const zone of written) budget -= this.#prefill(zone, budget);
  }

  /**
   * Writes at most `budget` zeros ahead of the zone's write pointer, in the spots that are not zeros already; returns
   * how many.
   */
  #prefill(zone: DeviceZone, budget: number): number {
    const { extents, layout, space, zoneCapacity, zones } = this.#parts;
    const found = zones.get(zone);
    if (found === undefined || found.finished || !found.known || found.keepsBeyond) return 0;
    const target = Math.min(zoneCapacity, found.writePointer + layout.prefillBytes);
    const ahead = found.zeroedTo - found.writePointer;
    if (ahead < layout.prefillBytes / 2) found.filling = true;
    if (!found.filling) return 0;
    let written = 0;
    while (written < budget && found.zeroedTo < target) {
      const position = Math.floor(found.zeroedTo / this.#extentBytes);
      if (position >= found.extents.length) {
        // Near the end of the space extents go to who needs them now.
        if (extents.freeCount <= prefillFreeExtentsMin) return written;
        space.grow(zone, found, (position + 1) * this.#extentBytes);
      }
      const end = (position + 1) * this.#extentBytes;
      if (present(found.clean[position], 'an extent of the zone')) {
        found.zeroedTo = end;
        continue;
      }
      const count = Math.min(budget - written, end - found.zeroedTo);
      assert(found.zeroedTo >= found.writePointer, 'prefill stays beyond the write pointer');
      this.#write(found, zeros.subarray(0, count));
      found.zeroedTo += count;
      written += count;
    }
    found.filling = found.zeroedTo < target;
    return written;
  }

  #write(zone: Zone, bytes: Uint8Array): void {
    this.#isFilling = true;
    try {
      this.#parts.medium.write(zone, zone.zeroedTo, bytes);
    } finally {
      // A file system without space for zeros must not keep appends out that overwrite what is there.
      this.#isFilling = false;
    }
  }
}
