/**
 * The decisions of a logger, pure: events in, effects out, to be carried out in order. `Ticket` is the shell's: it says
 * where an answer goes.
 *
 *   append  --write-->  written  --turn-ended-->  sync  --synced-->  answer  (S3: behind the sync that covers it)
 *   seal, finish, reset  --persist-->  turn-ended  --sync-->  synced  -->  answer  (one sync for data and metadata)
 *   device-failed: every answer that waits, and every later one, is the refusal `device-failed` (S17)
 *
 *   zone:  (absent) --append at 0--> open --finish--> finished --reset--> (absent, id retired)
 *                                      '--finish at 0, nothing was committed--^
 *                                      |  restart with bytes
 *                                      v
 *                                  restarted --finish--> finished
 *   fill: the one write in a zone whose owner is fenced, found open or not (S19)
 *   copy: the one write in a zone that has ended, found open or not, or never seen here (S10)
 * An open zone whose epoch lies below the shard's fence is called `fenced`: its appends are refused for ever (S4).
 *
 * It owns what each request may do: which are refused and why, and what the others change, in which order. It does not
 * own the zones, fences and zone floors (zone-table.ts), what is stable when (sync-rounds.ts), the form of appended
 * bytes (append-check.ts), nor anything of the device: effects name device zones, the shell knows what they hold.
 * Large because every request that a logger takes is decided here, in few lines each.
 * Walk: ZONE CHANGE 5/5, TAKE-OVER 3/7.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { InstanceId, Lba, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { lbaOf } from '../../base/ids.ts';
import type { Writer } from '../../codec/log-format.ts';
import { sameWriter } from '../../codec/log-format.ts';
import type {
  AppendItem,
  ConfirmItem,
  CopyItem,
  FillItem,
  LoggerRefusalCode,
  ShardKnowledge,
  ZoneRef,
  ZoneStatus,
} from '../../codec/logger-protocol.ts';
import { refusal } from '../../codec/logger-protocol.ts';
import type { Waiter } from './answers.ts';
import { answer, refuse, refuseSeal } from './answers.ts';
import type { CopyPlace } from './copies.ts';
import { copyOrder, fillOrder } from './copies.ts';
import { checkAppend, checkFill, holdsNoPuts, restOf } from './append-check.ts';
import type { Comparison, MachineEffect, MachineEvent, PendingWrite } from './machine-events.ts';
import type { MetadataEntry } from './metadata-format.ts';
import type { RestoredState } from './restored-state.ts';
import { SyncRounds } from './sync-rounds.ts';
import type { HeldZone, Unfinished } from './zone-table.ts';
import { entryOf, ZoneTable } from './zone-table.ts';

export type { MachineEffect, MachineEvent };

export interface MachineOptions {
  readonly cluster: Uuid;
  /** Bytes. */
  readonly zoneSize: number;
  /** Offset and length of every append are multiples of it, bytes. */
  readonly alignment: number;
  /** Device zones that hold data or may, the metadata zones not among them. */
  readonly deviceZones: readonly number[];
  /** This process of the logger: zones are opened with it (S9). */
  readonly process: InstanceId;
  /** Zones of a shard that takers are told of (S20). Default: `limits.knownZonesMax`. */
  readonly knownZonesMax?: number;
  /** Draws a copy id: 16 hexadecimal digits that name one copy of a zone (S10). */
  readonly drawCopyId: () => string;
}

export type Readable =
  | { readonly kind: 'ok'; readonly deviceZone: number }
  | { readonly kind: 'refused'; readonly code: LoggerRefusalCode };

export class LoggerMachine<Ticket> {
  readonly #options: MachineOptions;
  readonly #table: ZoneTable;
  readonly #rounds = new SyncRounds<Waiter<Ticket>>();
  #failed = false;

  constructor(options: MachineOptions, restored: RestoredState) {
    this.#options = options;
    this.#table = new ZoneTable(options, restored);
  }

  get failed(): boolean {
    return this.#failed;
  }

  get zoneCounts(): Readonly<Record<'held' | 'left', number>> {
    return { held: this.#table.zoneCount, left: this.#table.zonesLeft };
  }

  step(event: MachineEvent<Ticket>): MachineEffect<Ticket>[] {
    switch (event.kind) {
      case 'append':
        return this.#append(event.ticket, event.item);
      case 'written':
        return this.#written(event.write);
      case 'write-refused':
        return this.#writeRefused(event.write);
      case 'compared':
        return this.#compared(event.comparison, event.same);
      case 'seal':
        return this.#seal(event.ticket, event.at);
      case 'fill':
        return this.#fill(event.ticket, event.item);
      case 'copy':
        return this.#copy(event.ticket, event.item);
      case 'owner-known':
        return this.#ownerKnown(event.ticket, event.shard, event.owner);
      case 'finish':
        return this.#finish(event.ticket, event.shard, event.zone, event.length);
      case 'reset':
        return this.#reset(event.ticket, event.shard, event.zone, event.copyId);
      case 'probe':
        return this.#probe(event.ticket, event.hasRoom);
      case 'turn-ended':
        return this.#startSync();
      case 'synced':
        return this.#synced();
      case 'device-failed':
        return this.#deviceFailed();
      default:
        return unreachable(event);
    }
  }

  /** Undefined: the epoch is not fenced (S7). Answered also for zones never seen here: it is the fence that counts. */
  confirm(item: ConfirmItem): LoggerRefusalCode | undefined {
    if (this.#failed) return 'device-failed';
    if (this.#table.isFenced(item.shard, item)) return 'fenced';
    const zone = this.#table.find(item.shard, item.zone);
    return zone !== undefined && !sameWriter(zone, item) ? 'other-epoch' : undefined;
  }

  /** What takers are told of the shard (S20), also by a device that failed: it was claimed and opened before. */
  knowledgeOf(shard: ShardId): ShardKnowledge {
    return this.#table.knowledgeOf(shard);
  }

  /**
   * Whether [offset, offset + length) may be read, and where it lies: only what is stable (S11). Of a zone found open
   * after a restart also what lies below `seen`: it was committed, and single batches behind the damage may be good
   * (S9).
   */
  readable(shard: ShardId, id: ZoneId, offset: number, length: number): Readable {
    const zone = this.#table.find(shard, id);
    if (zone === undefined) return { kind: 'refused', code: 'unknown-zone' };
    const limit = zone.state === 'restarted' ? Math.max(zone.stable, zone.seen) : zone.stable;
    return offset + length <= limit
      ? { kind: 'ok', deviceZone: zone.deviceZone }
      : { kind: 'refused', code: 'out-of-range' };
  }

  /** Zones of `shard`, or all, by shard and id. `occupied`, by device zone, is the shell's knowledge. */
  report(shard: ShardId | undefined, occupied: (deviceZone: number) => number): ZoneStatus[] {
    return this.#table.report(shard, occupied);
  }

  /** The whole state, for a checkpoint of the metadata log. */
  snapshot(): MetadataEntry[] {
    return this.#table.snapshot();
  }

  // --- append --------------------------------------------------------------------------------------------------------

  #append(ticket: Ticket, item: AppendItem): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    if (this.#table.isFenced(item.shard, item)) return [this.#refuseFenced(ticket, item.shard)];
    const zone = this.#table.find(item.shard, item.zone);
    if (zone === undefined) return this.#create(ticket, item);
    if (!sameWriter(zone, item)) return [refuse(ticket, 'other-epoch', zone.epoch)];
    if (zone.state === 'finished') return [refuse(ticket, 'sealed', zone.written)];
    if (zone.state === 'restarted') return [refuse(ticket, 'restarted', zone.written)];
    if (zone.state !== 'open') return [refuse(ticket, 'sealed', zone.written)];
    const { written, unfinished, deviceZone } = zone;
    if (unfinished !== undefined && item.offset === unfinished.end)
      return this.#writeRest(ticket, item, unfinished, deviceZone);
    if (unfinished === undefined && item.offset === written) return this.#write(ticket, item, deviceZone, zone.seed);
    // What is not whole is repeated in pieces only: nobody is told that all of it is there.
    const end = restOf(item) === 0 ? written : (unfinished?.end ?? written);
    if (item.offset + item.bytes.length > end) return [refuse(ticket, 'not-at-write-pointer', written)];
    if (item.bytes.length === 0) return [refuse(ticket, 'malformed')];
    return [{ kind: 'compare', comparison: { ticket, item, deviceZone, fills: false } }];
  }

  /** A further piece of the append under way; its header came with the first. */
  #writeRest(ticket: Ticket, item: AppendItem, unfinished: Unfinished, deviceZone: number): MachineEffect<Ticket>[] {
    const length = item.bytes.length;
    if (length === 0 || item.offset + length + restOf(item) !== unfinished.total)
      return [{ kind: 'answer', ticket, answer: refusal('malformed', 'another append is under way') }];
    const { alignment } = this.#options;
    if (length % alignment !== 0) return [refuse(ticket, 'misaligned', alignment)];
    const { batches, committed } = unfinished;
    return [{ kind: 'write', write: { ticket, item, fills: false, deviceZone, batches, committed } }];
  }

  #refuseFenced(ticket: Ticket, shard: ShardId): MachineEffect<Ticket> {
    return refuse(ticket, 'fenced', this.#table.fenceOf(shard)?.epoch);
  }

  #create(ticket: Ticket, item: AppendItem): MachineEffect<Ticket>[] {
    const floor = this.#table.zoneFloorOf(item.shard);
    if (item.zone <= floor) return [refuse(ticket, 'retired-zone', floor)];
    if (this.#table.mayBeLost(item.shard, item.zone)) return [refuse(ticket, 'zone-lost')];
    if (item.offset !== 0) return [refuse(ticket, 'unknown-zone')];
    const deviceZone = this.#table.nextDeviceZone;
    if (deviceZone === undefined) return [refuse(ticket, 'device-full')];
    return this.#write(ticket, item, deviceZone, this.#table.seedOf(item));
  }

  #write(ticket: Ticket, item: AppendItem, deviceZone: number, seed: number): MachineEffect<Ticket>[] {
    const { zoneSize, alignment } = this.#options;
    if (item.offset % alignment !== 0 || item.bytes.length % alignment !== 0)
      return [refuse(ticket, 'misaligned', alignment)];
    const { offset } = item;
    const rest = restOf(item);
    if (offset + item.bytes.length + rest > zoneSize) return [refuse(ticket, 'zone-full', zoneSize)];
    const place = this.#table.placeOf(item);
    const check = checkAppend(item.bytes, { place, seed, offset, rest, zoneSize, alignment });
    if (check.kind === 'malformed') return [{ kind: 'answer', ticket, answer: refusal('malformed', check.reason) }];
    const { batches, committed } = check;
    return [{ kind: 'write', write: { ticket, item, fills: false, deviceZone, batches, committed } }];
  }

  /** DESIGN 8: on a full device what only frees space goes on, within the reserve. */
  #writeRefused(write: PendingWrite<Ticket>): MachineEffect<Ticket>[] {
    const { item, ticket } = write;
    const { zoneSize, alignment } = this.#options;
    const target = {
      place: this.#table.placeOf(item),
      seed: this.#table.seedOf(item),
      offset: item.offset,
      zoneSize,
      alignment,
    };
    if (write.urgent !== true && holdsNoPuts(item.bytes, target))
      return [{ kind: 'write', write: { ...write, urgent: true } }];
    // The owner may put something else in its place, so the pieces before it go, too.
    const zone = this.#table.find(item.shard, item.zone);
    return [...(zone === undefined ? [] : this.#abandon(zone)), refuse(ticket, 'device-full')];
  }

  /** Gives up the append of which only some pieces came. */
  #abandon(zone: HeldZone): MachineEffect<Ticket>[] {
    if (zone.unfinished === undefined) return [];
    zone.unfinished = undefined;
    this.#rounds.changed();
    return [{ kind: 'rewind-zone', deviceZone: zone.deviceZone, to: zone.written }];
  }

  #written(write: PendingWrite<Ticket>): MachineEffect<Ticket>[] {
    const { item, ticket } = write;
    const effects: MachineEffect<Ticket>[] = [];
    let zone = this.#table.find(item.shard, item.zone);
    if (zone !== undefined && zone.copyId === write.replaces) {
      effects.push(...this.#drop(zone));
      zone = undefined;
    }
    if (zone === undefined) {
      zone = this.#table.create(item, write.deviceZone, this.#options.drawCopyId());
      // The ids below are retired; this one only once it is reset, so that a zone of which nothing survives may be
      // created again.
      effects.push({ kind: 'persist', entries: [...this.#table.retire(item.shard, item.zone - 1), entryOf(zone)] });
    }
    assert(sameWriter(zone, item), 'S2 a zone is written by one writer');
    assert(write.deviceZone === zone.deviceZone, 'S16 an append is written where its zone lies');
    const { unfinished } = zone;
    assert(item.offset === (unfinished?.end ?? zone.written), 'S11 an append is written at the write pointer');
    if (write.fills) {
      if (zone.state === 'open') zone.state = write.copies === true ? 'copying' : 'filling';
    } else {
      assert(zone.state === 'open', 'S3 a zone that was found open takes no appends');
      assert(!this.#table.isFenced(item.shard, item), 'S4 no append of a fenced owner is written');
    }
    const end = item.offset + item.bytes.length;
    const rest = restOf(item);
    if (rest > 0) {
      const { batches, committed } = write;
      zone.unfinished = { end, total: end + rest, batches, committed };
      this.#rounds.wait({ kind: 'append', ticket, zone, end: zone.written, lba: this.#lbaOf(item) });
      return effects;
    }
    zone.unfinished = undefined;
    zone.written = end;
    zone.seen = Math.max(zone.seen, write.committed);
    zone.batches += write.batches;
    this.#rounds.wrote(zone);
    if (write.fills) this.#rounds.wait({ kind: filling(write), ticket, zone, end: zone.written });
    else this.#rounds.wait({ kind: 'append', ticket, zone, end: zone.written, lba: this.#lbaOf(item) });
    return effects;
  }

  /**
   * A repetition below the write pointer: the same bytes are acknowledged again, once they are stable; others never
   * (S11).
   */
  #compared(comparison: Comparison<Ticket>, same: boolean): MachineEffect<Ticket>[] {
    const { ticket, item, fills } = comparison;
    const zone = this.#table.find(item.shard, item.zone);
    if (zone === undefined || !same) return [refuse(ticket, 'not-at-write-pointer', zone?.written ?? 0)];
    // A piece of an append that is not whole: it is stable when what is there is.
    const end = Math.min(item.offset + item.bytes.length, zone.written);
    if (fills) return this.#waitOrAnswer({ kind: filling(comparison), ticket, zone, end });
    return this.#waitOrAnswer({ kind: 'append', ticket, zone, end, lba: this.#lbaOf(item) });
  }

  #lbaOf(item: AppendItem): Lba {
    return lbaOf(item.zone, item.offset, this.#options.zoneSize);
  }

  // --- seal, finish, reset -------------------------------------------------------------------------------------------

  #seal(ticket: Ticket, at: ZoneRef): MachineEffect<Ticket>[] {
    const { shard, zone: id } = at;
    const known = this.knowledgeOf(shard);
    if (this.#failed) return [refuseSeal(ticket, 'device-failed', known)];
    if (this.#table.isFenced(shard, at)) return [refuseSeal(ticket, 'fenced', known, known.fence?.epoch)];
    const zone = this.#table.find(shard, id);
    // The owner of an epoch closes its own zones by S6; sealing one for its own epoch would not stop its appends.
    if (zone !== undefined && zone.epoch >= at.epoch) return [refuseSeal(ticket, 'other-epoch', known, zone.epoch)];
    const effects = this.#raiseFence(shard, at);
    if (zone === undefined && id <= this.#table.zoneFloorOf(shard))
      return [...effects, refuseSeal(ticket, 'retired-zone', known)];
    if (zone === undefined && this.#table.mayBeLost(shard, id))
      return [...effects, refuseSeal(ticket, 'zone-lost', known)];
    const { process } = this.#options;
    return [...effects, ...this.#waitOrAnswer({ kind: 'seal', ticket, zone, end: zone?.written ?? 0, process, known })];
  }

  /** In force from now on, so that no append is accepted between here and the sync; answered only behind it (S3). */
  #raiseFence(shard: ShardId, writer: Writer): MachineEffect<Ticket>[] {
    const entries = this.#table.raiseFence(shard, writer);
    if (entries.length === 0) return [];
    this.#rounds.changed();
    return [{ kind: 'persist', entries }];
  }

  #ownerKnown(ticket: Ticket, shard: ShardId, owner: Writer): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    return [...this.#raiseFence(shard, owner), ...this.#waitOrAnswer({ kind: 'done', ticket })];
  }

  // --- fill ----------------------------------------------------------------------------------------------------------

  /** S19: completes a shorter copy under the taker's seal. */
  #fill(ticket: Ticket, item: FillItem): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    const fence = this.#table.fenceOf(item.shard);
    // The fence before 'identical repetition': a Fill is never an old owner's acknowledgement.
    if (fence === undefined || fence.epoch < item.by.epoch) return [refuse(ticket, 'unsealed')];
    if (!sameWriter(fence, item.by)) return [refuse(ticket, 'fenced', fence.epoch)];
    const order = fillOrder(this.#table, item);
    if (order.kind === 'refused') return [{ kind: 'answer', ticket, answer: order }];
    if (order.kind === 'write') return this.#checkFill(ticket, order.place);
    return [{ kind: 'compare', comparison: { ticket, ...order.place, fills: true } }];
  }

  #checkFill(
    ticket: Ticket,
    { item, deviceZone }: CopyPlace,
    order: Pick<PendingWrite<Ticket>, 'copies' | 'replaces'> = {},
  ): MachineEffect<Ticket>[] {
    const { zoneSize, alignment } = this.#options;
    const [place, seed] = [this.#table.placeOf(item), this.#table.seedOf(item)];
    const check = checkFill(item.bytes, { place, seed, offset: item.offset, zoneSize, alignment });
    if (check.kind === 'malformed') return [{ kind: 'answer', ticket, answer: refusal('malformed', check.reason) }];
    const { batches, committed } = check;
    const zone = this.#table.find(item.shard, item.zone);
    const abandoned = zone === undefined ? [] : this.#abandon(zone);
    const write = { ticket, item, fills: true, ...order, deviceZone, batches, committed };
    return [...abandoned, { kind: 'write', write }];
  }

  /** S10: completes a copy of a zone that ended, or begins it anew (copies.ts). */
  #copy(ticket: Ticket, item: CopyItem): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    if (this.#table.isFenced(item.shard, item.by)) return [this.#refuseFenced(ticket, item.shard)];
    // From here on no earlier owner completes or replaces what this one has asked about.
    const effects = item.bytes.length === 0 ? this.#raiseFence(item.shard, item.by) : [];
    const order = copyOrder(this.#table, item);
    switch (order.kind) {
      case 'refused':
        return [...effects, { kind: 'answer', ticket, answer: order }];
      case 'absent':
        return [...effects, { kind: 'answer', ticket, answer: { kind: 'copied', length: 0, copyId: '' } }];
      case 'held':
        return [...effects, ...this.#waitOrAnswer({ kind: 'copy', ticket, zone: order.zone, end: order.zone.written })];
      case 'compare':
        return [...effects, { kind: 'compare', comparison: { ticket, ...order.place, fills: true, copies: true } }];
      case 'write':
        return [...effects, ...this.#checkFill(ticket, order.place, { copies: true, replaces: order.replaces })];
      default:
        return unreachable(order);
    }
  }

  #finish(ticket: Ticket, shard: ShardId, id: ZoneId, length: number): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    const zone = this.#table.find(shard, id);
    if (zone === undefined) return [refuse(ticket, 'unknown-zone')];
    if (zone.state === 'finished') {
      return zone.written === length
        ? this.#waitOrAnswer({ kind: 'done', ticket })
        : [refuse(ticket, 'sealed', zone.written)];
    }
    // What isn't stable was acknowledged by nobody here: a length beyond it was computed from other copies (S10).
    if (length > zone.stable) return [refuse(ticket, 'not-held', zone.stable)];
    // Nothing of it was committed, and no list will ever name it: it goes as by a Reset, since none would come. Damage
    // stays, for who wants to look at it.
    if (length === 0 && zone.seen === 0 && zone.tail !== 'damaged') return this.#dropAsked(ticket, zone);
    const keptTo = zone.tail === 'clean' ? zone.written : this.#options.zoneSize;
    zone.state = 'finished';
    zone.unfinished = undefined;
    zone.written = length;
    zone.stable = length;
    this.#rounds.closed(zone);
    this.#rounds.wait({ kind: 'done', ticket });
    return [
      { kind: 'persist', entries: [entryOf(zone)] },
      // S19: an intact batch past the sealed length stays until Reset.
      { kind: 'finish-zone', deviceZone: zone.deviceZone, length, keptTo },
    ];
  }

  #reset(ticket: Ticket, shard: ShardId, id: ZoneId, copyId: string): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    const zone = this.#table.find(shard, id);
    if (zone === undefined) return [refuse(ticket, 'unknown-zone')];
    if (zone.copyId !== copyId) return [refuse(ticket, 'other-copy')];
    return this.#dropAsked(ticket, zone);
  }

  /** The zone is gone: its id is retired, and its device zone is free when that is stable. */
  #dropAsked(ticket: Ticket, zone: HeldZone): MachineEffect<Ticket>[] {
    const effects = this.#drop(zone);
    this.#rounds.wait({ kind: 'done', ticket });
    return effects;
  }

  #drop(zone: HeldZone): MachineEffect<Ticket>[] {
    const { shard, zone: id } = zone;
    this.#table.remove(zone);
    this.#rounds.closed(zone);
    this.#rounds.freed(zone.deviceZone);
    const entries: MetadataEntry[] = [...this.#table.retire(shard, id), { kind: 'removed', shard, zone: id }];
    return [
      { kind: 'persist', entries },
      { kind: 'reset-zone', deviceZone: zone.deviceZone },
    ];
  }

  // --- probe ---------------------------------------------------------------------------------------------------------

  /** Says again what is recorded already, so that the device has something to write and to sync. */
  #probe(ticket: Ticket, hasRoom: boolean): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    if (!hasRoom || this.#table.nextDeviceZone === undefined) return [refuse(ticket, 'device-full')];
    this.#rounds.wait({ kind: 'done', ticket });
    const known = this.#table.snapshot().find(({ kind }) => kind === 'fence' || kind === 'zone-floor');
    return known === undefined ? [] : [{ kind: 'persist', entries: [known] }];
  }

  // --- syncs ---------------------------------------------------------------------------------------------------------

  #startSync(): MachineEffect<Ticket>[] {
    return !this.#failed && this.#rounds.begin() ? [{ kind: 'sync' }] : [];
  }

  #synced(): MachineEffect<Ticket>[] {
    if (this.#failed) return [];
    const { answered, free } = this.#rounds.end();
    this.#table.release(free);
    const effects = answered.map((waiter) => answer(waiter));
    // What was written meanwhile does not wait for the end of the turn.
    effects.unshift(...this.#startSync());
    return effects;
  }

  #deviceFailed(): MachineEffect<Ticket>[] {
    this.#failed = true;
    return this.#rounds.fail().map((waiter) => refuse(waiter.ticket, 'device-failed'));
  }

  /** Answers at once when everything is stable, else with the next sync. */
  #waitOrAnswer(waiter: Waiter<Ticket>): MachineEffect<Ticket>[] {
    if (this.#rounds.isQuiet) return [answer(waiter)];
    this.#rounds.wait(waiter);
    return [];
  }
}

/** What a Fill and a Copy wait for: their answers differ. */
function filling({ copies }: { readonly copies?: true }): 'fill' | 'copy' {
  return copies === true ? 'copy' : 'fill';
}
