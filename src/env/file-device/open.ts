/** Opening a `file` device: making the file, or reading its map and making what was read stable. */
import { asBuffer } from '../../base/bytes.ts';
import { checksum } from '../../base/checksum.ts';
import type { Clock } from '../clock.ts';
import type { File, Files } from '../files.ts';
import { FilesError } from '../files.ts';
import { randomHex } from '../random.ts';
import { DeviceError } from '../zoned-device.ts';
import type { DeviceZone } from '../zoned-device.ts';
import { Extents } from './extents.ts';
import { FileDevice } from './file-device.ts';
import type { MapContents, MapEntry, MapPlace } from './map-log.ts';
import { checkpointBytes, MapLog, readMap, rewriteMap } from './map-log.ts';
import type { FileDeviceOptions, Layout } from './options.ts';
import { checkOptions, layoutOf, newSuperblock } from './options.ts';
import type { Superblock } from './superblock.ts';
import { decodeSuperblock, encodeSuperblock, superblockBytes } from './superblock.ts';
import type { Zone } from './zone.ts';
import { checkpointOf, newZone } from './zone.ts';

export type { FileDeviceOptions } from './options.ts';
export { FileDevice } from './file-device.ts';

const KIB = 1024;
const chunkBytes = 1024 * KIB;

/**
 * Opens the device in the file `path`, which is made if it is missing. Everything its map says is stable when this
 * returns; zones that were not finished wait for `recover`. REQUIRES: nobody else has the file open (the owner locks
 * its folder).
 * @throws DeviceError `foreign`, `newer-format`, `damaged` (what and at which offset), `invalid` (an option, or one
 * that does not agree with the file, or a capacity below what is in use), `full`, `io`; FilesError `not-found`,
 * `permission`
 */
export async function openFileDevice(
  files: Files,
  path: string,
  options: FileDeviceOptions,
  clock: Clock,
): Promise<FileDevice> {
  checkOptions(options);
  const found = await openIfThere(files, path);
  if (found === undefined && options.create === false) throw new FilesError('not-found', `${path}: no such device`);
  const file = found ?? (await makeFile(files, path, options, clock));
  try {
    return await openFile(file, path, options, clock, found === undefined);
  } catch (cause) {
    await file.close();
    throw asDeviceError(cause, path);
  }
}

async function openIfThere(files: Files, path: string): Promise<File | undefined> {
  try {
    return await files.open(path, {});
  } catch (cause) {
    if (cause instanceof FilesError && cause.code === 'not-found') return undefined;
    throw cause;
  }
}

/** Under another name until it is complete and stable, so that a crash leaves no half of a device. */
async function makeFile(files: Files, path: string, options: FileDeviceOptions, clock: Clock): Promise<File> {
  const temporary = `${path}.new`;
  await files.remove(temporary);
  const file = await files.open(temporary, { exclusive: true });
  try {
    const superblock = newSuperblock(options, randomHex(options.random, 16), Math.max(0, Math.floor(clock.wall())));
    const layout = layoutOf(superblock, options, path);
    file.write(0, encodeSuperblock(superblock));
    new MapLog(file, placeOf(superblock, path), 0, 1, 0).checkpoint([]);
    writeZeros(file, layout.dataOffset, layout.reserveExtents * superblock.extentBytes);
    await file.sync();
    await files.rename(temporary, path);
    return file;
  } catch (cause) {
    await file.close();
    await files.remove(temporary);
    throw asDeviceError(cause, path);
  }
}

async function openFile(
  file: File,
  path: string,
  options: FileDeviceOptions,
  clock: Clock,
  created: boolean,
): Promise<FileDevice> {
  const superblock = decodeSuperblock(asBuffer(file.readNow(0, superblockBytes)), path);
  const layout = layoutOf(superblock, options, path);
  const place = placeOf(superblock, path);
  const contents = readMap(file, place);
  if (file.size() < contents.stableBytes) {
    throw new DeviceError(
      'damaged',
      `${path}: truncated: ${file.size()} bytes long, was at least ${contents.stableBytes}`,
    );
  }
  const zones = replay(contents, superblock, path);
  const used = usedExtents(zones, layout, superblock, path);
  // What this process reads from the cache may never have reached the medium (S3): the map is written anew, and so is
  // what was finished without a stable entry to show for it. Zones not finished are their owner's to recover.
  for (const zone of doubtfullyFinished(contents, zones)) await rewrite(file, zone, layout, superblock);
  // All extents in use lie below `keptExtents`, and as many free ones as the reserve.
  const keptExtents = Math.min(layout.extentCount, Math.max(endOf(used), used.size + layout.reserveExtents));
  const keptBytes = layout.dataOffset + keptExtents * superblock.extentBytes;
  const truncates = file.size() > keptBytes;
  // Not the present length, which may be the cache's alone (S3), nor the old one, if the file is about to become
  // shorter.
  const stableBytes = Math.min(contents.stableBytes, keptBytes);
  // The checkpoint takes the other area, where the last stable map may be.
  if (contents.stableCount === 0) {
    rewriteMap(file, place, contents);
    await file.sync();
  }
  const map = new MapLog(file, place, contents.generation, contents.area, stableBytes);
  map.checkpoint(checkpointOf(zones));
  const mark = map.mark;
  await file.sync();
  map.noteStable(mark, stableBytes);
  if (truncates) file.truncate(keptBytes);
  unlessFull(() => map.materialize(3 * checkpointBytes(used.size, zones.size) + 64 * KIB));
  const clean = zeroReserve(file, layout, superblock, used, keptExtents, created);
  await file.sync();
  const fresh = Math.max(endOf(used), Math.ceil((file.size() - layout.dataOffset) / superblock.extentBytes));
  const extents = new Extents(layout, fresh, used, clean);
  return new FileDevice({ path, file, superblock, layout, map, extents, zones, created, stableBytes }, clock);
}

function placeOf(superblock: Superblock, path: string): MapPlace {
  return { path, areaBytes: superblock.metadataAreaBytes, seed: checksum(Buffer.from(superblock.deviceId, 'hex')) };
}

/**
 * Makes the reserve: the lowest free extents, zeroed unless the file was just made so. Fewer when the file system is
 * full.
 */
function zeroReserve(
  file: File,
  layout: Layout,
  superblock: Superblock,
  used: ReadonlySet<number>,
  keptExtents: number,
  created: boolean,
): Set<number> {
  const clean = new Set<number>();
  for (let extent = 0; extent < keptExtents && clean.size < layout.reserveExtents; extent += 1) {
    if (used.has(extent)) continue;
    // One that does not occupy space yet may fail where the next one does not.
    unlessFull(() => {
      if (!created) writeZeros(file, layout.dataOffset + extent * superblock.extentBytes, superblock.extentBytes);
      clean.add(extent);
    });
  }
  return clean;
}

/** The zones after all entries. @throws DeviceError `damaged` when the entries do not add up */
function replay(contents: MapContents, superblock: Superblock, path: string): Map<DeviceZone, Zone> {
  const zones = new Map<DeviceZone, Zone>();
  for (const entry of contents.entries) {
    if (!apply(zones, entry, superblock)) {
      throw new DeviceError(
        'damaged',
        `${path}: the map of generation ${contents.generation} contradicts itself: ${JSON.stringify(entry)}`,
      );
    }
  }
  for (const [number, zone] of zones) {
    if (zone.extents.length === 0 && !zone.finished) zones.delete(number);
    else if (!zone.finished) {
      zone.known = false;
      zone.writePointer = Math.min(zone.extents.length * superblock.extentBytes, superblock.zoneCapacity);
    }
  }
  return zones;
}

function apply(zones: Map<DeviceZone, Zone>, entry: MapEntry, superblock: Superblock): boolean {
  if (entry.kind === 'checkpoint-end') return true;
  const zone = zones.get(entry.zone) ?? newZone();
  switch (entry.kind) {
    case 'allocate':
      if (
        zone.finished ||
        zone.extents.length !== entry.position ||
        (entry.position + entry.count - 1) * superblock.extentBytes >= superblock.zoneCapacity
      )
        return false;
      for (let index = 0; index < entry.count; index += 1) {
        zone.extents.push(entry.extent + index);
        zone.clean.push(false);
      }
      break;
    case 'reset':
      return zones.delete(entry.zone);
    case 'finish': {
      const count = Math.ceil(entry.length / superblock.extentBytes);
      if (zone.finished || count > zone.extents.length || entry.length > superblock.zoneCapacity) return false;
      zone.finished = true;
      zone.writePointer = entry.length;
      break;
    }
    case 'trim':
      if (zone.finished || entry.count > zone.extents.length) return false;
      zone.extents.splice(entry.count);
      zone.clean.splice(entry.count);
      break;
  }
  zones.set(entry.zone, zone);
  return true;
}

function usedExtents(
  zones: ReadonlyMap<DeviceZone, Zone>,
  layout: Layout,
  superblock: Superblock,
  path: string,
): Set<number> {
  const used = new Set<number>();
  for (const [number, zone] of zones) {
    for (const extent of zone.extents) {
      if (used.has(extent))
        throw new DeviceError('damaged', `${path}: extent ${extent} belongs to zone ${number} and to another`);
      used.add(extent);
    }
  }
  if (endOf(used) > layout.extentCount) {
    const least = endOf(used) * superblock.extentBytes;
    throw new DeviceError(
      'invalid',
      `${path}: a capacity of ${layout.extentCount * superblock.extentBytes} bytes is below what is in use: at least ${least}`,
    );
  }
  if (endOf(zones.keys()) > layout.zoneCount) {
    throw new DeviceError(
      'invalid',
      `${path}: zone ${endOf(zones.keys()) - 1} is in use, the capacity given allows zones below ${layout.zoneCount} only`,
    );
  }
  return used;
}

/** One more than the highest. */
function endOf(numbers: Iterable<number>): number {
  let end = 0;
  for (const number of numbers) end = Math.max(end, number + 1);
  return end;
}

/** Opens the device without its reserve on a full file system: what is there can be read, and space be given back. */
function unlessFull(work: () => void): void {
  try {
    work();
  } catch (cause) {
    if (!(cause instanceof FilesError && cause.code === 'full')) throw cause;
  }
}

/** Zones whose `finish` entry is not among the entries known to be stable. */
function doubtfullyFinished(contents: MapContents, zones: ReadonlyMap<DeviceZone, Zone>): Zone[] {
  const found = new Set<Zone>();
  for (const entry of contents.entries.slice(contents.stableCount)) {
    const zone = entry.kind === 'finish' ? zones.get(entry.zone) : undefined;
    if (zone?.finished === true) found.add(zone);
  }
  return [...found];
}

async function rewrite(file: File, zone: Zone, layout: Layout, superblock: Superblock): Promise<void> {
  let left = zone.writePointer;
  for (const extent of zone.extents) {
    const at = layout.dataOffset + extent * superblock.extentBytes;
    const length = Math.min(left, superblock.extentBytes);
    file.write(at, await file.read(at, length));
    left -= length;
  }
}

function writeZeros(file: File, from: number, length: number): void {
  const zeros = Buffer.alloc(Math.min(chunkBytes, length));
  for (let done = 0; done < length; done += zeros.length)
    file.write(from + done, zeros.subarray(0, Math.min(zeros.length, length - done)));
}

function asDeviceError(cause: unknown, path: string): unknown {
  if (!(cause instanceof FilesError)) return cause;
  const code = cause.code === 'full' ? 'full' : cause.code === 'io' ? 'io' : undefined;
  return code === undefined ? cause : new DeviceError(code, `${path}: ${cause.message}`, { cause });
}
