/**
 * Recovery of a logger's device before it answers anybody: it scans the zones that were open, and makes what it found
 * there stable again (S3). Finished zones are not read: their length is recorded. Device zones that no metadata mention
 * are orphans.ts's business, damaged metadata salvage.ts's. What is missing or cannot be read is damage, which others
 * heal, and no reason not to start.
 */
import { KvError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { formatVersion } from '../codec/log-format.ts';
import type { ZoneRef } from '../codec/logger-protocol.ts';
import type { ZoneEntry } from '../core/logger/metadata-format.ts';
import type { RestoredState, RestoredZone } from '../core/logger/restored-state.ts';
import { emptyState, foldFrames } from '../core/logger/restored-state.ts';
import type { CutRecords } from '../codec/cut-records.ts';
import { cutRecords } from '../core/logger/cut-scan.ts';
import type { Scan, ScanInput, ScanRange } from '../core/logger/scan-window.ts';
import { scanChunkBytes, ScanWindow } from '../core/logger/scan-window.ts';
import type { ZoneScan } from '../core/logger/zone-scan.ts';
import { scanZone } from '../core/logger/zone-scan.ts';
import type { DeviceZone, ZonedDevice, ZoneReport } from '../env/zoned-device.ts';
import type { KnownOwner } from './known-owners.ts';
import type { FoundMetadata, LoggerIdentity } from './metadata-log.ts';
import { heldZones } from './orphans.ts';
import { readDespiteDamage } from './readable.ts';
import { salvage } from './salvage.ts';

/**
 * `owners`: for damaged metadata. `drawCopyId`: for zones that no metadata mentions.
 * @throws KvError `newer-format`. @throws DeviceError
 */
export async function restoreZones(
  device: ZonedDevice,
  found: FoundMetadata,
  owners: readonly KnownOwner[],
  log: Log,
  drawCopyId: () => string,
  chunkBytes: number = scanChunkBytes,
): Promise<RestoredState> {
  if (found.kind === 'empty') return emptyState;
  const { identity, damage } = found;
  const recorded = foldFrames(found.frames);
  const reports = new Map(device.reportZones().map((report) => [report.zone, report]));
  const parts = { device, identity, recorded, reports, log, drawCopyId };
  const held = damage === undefined ? { ...recorded, ...(await heldZones(parts)) } : await salvage(parts, owners);
  const zones: RestoredZone[] = [];
  for (const entry of held.zones) {
    const report = reports.get(entry.deviceZone);
    const zone =
      entry.state === 'finished'
        ? await restoreFinished(device, entry, report, log)
        : await restoreOpen(device, identity, entry, report, log, chunkBytes);
    if (zone !== undefined) zones.push(zone);
    else log('warn', 'nothing is left of a zone', { shard: entry.shard, zone: entry.zone, state: entry.state });
  }
  const { fences, zoneFloors, lostTo, kept } = held;
  return { fences, zoneFloors, lostTo, zones, kept };
}

async function restoreFinished(
  device: ZonedDevice,
  entry: ZoneEntry,
  report: ZoneReport | undefined,
  log: Log,
): Promise<RestoredZone> {
  const held = report === undefined ? 0 : report.writePointer;
  if (held < entry.length) {
    // What is missing reads as zeros, which is damage: the others have it.
    const { shard, zone, length } = entry;
    log('error', 'a finished zone is shorter than recorded', { shard, zone, length, held });
  }
  if (report !== undefined && report.state !== 'full' && report.state !== 'empty') {
    // The order to finish it was recorded here, but the device never made it stable.
    const end = Math.min(entry.length, held);
    await device.recover(entry.deviceZone, end, end, true);
    device.finish(entry.deviceZone, end, device.geometry.zoneCapacity);
  }
  return restored(entry, { length: entry.length, seen: entry.length, batches: entry.batches, tail: 'clean' });
}

async function restoreOpen(
  device: ZonedDevice,
  identity: LoggerIdentity,
  entry: ZoneEntry,
  report: ZoneReport | undefined,
  log: Log,
  chunkBytes: number,
): Promise<RestoredZone | undefined> {
  if (report === undefined || report.state === 'empty') return undefined;
  const onUnreadable = (offset: number): void =>
    log('error', 'a zone cannot be read', { shard: entry.shard, zone: entry.zone, offset });
  const scan = await scanDeviceZone(device, identity, entry, report.writePointer, onUnreadable, chunkBytes);
  if (scan.kind === 'newer-format') {
    throw new KvError(
      'newer-format',
      `shard ${entry.shard} zone ${entry.zone} has log format ${scan.format}; this version reads up to ${formatVersion}`,
    );
  }
  if (scan.length === 0 && scan.tail === 'clean') {
    device.reset(entry.deviceZone);
    return undefined;
  }
  if (scan.damage !== undefined) {
    log('error', 'a zone is damaged', {
      shard: entry.shard,
      zone: entry.zone,
      intact: scan.length,
      seen: scan.seen,
      ...scan.damage,
    });
  }
  if (report.state === 'full') {
    // The device was told to finish it, and the entry that says so was lost. But no order ends a zone behind bytes that
    // were never written: it was kept then when nobody could name it (salvage.ts), and ends with what is intact.
    const length = scan.tail === 'clean' ? scan.length : report.writePointer;
    return restored({ ...entry, state: 'finished' }, { ...scan, length, seen: length, tail: 'clean' });
  }
  // Below `seen` all was acknowledged here, so it was synced. What follows the intact prefix is evidence and stays
  // (S9).
  await device.recover(entry.deviceZone, Math.min(scan.seen, scan.length), scan.length, scan.tail !== 'clean');
  return restored(entry, scan);
}

function restored(
  entry: ZoneEntry,
  found: Pick<RestoredZone, 'length' | 'seen' | 'batches' | 'tail' | 'cut'>,
): RestoredZone {
  return {
    shard: entry.shard,
    zone: entry.zone,
    epoch: entry.epoch,
    instance: entry.instance,
    deviceZone: entry.deviceZone,
    copyId: entry.copyId,
    finished: entry.state === 'finished',
    length: found.length,
    seen: found.seen,
    batches: found.batches,
    tail: found.tail,
    cut: found.cut,
  };
}

/** Scans [0, bound) of the device zone in chunks. `onUnreadable` is told of blocks that the medium does not give. */
export async function scanDeviceZone(
  device: ZonedDevice,
  identity: LoggerIdentity,
  entry: ScannedZone,
  bound: number,
  onUnreadable: (offset: number) => void = () => undefined,
  chunkBytes: number = scanChunkBytes,
): Promise<ZoneScan> {
  const read = readerOf(device, entry.deviceZone, onUnreadable);
  return drive(scanZone({ ...scanInput(device, identity, entry, bound), chunkBytes }), read);
}

type ScannedZone = ZoneRef & Pick<ZoneEntry, 'deviceZone'>;

/** Records behind `start`, a batch boundary, and below `bound`: never committed, or lost with a cut there. */
export async function recordsBehind(
  device: ZonedDevice,
  identity: LoggerIdentity,
  entry: ScannedZone,
  start: number,
  bound: number,
): Promise<CutRecords> {
  const window = new ScanWindow(scanInput(device, identity, entry, bound));
  return drive(
    cutRecords(window, start),
    readerOf(device, entry.deviceZone, () => undefined),
  );
}

function scanInput(device: ZonedDevice, identity: LoggerIdentity, entry: ScannedZone, bound: number): ScanInput {
  const { shard, zone, epoch, instance } = entry;
  const place = { cluster: identity.cluster, shard, zone, epoch, instance };
  return { place, zoneSize: identity.zoneSize, bound, alignment: device.geometry.alignment };
}

type ReadRange = (range: ScanRange) => Promise<Uint8Array>;

function readerOf(device: ZonedDevice, zone: DeviceZone, onUnreadable: (offset: number) => void): ReadRange {
  return ({ offset, length }) => readDespiteDamage(device, zone, offset, length, onUnreadable);
}

async function drive<T>(scan: Scan<T>, read: ReadRange): Promise<T> {
  let step = scan.next();
  while (step.done !== true) {
    step = scan.next(await read(step.value));
  }
  return step.value;
}
