/**
 * Orders to complete a copy, as a logger decides them: a taker's (Fill, S19) and an owner's for a zone that ended
 * (Copy, S10). A copy is completed from its intact end, or begun anew in the place of one that is damaged, which goes
 * only when the first bytes of the new one are written. Zone floors hold for new zones only, not for Copy (S4).
 *
 * It owns which bytes may be written where. It does not own fences, checksums of the bytes, nor answers
 * (logger-machine.ts).
 */
import type {
  AppendItem,
  CopyItem,
  FillItem,
  LoggerRefusal,
  LoggerRefusalCode,
  ZoneRef,
} from '../../codec/logger-protocol.ts';
import { loggerRefusals, refusal } from '../../codec/logger-protocol.ts';
import { sameWriter } from '../../codec/log-format.ts';
import { writerOf } from './append-check.ts';
import type { HeldZone, ZoneTable } from './zone-table.ts';

/** Bytes, in the form of an append of the zone's own writer, and where they go. */
export interface CopyPlace {
  readonly item: AppendItem;
  readonly deviceZone: number;
}

export type CopyOrder =
  | LoggerRefusal
  /** Only asked about: nothing of it is held, or `zone` is. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'held'; readonly zone: HeldZone }
  /** Perhaps a repetition. */
  | { readonly kind: 'compare'; readonly place: CopyPlace }
  /** `replaces`: copy id of the copy that goes then; '': none. */
  | { readonly kind: 'write'; readonly place: CopyPlace; readonly replaces: string };

/** REQUIRES: `item.by` is not fenced. */
export function copyOrder(table: ZoneTable, item: CopyItem): CopyOrder {
  const { shard, zone: id, writer, offset, bytes, length, replaces } = item;
  const end = offset + bytes.length;
  if (end > length) return refusal('malformed', `${end} of ${length} bytes`);
  const zone = table.find(shard, id);
  const append = { shard, zone: id, ...writer, offset, bytes };
  if (zone === undefined && bytes.length === 0) return { kind: 'absent' };
  if (zone === undefined) return offset === 0 ? begun(table, append) : refused('not-at-write-pointer', 0);
  if (!sameWriter(zone, writer)) return refused('other-epoch', zone.epoch);
  if (bytes.length === 0) return { kind: 'held', zone };
  // A late order must not hit the copy that came after the one it names.
  if (replaces !== '')
    return offset === 0 && zone.copyId === replaces ? begun(table, append, replaces) : refused('other-copy', 0);
  if (zone.state === 'finished') return refused('sealed', zone.written);
  return completed(zone, append);
}

/** S19. REQUIRES: the fence is the taker's. */
export function fillOrder(table: ZoneTable, item: FillItem): Exclude<CopyOrder, { readonly kind: 'absent' | 'held' }> {
  const { shard, zone: id, by, offset, bytes } = item;
  const zone = table.find(shard, id);
  if (bytes.length === 0) return refused('malformed', 0);
  if (zone === undefined) return filledUnseen(table, item);
  if (zone.epoch >= by.epoch) return refused('other-epoch', zone.epoch);
  if (zone.state === 'finished') return refused('sealed', zone.written);
  return completed(zone, { ...refOf(zone), offset, bytes });
}

/** The zone was never seen here: its header in the bytes says who wrote it. */
function filledUnseen(table: ZoneTable, { shard, zone, by, offset, bytes }: FillItem): ReturnType<typeof fillOrder> {
  const floor = table.zoneFloorOf(shard);
  if (zone <= floor) return refused('retired-zone', floor);
  if (table.mayBeLost(shard, zone)) return refused('zone-lost', 0);
  if (offset !== 0) return refused('not-at-write-pointer', 0);
  const writer = writerOf(bytes);
  if (writer === undefined || writer.epoch >= by.epoch) return refused('malformed', 0);
  return begun(table, { shard, zone, ...writer, offset, bytes });
}

/** At the intact end, or as a repetition below it. */
function completed(zone: HeldZone, item: AppendItem): ReturnType<typeof fillOrder> {
  const place = { item, deviceZone: zone.deviceZone };
  if (item.offset === zone.written) return { kind: 'write', place, replaces: '' };
  if (item.offset + item.bytes.length > zone.written) return refused('not-at-write-pointer', zone.written);
  return { kind: 'compare', place };
}

function refOf({ shard, zone, epoch, instance }: HeldZone): ZoneRef {
  return { shard, zone, epoch, instance };
}

function begun(table: ZoneTable, item: AppendItem, replaces = ''): ReturnType<typeof fillOrder> {
  const deviceZone = table.nextDeviceZone;
  if (deviceZone === undefined) return refused('device-full', 0);
  const place = { item, deviceZone };
  return { kind: 'write', place, replaces };
}

function refused(code: LoggerRefusalCode, detail: number): LoggerRefusal {
  return refusal(code, loggerRefusals[code], detail);
}
