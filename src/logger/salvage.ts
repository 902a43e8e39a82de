/**
 * Start on metadata of which acknowledged frames are damaged (docs/decisions/0015-damaged-metadata.md). Whatever a lost
 * frame said is learnt from elsewhere, or taken for the worst:
 *
 *   fence        every fence was claimed in the coordinator first (S20): the head's owner is as high, or higher (S4)
 *   zone floor   no id below the head's open zone is ever created again (S4)
 *   zone         its header in the device says whose it is; a scan finds its length, and the device's map where it was
 *                finished
 *   removed      its device zone is empty, or holds another zone by now
 *
 * What nobody can name, since its header is damaged as well, is kept, and may be any zone: none that is open now and
 * not held here is answered for (`zone-lost`). Nothing is reset but what an unanswered append began. The checkpoint
 * that follows records all of it.
 */
import type { ShardId, ZoneId } from '../base/ids.ts';
import { zoneId } from '../base/ids.ts';
import type { Writer } from '../codec/log-format.ts';
import { sameWriter } from '../codec/log-format.ts';
import type { ZoneEntry } from '../core/logger/metadata-format.ts';
import { metadataZones } from '../core/logger/metadata-format.ts';
import type { DeviceZone, ZonedDevice, ZoneReport } from '../env/zoned-device.ts';
import type { KnownOwner } from './known-owners.ts';
import type { HeldZones, OrphanParts, ZoneHead } from './orphans.ts';
import { nameOf, readZoneHead, takenUp } from './orphans.ts';

export interface Salvaged extends HeldZones {
  readonly fences: ReadonlyMap<ShardId, Writer>;
  readonly zoneFloors: ReadonlyMap<ShardId, ZoneId>;
  readonly lostTo: ReadonlyMap<ShardId, ZoneId>;
}

/** REQUIRES: `owners` were read by this process: the others' fences were set before. */
export async function salvage(parts: OrphanParts, owners: readonly KnownOwner[]): Promise<Salvaged> {
  const { recorded, reports, log } = parts;
  const claims = new Map<DeviceZone, ZoneEntry[]>();
  for (const entry of recorded.zones) claims.set(entry.deviceZone, [...(claims.get(entry.deviceZone) ?? []), entry]);
  const zones: ZoneEntry[] = [];
  const kept = new Set<DeviceZone>();
  const names = new Set<string>();
  for (const report of reports.values()) {
    if (report.state === 'empty' || metadataZones.some((zone) => zone === report.zone)) continue;
    const head = await readZoneHead(parts.device, parts.identity, report);
    const entry = entryFor(head, claims.get(report.zone) ?? [], report.zone, parts);
    if (entry !== undefined && !names.has(nameOf(entry))) {
      zones.push(entry);
      names.add(nameOf(entry));
    } else if (entry === undefined && head.kind === 'none') {
      // An append whose first bytes never arrived was never answered.
      parts.device.reset(report.zone);
    } else {
      await keep(parts.device, report);
      kept.add(report.zone);
    }
  }
  log('error', 'metadata are damaged: what was lost is taken from the zones and the coordinator', {
    zones: zones.length,
    unnamed: kept.size,
  });
  const lostTo = new Map(recorded.lostTo);
  if (kept.size > 0) for (const { shard, openZone } of owners) lostTo.set(shard, openZone);
  return {
    zones,
    kept,
    fences: fencesOf(recorded.fences, owners),
    zoneFloors: floorsOf(recorded.zoneFloors, owners),
    lostTo,
  };
}

/** Entry of what lies in a device zone that is not empty; undefined: nobody knows what it is. */
function entryFor(
  head: ZoneHead,
  claims: readonly ZoneEntry[],
  deviceZone: DeviceZone,
  parts: OrphanParts,
): ZoneEntry | undefined {
  // Only its own header is damaged: the scan will say so.
  if (head.kind !== 'zone') return claims.length === 1 ? claims[0] : undefined;
  const { at } = head;
  const isItself = (entry: ZoneEntry): boolean => nameOf(entry) === nameOf(at) && sameWriter(entry, at);
  return claims.find(isItself) ?? takenUp(at, deviceZone, parts);
}

/** Marks the device zone, so that later starts keep it as well (orphans.ts). */
async function keep(device: ZonedDevice, { zone, state, writePointer }: ZoneReport): Promise<void> {
  if (state === 'full') return;
  const end = writePointer - (writePointer % device.geometry.alignment);
  await device.recover(zone, end, end, true);
  device.finish(zone, end, device.geometry.zoneCapacity);
}

function fencesOf(recorded: ReadonlyMap<ShardId, Writer>, owners: readonly KnownOwner[]): Map<ShardId, Writer> {
  const fences = new Map(recorded);
  for (const { shard, owner } of owners) if (owner.epoch > (fences.get(shard)?.epoch ?? 0)) fences.set(shard, owner);
  return fences;
}

function floorsOf(recorded: ReadonlyMap<ShardId, ZoneId>, owners: readonly KnownOwner[]): Map<ShardId, ZoneId> {
  const floors = new Map(recorded);
  for (const { shard, openZone } of owners)
    if (openZone - 1 > (floors.get(shard) ?? 0)) floors.set(shard, zoneId(openZone - 1));
  return floors;
}
