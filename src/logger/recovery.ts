/**
 * Recovery of a logger's device before it answers anybody: it scans the zones that were open, and makes what it found
 * there stable again (S3). Finished zones are not read: their length is recorded. A device zone that no metadata
 * mentions is dropped, unless it holds a zone of this cluster: then it is taken up as one that was open, since metadata
 * can be lost, and what was acknowledged must not be lost with them. What is missing or cannot be read is damage, which
 * others heal, and no reason not to start.
 */
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { decodeZoneHeader, formatVersion } from '../codec/log-format.ts';
import type { ZoneRef } from '../codec/logger-protocol.ts';
import type { ZoneEntry } from '../core/logger/metadata-format.ts';
import { metadataZones } from '../core/logger/metadata-format.ts';
import type { RecordedState, RestoredState, RestoredZone } from '../core/logger/restored-state.ts';
import { emptyState, foldFrames } from '../core/logger/restored-state.ts';
import type { ZoneScan } from '../core/logger/zone-scan.ts';
import { scanChunkBytes, scanZone } from '../core/logger/zone-scan.ts';
import type { ZonedDevice, ZoneReport } from '../env/zoned-device.ts';
import type { FoundMetadata, LoggerIdentity } from './metadata-log.ts';
import { readDespiteDamage } from './readable.ts';

/** `drawCopyId`: for zones that no metadata mentions. @throws KvError `newer-format`. @throws DeviceError */
export async function restoreZones(
  device: ZonedDevice,
  found: FoundMetadata,
  log: Log,
  drawCopyId: () => string,
  chunkBytes: number = scanChunkBytes,
): Promise<RestoredState> {
  if (found.kind === 'empty') return emptyState;
  const recorded = foldFrames(found.frames);
  const reports = new Map(device.reportZones().map((report) => [report.zone, report]));
  const orphans = await orphanZones(device, found.identity, recorded, reports, log, drawCopyId);
  const zones: RestoredZone[] = [];
  for (const entry of [...recorded.zones, ...orphans]) {
    const report = reports.get(entry.deviceZone);
    const zone =
      entry.state === 'finished'
        ? await restoreFinished(device, entry, report, log)
        : await restoreOpen(device, found.identity, entry, report, log, chunkBytes);
    if (zone !== undefined) zones.push(zone);
    else log('warn', 'nothing is left of a zone', { shard: entry.shard, zone: entry.zone, state: entry.state });
  }
  return { fences: recorded.fences, zoneFloors: recorded.zoneFloors, zones };
}

/**
 * Zones in device zones that no metadata mentions: written by an append that was never answered, unless metadata were
 * lost. What was reset by an order whose entry survived, and what is no zone of this cluster, is dropped.
 */
async function orphanZones(
  device: ZonedDevice,
  identity: LoggerIdentity,
  recorded: RecordedState,
  reports: ReadonlyMap<number, ZoneReport>,
  log: Log,
  drawCopyId: () => string,
): Promise<ZoneEntry[]> {
  const owned = new Set<number>([...metadataZones, ...recorded.zones.map((zone) => zone.deviceZone)]);
  const taken: ZoneEntry[] = [];
  let dropped = 0;
  for (const report of reports.values()) {
    if (report.state === 'empty' || owned.has(report.zone)) continue;
    const entry = await orphanEntry(device, identity, report, drawCopyId);
    const isKnown = [...recorded.zones, ...taken].some(
      ({ shard, zone }) => shard === entry?.shard && zone === entry.zone,
    );
    if (entry !== undefined && !isKnown && entry.zone > (recorded.zoneFloors.get(entry.shard) ?? 0)) {
      const { shard, zone } = entry;
      log('warn', 'took up a zone that the metadata do not mention', { shard, zone, deviceZone: report.zone });
      taken.push(entry);
      continue;
    }
    device.reset(report.zone);
    dropped += 1;
  }
  if (dropped > 0) {
    log('info', 'dropped device zones that belong to nothing', { count: dropped });
    await device.sync();
  }
  return taken;
}

/** Entry that a zone of this cluster would have; undefined when none begins there. */
async function orphanEntry(
  device: ZonedDevice,
  identity: LoggerIdentity,
  report: ZoneReport,
  drawCopyId: () => string,
): Promise<ZoneEntry | undefined> {
  const length = Math.min(limits.alignmentBytesMax, report.writePointer);
  const head = decodeZoneHeader(await readDespiteDamage(device, report.zone, 0, length, () => undefined));
  if (head.kind !== 'zone' || head.header.cluster !== identity.cluster) return undefined;
  const { cluster: _, alignment: _alignment, zoneSize: _zoneSize, createdMs: _createdMs, ...at } = head.header;
  const deviceZone = report.zone;
  return { kind: 'zone', ...at, deviceZone, copyId: drawCopyId(), state: 'open', length: 0, batches: 0 };
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

/** Scans [0, bound) of the device zone in chunks. `onUnreadable` is told of blocks that the medium does not give. */
export async function scanDeviceZone(
  device: ZonedDevice,
  identity: LoggerIdentity,
  entry: ZoneRef & Pick<ZoneEntry, 'deviceZone'>,
  bound: number,
  onUnreadable: (offset: number) => void = () => undefined,
  chunkBytes: number = scanChunkBytes,
): Promise<ZoneScan> {
  const { shard, zone, epoch, instance } = entry;
  const place = { cluster: identity.cluster, shard, zone, epoch, instance };
  const scan = scanZone({
    place,
    zoneSize: identity.zoneSize,
    bound,
    alignment: device.geometry.alignment,
    chunkBytes,
  });
  let step = scan.next();
  while (step.done !== true) {
    const { offset, length } = step.value;
    step = scan.next(await readDespiteDamage(device, entry.deviceZone, offset, length, onUnreadable));
  }
  return step.value;
}
