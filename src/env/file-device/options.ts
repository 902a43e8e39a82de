/** Settings of a `file` device, checked, and the layout that follows from them. */
import { limits } from '../../base/limits.ts';
import { clusterSettings, nodeSettings } from '../../base/settings.ts';
import { KIB } from '../../base/units.ts';
import type { Random } from '../random.ts';
import { DeviceError } from '../zoned-device.ts';
import { checkpointBytes } from './map-log.ts';
import type { Superblock } from './superblock.ts';
import { blockBytes, superblockBytes } from './superblock.ts';

export const fileDeviceLimits = {
  zoneCountMax: 65_536,
  /** The file's map has room for a capacity so many times the first one. */
  growthMax: 8,
  metadataAreaBytesMin: 64 * KIB,
} as const;

export interface FileDeviceOptions {
  /**
   * Bytes that zones can hold together, rounded down to extents, reserve included. May grow from one opening to the
   * next.
   */
  readonly capacityBytes: number;
  /** Draws the device id of a new file. */
  readonly random: Random;
  /** False: a missing file is an error (FilesError `not-found`). Default true. */
  readonly create?: boolean;
  /**
   * Only when the file is made; later, if given, it must agree. 1 .. 64 KiB, a power of two. Default 512: as fast as
   * 4096 and 1 (bench/device.ts), a quarter of the space of 4096 for small batches, and a sector with acknowledged
   * bytes is never written again.
   */
  readonly alignment?: number;
  /** Only when the file is made; later, if given, it must agree. Default 256 MiB. */
  readonly zoneCapacity?: number;
  /** Only when the file is made; a multiple of 4 KiB. Default 1 MiB, or the zone's capacity if that is less. */
  readonly extentBytes?: number;
  /** Zeros kept ahead of each write pointer; 0: none. Default 2 MiB. */
  readonly prefillBytes?: number;
  /**
   * Space that only privileged zones can take, and half of it urgent writes. Default 4 MiB, at most an eighth of the
   * capacity.
   */
  readonly reserveBytes?: number;
  /** Zones that always find space for `bytes` each once they are privileged, beside the reserve. Default none. */
  readonly privileged?: { readonly zones: number; readonly bytes: number };
}

export interface Layout {
  readonly extentCount: number;
  readonly zoneCount: number;
  /** Extents that ordinary writes leave, those for privileged zones among them. */
  readonly reserveExtents: number;
  readonly privilegedExtents: number;
  readonly prefillBytes: number;
  /** Offset of extent 0. */
  readonly dataOffset: number;
}

export function checkOptions(options: FileDeviceOptions): void {
  natural('capacityBytes', options.capacityBytes, 1, clusterSettings['device.capacityBytes'].max);
  natural('prefillBytes', options.prefillBytes ?? 0, 0, clusterSettings['device.prefillBytes'].max);
  natural('reserveBytes', options.reserveBytes ?? 0, 0, nodeSettings['device.reserveBytes'].max);
  natural('zoneCapacity', options.zoneCapacity ?? blockBytes, blockBytes, limits.zoneBytesMax);
  const alignment = options.alignment ?? 1;
  natural('alignment', alignment, 1, limits.alignmentBytesMax);
  if (!Number.isInteger(Math.log2(alignment))) throw invalid(`alignment must be a power of two, got ${alignment}`);
  const extent = options.extentBytes ?? blockBytes;
  natural('extentBytes', extent, blockBytes, nodeSettings['device.extentBytes'].max);
  if (extent % blockBytes !== 0) throw invalid(`extentBytes must be a multiple of ${blockBytes}, got ${extent}`);
  if ((options.zoneCapacity ?? alignment) % alignment !== 0)
    throw invalid('zoneCapacity must be a multiple of the alignment');
}

/** Superblock of a new file. */
export function newSuperblock(options: FileDeviceOptions, deviceId: string, createdMs: number): Superblock {
  const zoneCapacity = options.zoneCapacity ?? clusterSettings.zoneSize.default;
  const extentBytes =
    options.extentBytes ??
    Math.min(nodeSettings['device.extentBytes'].default, Math.ceil(zoneCapacity / blockBytes) * blockBytes);
  const extentCount = Math.max(1, Math.floor(options.capacityBytes / extentBytes));
  const wanted = fileDeviceLimits.growthMax * checkpointBytes(extentCount, zoneCountOf(extentCount));
  const metadataAreaBytes = Math.max(
    fileDeviceLimits.metadataAreaBytesMin,
    Math.ceil(wanted / blockBytes) * blockBytes,
  );
  return {
    deviceId,
    createdMs,
    zoneCapacity,
    extentBytes,
    alignment: options.alignment ?? clusterSettings['device.alignment'].default,
    metadataAreaBytes,
  };
}

export function layoutOf(superblock: Superblock, options: FileDeviceOptions, path: string): Layout {
  for (const name of ['alignment', 'zoneCapacity', 'extentBytes'] as const) {
    const given = options[name];
    if (given !== undefined && given !== superblock[name]) {
      throw invalid(`${path}: ${name} is ${superblock[name]} and cannot be changed to ${given}`);
    }
  }
  const { extentBytes } = superblock;
  const extentCount = Math.floor(options.capacityBytes / extentBytes);
  if (extentCount < 2)
    throw invalid(
      `${path}: capacityBytes must be at least two extents of ${extentBytes} bytes, got ${options.capacityBytes}`,
    );
  if (2 * checkpointBytes(extentCount, zoneCountOf(extentCount)) > superblock.metadataAreaBytes) {
    throw invalid(
      `${path}: capacityBytes ${options.capacityBytes} is too large for the map of this file, which was made for a smaller one`,
    );
  }
  const reserveBytes =
    options.reserveBytes ??
    Math.min(nodeSettings['device.reserveBytes'].default, Math.floor(options.capacityBytes / 8));
  const { zones, bytes } = options.privileged ?? { zones: 0, bytes: 0 };
  const privilegedExtents = Math.min(extentCount - 1, zones * Math.ceil(bytes / extentBytes));
  const reserveExtents = Math.min(extentCount - 1, Math.ceil(reserveBytes / extentBytes) + privilegedExtents);
  const dataOffset = Math.ceil((superblockBytes + 2 * superblock.metadataAreaBytes) / extentBytes) * extentBytes;
  return {
    extentCount,
    zoneCount: zoneCountOf(extentCount),
    reserveExtents,
    privilegedExtents,
    prefillBytes: options.prefillBytes ?? clusterSettings['device.prefillBytes'].default,
    dataOffset,
  };
}

/** Number of zones: as many as extents, so that the space runs out first even if each zone is closed at once. */
function zoneCountOf(extentCount: number): number {
  return Math.min(extentCount, fileDeviceLimits.zoneCountMax);
}

function natural(name: string, value: number, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw invalid(`${name} must be an integer of ${least} to ${most}, got ${value}`);
}

function invalid(message: string): DeviceError {
  return new DeviceError('invalid', message);
}
