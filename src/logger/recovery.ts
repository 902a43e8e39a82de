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
import type { CutRecords } from '../codec/cut-records.ts';
import { cutRecords } from '../core/logger/cut-scan.ts';
import type { Scan, ScanInput, ScanRange } from '../core/logger/scan-window.ts';
import { ScanWindow } from '../core/logger/scan-window.ts';
import type { ZoneScan } from '../core/logger/zone-scan.ts';
import { scanZone } from '../core/logger/zone-scan.ts';
import type { DeviceZone, ZonedDevice, ZoneReport } from '../env/zoned-device.ts';
import type { FoundMetadata, LoggerIdentity } from './metadata-log.ts';
import { readDespiteDamage } from './readable.ts';

/** `drawCopyId`: for zones that no metadata mentions. @throws KvError `newer-format`. @throws DeviceError */
export async function restoreZones(
  device: ZonedDevice,
  found: FoundMetadata,
  log: Log,
  drawCopyId: () => string,
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
        : await restoreOpen(device, found.identity, entry, report, log);
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
): Promise<RestoredZone | undefined> {
  if (report === undefined || report.state === 'empty') return undefined;
  const scan = await scanDeviceZone(device, identity, entry, report.writePointer, (offset) =>
    log('error', 'a zone cannot be read', { shard: entry.shard, zone: entry.zone, offset }),
  );
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
): Promise<ZoneScan> {
  const read = readerOf(device, entry.deviceZone, onUnreadable);
  return drive(scanZone(scanInput(device, identity, entry, bound)), read);
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
