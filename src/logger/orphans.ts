/**
 * Device zones that no metadata mention: written by an append that was never answered, unless metadata were lost. One
 * that holds a zone of this cluster is taken up as one that was open, since what was acknowledged must not be lost with
 * the metadata. What was reset by an order whose entry survived, and what is no zone of this cluster, is dropped. One
 * that could not be read when metadata were lost, and can be now, is taken up, too.
 */
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { decodeZoneHeader } from '../codec/log-format.ts';
import type { ZonePosition, ZoneRef } from '../codec/logger-protocol.ts';
import type { ZoneEntry } from '../core/logger/metadata-format.ts';
import { metadataZones } from '../core/logger/metadata-format.ts';
import type { RecordedState } from '../core/logger/restored-state.ts';
import type { DeviceZone, ZonedDevice, ZoneReport } from '../env/zoned-device.ts';
import type { LoggerIdentity } from './metadata-log.ts';
import { readDespiteDamage } from './readable.ts';

export interface OrphanParts {
  readonly device: ZonedDevice;
  readonly identity: LoggerIdentity;
  readonly recorded: RecordedState;
  readonly reports: ReadonlyMap<DeviceZone, ZoneReport>;
  readonly log: Log;
  /** Copy id for a zone that no metadata mention. */
  readonly drawCopyId: () => string;
}

export interface HeldZones {
  readonly zones: readonly ZoneEntry[];
  /** Device zones that are neither zones nor free: nobody knows what lies there (salvage.ts). */
  readonly kept: ReadonlySet<DeviceZone>;
}

/** Statement of a device zone's first bytes. */
export type ZoneHead =
  | { readonly kind: 'zone'; readonly at: ZoneRef }
  /** Zeros, where the first bytes of an append never arrived, or a zone of another cluster. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable' };

/** Zones that the metadata mention, and those that they should. */
export async function heldZones(parts: OrphanParts): Promise<HeldZones> {
  const { device, recorded, reports, log } = parts;
  const owned = new Set<DeviceZone>([...metadataZones, ...recorded.zones.map((zone) => zone.deviceZone)]);
  const zones = [...recorded.zones];
  const names = new Set(zones.map(nameOf));
  const kept = new Set<DeviceZone>();
  let dropped = 0;
  for (const report of reports.values()) {
    if (report.state === 'empty' || owned.has(report.zone)) continue;
    const head = await readZoneHead(device, parts.identity, report);
    if (head.kind === 'zone' && !wasReset(head.at, recorded) && !names.has(nameOf(head.at))) {
      zones.push(takenUp(head.at, report.zone, parts));
      names.add(nameOf(head.at));
    } else if (head.kind === 'unreadable' && report.state === 'full') kept.add(report.zone);
    else {
      device.reset(report.zone);
      dropped += 1;
    }
  }
  if (dropped > 0) {
    log('info', 'dropped device zones that belong to nothing', { count: dropped });
    await device.sync();
  }
  return { zones, kept };
}

/** Whether the zone's id was retired by an order that reset it. */
function wasReset({ shard, zone }: ZonePosition, { zoneFloors, lostTo }: RecordedState): boolean {
  // Where zones could not be named, the floor rose with the shard's head (salvage.ts): this may be one of them.
  return zone <= (zoneFloors.get(shard) ?? 0) && zone > (lostTo.get(shard) ?? 0);
}

export function nameOf({ shard, zone }: ZonePosition): string {
  return `${shard}/${zone}`;
}

/** Entry of a zone that no metadata mention. */
export function takenUp(at: ZoneRef, deviceZone: DeviceZone, { log, drawCopyId }: OrphanParts): ZoneEntry {
  const { shard, zone } = at;
  log('warn', 'took up a zone that the metadata do not mention', { shard, zone, deviceZone });
  return { kind: 'zone', ...at, deviceZone, copyId: drawCopyId(), state: 'open', length: 0, batches: 0 };
}

export async function readZoneHead(
  device: ZonedDevice,
  identity: LoggerIdentity,
  report: ZoneReport,
): Promise<ZoneHead> {
  const length = Math.min(limits.alignmentBytesMax, report.writePointer);
  const bytes = await readDespiteDamage(device, report.zone, 0, length, () => undefined);
  const head = decodeZoneHeader(bytes);
  if (head.kind !== 'zone') return { kind: head.kind === 'untouched' || length === 0 ? 'none' : 'unreadable' };
  const { cluster, shard, zone, epoch, instance } = head.header;
  return cluster === identity.cluster ? { kind: 'zone', at: { shard, zone, epoch, instance } } : { kind: 'none' };
}
