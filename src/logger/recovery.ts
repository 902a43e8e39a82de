/**
 * Recovery of a logger's device before it answers anybody: it drops what no metadata mentions, scans the zones that
 * were open, and makes what it found there stable again (S3). Finished zones are not read: their length is recorded.
 */
import { KvError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { formatVersion } from '../codec/log-format.ts';
import type { ZoneRef } from '../codec/logger-protocol.ts';
import type { ZoneEntry } from '../core/logger/metadata-format.ts';
import { metadataZones } from '../core/logger/metadata-format.ts';
import type { RestoredState, RestoredZone } from '../core/logger/restored-state.ts';
import { emptyState, foldFrames } from '../core/logger/restored-state.ts';
import type { ZoneScan } from '../core/logger/zone-scan.ts';
import { scanZone } from '../core/logger/zone-scan.ts';
import type { ZonedDevice, ZoneReport } from '../env/zoned-device.ts';
import type { FoundMetadata, LoggerIdentity } from './metadata-log.ts';

/** @throws KvError `newer-format`. @throws DeviceError */
export async function restoreZones(device: ZonedDevice, found: FoundMetadata, log: Log): Promise<RestoredState> {
  if (found.kind === 'empty') return emptyState;
  const recorded = foldFrames(found.frames);
  const reports = new Map(device.reportZones().map((report) => [report.zone, report]));
  await dropOrphans(device, reports, recorded.zones, log);
  const zones: RestoredZone[] = [];
  for (const entry of recorded.zones) {
    const report = reports.get(entry.deviceZone);
    const zone =
      entry.state === 'finished'
        ? await restoreFinished(device, entry, report)
        : await restoreOpen(device, found.identity, entry, report, log);
    if (zone !== undefined) zones.push(zone);
    else log('warn', 'nothing is left of a zone', { shard: entry.shard, zone: entry.zone, state: entry.state });
  }
  return { fences: recorded.fences, zoneFloors: recorded.zoneFloors, zones };
}

/** Written by an append that was never answered, or reset by an order whose entry survived: in either case nobody's. */
async function dropOrphans(
  device: ZonedDevice,
  reports: ReadonlyMap<number, ZoneReport>,
  zones: readonly ZoneEntry[],
  log: Log,
): Promise<void> {
  const owned = new Set<number>([...metadataZones, ...zones.map((zone) => zone.deviceZone)]);
  let dropped = 0;
  for (const report of reports.values()) {
    if (report.state === 'empty' || owned.has(report.zone)) continue;
    device.reset(report.zone);
    dropped += 1;
  }
  if (dropped === 0) return;
  log('info', 'dropped device zones that belong to nothing', { count: dropped });
  await device.sync();
}

async function restoreFinished(
  device: ZonedDevice,
  entry: ZoneEntry,
  report: ZoneReport | undefined,
): Promise<RestoredZone | undefined> {
  if (report === undefined || report.state === 'empty' || report.writePointer < entry.length) return undefined;
  if (report.state !== 'full') {
    // The order to finish it was recorded here, but the device never made it stable.
    await device.recover(entry.deviceZone, entry.length, entry.length, true);
    device.finish(entry.deviceZone, entry.length, device.geometry.zoneCapacity);
  }
  return restored(entry, { length: entry.length, seen: entry.length, batches: entry.batches, tail: 'clean' });
}

async function restoreOpen(
  device: ZonedDevice,
  identity: LoggerIdentity,
  entry: ZoneEntry,
  report: ZoneReport | undefined,
  log: Log,
): Promise<RestoredZone | undefined> {
  if (report === undefined || report.state === 'empty') return undefined;
  const scan = await scanDeviceZone(device, identity, entry, report.writePointer);
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
  // Below `seen` all was acknowledged here, so it was synced. What follows the intact prefix is evidence and stays
  // (S9).
  if (report.state !== 'full')
    await device.recover(entry.deviceZone, Math.min(scan.seen, scan.length), scan.length, scan.tail !== 'clean');
  return restored(entry, scan);
}

function restored(entry: ZoneEntry, found: Pick<RestoredZone, 'length' | 'seen' | 'batches' | 'tail'>): RestoredZone {
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
  };
}

/** Scans [0, bound) of the device zone in chunks. */
export async function scanDeviceZone(
  device: ZonedDevice,
  identity: LoggerIdentity,
  entry: ZoneRef & Pick<ZoneEntry, 'deviceZone'>,
  bound: number,
): Promise<ZoneScan> {
  const { shard, zone, epoch, instance } = entry;
  const place = { cluster: identity.cluster, shard, zone, epoch, instance };
  const scan = scanZone({ place, zoneSize: identity.zoneSize, bound, alignment: device.geometry.alignment });
  let step = scan.next();
  while (step.done !== true)
    step = scan.next(await device.read(entry.deviceZone, step.value.offset, step.value.length));
  return step.value;
}
