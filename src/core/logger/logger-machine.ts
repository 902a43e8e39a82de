/**
 * The decisions of a logger, pure: events in, effects out, to be carried out in order. `Ticket` is the shell's: it says
 * where an answer goes.
 *
 *   append  --write-->  written  --turn-ended-->  sync  --synced-->  answer            (S3: answered only behind the sync that covers it)
 *   seal, finish, reset  --persist-->  turn-ended  --sync-->  synced  -->  answer      (the same sync covers data and metadata)
 *   device-failed: every answer that waits, and every later one, is the refusal `device-failed` (S17)
 *
 *   zone:  (absent) --append at 0--> open --finish--> finished --reset--> (absent, id retired)
 *                                      |  restart with bytes
 *                                      v
 *                                  restarted --finish--> finished
 * An open zone whose epoch lies below the shard's fence is called `fenced`: its appends are refused for ever (S4).
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { Epoch, Lba, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { lbaOf, zoneId } from '../../base/ids.ts';
import { zoneSeed } from '../../codec/log-format.ts';
import type { AppendItem, ConfirmItem, LoggerRefusalCode, ZoneStatus } from '../../codec/logger-protocol.ts';
import { loggerRefusals, refusal } from '../../codec/logger-protocol.ts';
import { checkAppend } from './append-check.ts';
import type { Comparison, MachineAnswer, MachineEffect, MachineEvent, PendingWrite } from './machine-events.ts';
import type { MetadataEntry } from './metadata-format.ts';
import type { RestoredState, RestoredZone } from './restored-state.ts';

export type { MachineEffect, MachineEvent };

export interface MachineOptions {
  readonly cluster: Uuid;
  readonly zoneSize: number;
  readonly alignment: number;
  /** Device zones that hold data or may, the metadata zones not among them. */
  readonly deviceZones: readonly number[];
  /** Draws a copy id: 16 hexadecimal digits that name one copy of a zone (S10). */
  readonly drawCopyId: () => string;
}

/** A zone that is held. Changed by the machine alone. */
interface Zone extends RestoredZone {
  /** The seed of its checksums, kept since every append needs it. */
  readonly seed: number;
  state: 'open' | 'restarted' | 'finished';
  /** The write pointer. */
  written: number;
  /** What the sync under way will have made stable. */
  syncing: number;
  stable: number;
  seen: number;
  batches: number;
}

type Waiter<Ticket> =
  | { readonly kind: 'append'; readonly ticket: Ticket; readonly zone: Zone; readonly end: number; readonly lba: Lba }
  | { readonly kind: 'seal'; readonly ticket: Ticket; readonly zone: Zone | undefined }
  | { readonly kind: 'done'; readonly ticket: Ticket };

export type Readable =
  | { readonly kind: 'ok'; readonly deviceZone: number }
  | { readonly kind: 'refused'; readonly code: LoggerRefusalCode };

/**
 * Zone ids have up to 48 bits: no number can hold shard and zone, and a string per append would cost more than two
 * lookups.
 */
type ZonesOfShard = Map<ZoneId, Zone>;

export class LoggerMachine<Ticket> {
  readonly #options: MachineOptions;
  readonly #zones = new Map<ShardId, ZonesOfShard>();
  readonly #fences = new Map<ShardId, Epoch>();
  readonly #zoneFloors = new Map<ShardId, ZoneId>();
  /** Device zones that may be used. */
  readonly #free: number[];
  /** Freed by resets that the next sync, and the one under way, will cover. */
  #freed: number[] = [];
  #freeing: number[] = [];
  readonly #dirty = new Set<Zone>();
  /** Whether anything was written or changed since the last sync began. */
  #unsynced = false;
  #syncing = false;
  #failed = false;
  #waiting: Waiter<Ticket>[] = [];
  #covered: Waiter<Ticket>[] = [];
  #zoneCount = 0;

  constructor(options: MachineOptions, restored: RestoredState) {
    this.#options = options;
    for (const [shard, epoch] of restored.fences) this.#fences.set(shard, epoch);
    for (const [shard, zone] of restored.zoneFloors) this.#zoneFloors.set(shard, zone);
    const used = new Set<number>();
    for (const zone of restored.zones) {
      assert(!used.has(zone.deviceZone), 'S11 two zones never lie in one device zone');
      used.add(zone.deviceZone);
      this.#put({
        ...zone,
        seed: this.#seedOf(zone),
        state: zone.finished ? 'finished' : 'restarted',
        written: zone.length,
        syncing: zone.length,
        stable: zone.length,
      });
    }
    this.#free = options.deviceZones.filter((zone) => !used.has(zone)).reverse();
  }

  get failed(): boolean {
    return this.#failed;
  }

  get zoneCount(): number {
    return this.#zoneCount;
  }

  step(event: MachineEvent<Ticket>): MachineEffect<Ticket>[] {
    switch (event.kind) {
      case 'append':
        return this.#append(event.ticket, event.item);
      case 'written':
        return this.#written(event.write);
      case 'write-refused':
        return [refuse(event.write.ticket, 'device-full')];
      case 'compared':
        return this.#compared(event.comparison, event.same);
      case 'seal':
        return this.#seal(event.ticket, event.shard, event.zone, event.epoch);
      case 'finish':
        return this.#finish(event.ticket, event.shard, event.zone, event.length);
      case 'reset':
        return this.#reset(event.ticket, event.shard, event.zone, event.copyId);
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
    if (this.#fenceOf(item.shard) > item.epoch) return 'fenced';
    const zone = this.#zone(item.shard, item.zone);
    return zone !== undefined && zone.epoch !== item.epoch ? 'other-epoch' : undefined;
  }

  /**
   * Whether [offset, offset + length) may be read, and where it lies: only what is stable (S11). Of a zone found open
   * after a restart also what lies below `seen`: it was committed, and single batches behind the damage may be good
   * (S9).
   */
  readable(shard: ShardId, id: ZoneId, offset: number, length: number): Readable {
    const zone = this.#zone(shard, id);
    if (zone === undefined) return { kind: 'refused', code: 'unknown-zone' };
    const limit = zone.state === 'restarted' ? Math.max(zone.stable, zone.seen) : zone.stable;
    return offset + length <= limit
      ? { kind: 'ok', deviceZone: zone.deviceZone }
      : { kind: 'refused', code: 'out-of-range' };
  }

  /** Zones, by shard and id; `occupied` by device zone is the shell's knowledge. */
  report(shard: ShardId | undefined, occupied: (deviceZone: number) => number): ZoneStatus[] {
    const zones: Zone[] = [];
    for (const [id, ofShard] of this.#zones) {
      if (shard === undefined || id === shard) zones.push(...ofShard.values());
    }
    zones.sort((a, b) => a.shard - b.shard || a.zone - b.zone);
    return zones.map((zone) => ({
      shard: zone.shard,
      zone: zone.zone,
      epoch: zone.epoch,
      state: this.#stateOf(zone),
      length: zone.stable,
      seen: zone.seen,
      capacity: this.#options.zoneSize,
      occupied: occupied(zone.deviceZone),
      copyId: zone.copyId,
      batches: zone.batches,
      digest: undefined,
    }));
  }

  /** The whole state, for a checkpoint of the metadata log. */
  snapshot(): MetadataEntry[] {
    const entries: MetadataEntry[] = [];
    for (const [shard, epoch] of this.#fences) entries.push({ kind: 'fence', shard, epoch });
    for (const [shard, zone] of this.#zoneFloors) entries.push({ kind: 'zone-floor', shard, zone });
    for (const ofShard of this.#zones.values()) for (const zone of ofShard.values()) entries.push(entryOf(zone));
    return entries;
  }

  // --- append
  // ------------------------------------------------------------------------------------------------------------

  #append(ticket: Ticket, item: AppendItem): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    const fence = this.#fenceOf(item.shard);
    if (fence > item.epoch) return [refuse(ticket, 'fenced', fence)];
    const zone = this.#zone(item.shard, item.zone);
    if (zone === undefined) return this.#create(ticket, item);
    if (zone.epoch !== item.epoch) return [refuse(ticket, 'other-epoch', zone.epoch)];
    if (zone.state === 'finished') return [refuse(ticket, 'sealed', zone.written)];
    if (zone.state === 'restarted') return [refuse(ticket, 'restarted', zone.written)];
    if (item.offset === zone.written) return this.#write(ticket, item, zone.deviceZone, zone.seed);
    if (item.offset + item.bytes.length > zone.written) return [refuse(ticket, 'not-at-write-pointer', zone.written)];
    if (item.bytes.length === 0) return [refuse(ticket, 'malformed')];
    return [{ kind: 'compare', comparison: { ticket, item, deviceZone: zone.deviceZone } }];
  }

  #create(ticket: Ticket, item: AppendItem): MachineEffect<Ticket>[] {
    const floor = this.#zoneFloors.get(item.shard) ?? 0;
    if (item.zone <= floor) return [refuse(ticket, 'retired-zone', floor)];
    if (item.offset !== 0) return [refuse(ticket, 'unknown-zone')];
    const deviceZone = this.#free.at(-1);
    if (deviceZone === undefined) return [refuse(ticket, 'device-full')];
    return this.#write(ticket, item, deviceZone, this.#seedOf(item));
  }

  #write(ticket: Ticket, item: AppendItem, deviceZone: number, seed: number): MachineEffect<Ticket>[] {
    const { cluster, zoneSize, alignment } = this.#options;
    if (item.offset % alignment !== 0 || item.bytes.length % alignment !== 0)
      return [refuse(ticket, 'misaligned', alignment)];
    if (item.offset + item.bytes.length > zoneSize) return [refuse(ticket, 'zone-full', zoneSize)];
    const place = { cluster, shard: item.shard, zone: item.zone, epoch: item.epoch };
    const check = checkAppend(item.bytes, { place, seed, offset: item.offset, zoneSize, alignment });
    if (check.kind === 'malformed') return [{ kind: 'answer', ticket, answer: refusal('malformed', check.reason) }];
    return [{ kind: 'write', write: { ticket, item, deviceZone, batches: check.batches, committed: check.committed } }];
  }

  #written(write: PendingWrite<Ticket>): MachineEffect<Ticket>[] {
    const { item, ticket } = write;
    const effects: MachineEffect<Ticket>[] = [];
    let zone = this.#zone(item.shard, item.zone);
    if (zone === undefined) {
      zone = this.#created(write);
      // The ids below are retired; this one only once it is reset, so that a zone of which nothing survives may be
      // created again.
      effects.push({ kind: 'persist', entries: [...this.#retire(item.shard, item.zone - 1), entryOf(zone)] });
    }
    assert(
      zone.state === 'open' && zone.epoch === item.epoch,
      'S2 a zone is written by one epoch, and not after a restart (S3)',
    );
    assert(item.offset === zone.written, 'S11 an append is written at the write pointer');
    assert(this.#fenceOf(item.shard) <= item.epoch, 'S4 no append of a fenced epoch is written');
    zone.written += item.bytes.length;
    zone.seen = Math.max(zone.seen, write.committed);
    zone.batches += write.batches;
    this.#dirty.add(zone);
    this.#wait({
      kind: 'append',
      ticket,
      zone,
      end: zone.written,
      lba: lbaOf(item.zone, item.offset, this.#options.zoneSize),
    });
    return effects;
  }

  #created(write: PendingWrite<Ticket>): Zone {
    const { item, deviceZone } = write;
    assert(this.#free.at(-1) === deviceZone, 'a zone is created in the device zone that was chosen for it');
    this.#free.pop();
    const zone: Zone = {
      shard: item.shard,
      zone: item.zone,
      epoch: item.epoch,
      deviceZone,
      copyId: this.#options.drawCopyId(),
      seed: this.#seedOf(item),
      state: 'open',
      finished: false,
      length: 0,
      tail: 'clean',
      written: 0,
      syncing: 0,
      stable: 0,
      seen: 0,
      batches: 0,
    };
    this.#put(zone);
    return zone;
  }

  /**
   * A repetition below the write pointer: the same bytes are acknowledged again, once they are stable; others never
   * (S11).
   */
  #compared(comparison: Comparison<Ticket>, same: boolean): MachineEffect<Ticket>[] {
    const { ticket, item } = comparison;
    const zone = this.#zone(item.shard, item.zone);
    if (zone === undefined || !same) return [refuse(ticket, 'not-at-write-pointer', zone?.written ?? 0)];
    return this.#waitOrAnswer({
      kind: 'append',
      ticket,
      zone,
      end: item.offset + item.bytes.length,
      lba: lbaOf(item.zone, item.offset, this.#options.zoneSize),
    });
  }

  // --- seal, finish, reset
  // -----------------------------------------------------------------------------------------------

  #seal(ticket: Ticket, shard: ShardId, id: ZoneId, epoch: Epoch): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    const fence = this.#fenceOf(shard);
    if (fence > epoch) return [refuse(ticket, 'fenced', fence)];
    const zone = this.#zone(shard, id);
    // The owner of an epoch closes its own zones by S6; sealing one for its own epoch would not stop its appends.
    if (zone !== undefined && zone.epoch >= epoch) return [refuse(ticket, 'other-epoch', zone.epoch)];
    const effects: MachineEffect<Ticket>[] = [];
    if (epoch > fence) {
      // In force from now on, so that no append is accepted between here and the sync; answered only behind it (S3).
      this.#fences.set(shard, epoch);
      this.#unsynced = true;
      effects.push({ kind: 'persist', entries: [{ kind: 'fence', shard, epoch }] });
    }
    if (zone === undefined && id <= (this.#zoneFloors.get(shard) ?? 0))
      return [...effects, refuse(ticket, 'retired-zone')];
    return [...effects, ...this.#waitOrAnswer({ kind: 'seal', ticket, zone })];
  }

  #finish(ticket: Ticket, shard: ShardId, id: ZoneId, length: number): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    const zone = this.#zone(shard, id);
    if (zone === undefined) return [refuse(ticket, 'unknown-zone')];
    if (zone.state === 'finished') {
      return zone.written === length
        ? this.#waitOrAnswer({ kind: 'done', ticket })
        : [refuse(ticket, 'sealed', zone.written)];
    }
    // What isn't stable was acknowledged by nobody here: a length beyond it was computed from other copies (S10).
    if (length > zone.stable) return [refuse(ticket, 'not-held', zone.stable)];
    zone.state = 'finished';
    zone.written = length;
    zone.stable = length;
    this.#dirty.delete(zone);
    this.#wait({ kind: 'done', ticket });
    return [
      { kind: 'persist', entries: [entryOf(zone)] },
      { kind: 'finish-zone', deviceZone: zone.deviceZone, length },
    ];
  }

  #reset(ticket: Ticket, shard: ShardId, id: ZoneId, copyId: string): MachineEffect<Ticket>[] {
    if (this.#failed) return [refuse(ticket, 'device-failed')];
    const zone = this.#zone(shard, id);
    if (zone === undefined) return [refuse(ticket, 'unknown-zone')];
    if (zone.copyId !== copyId) return [refuse(ticket, 'other-copy')];
    this.#zones.get(shard)?.delete(id);
    this.#zoneCount -= 1;
    this.#dirty.delete(zone);
    this.#freed.push(zone.deviceZone);
    this.#wait({ kind: 'done', ticket });
    const entries: MetadataEntry[] = [...this.#retire(shard, id), { kind: 'removed', shard, zone: id }];
    return [
      { kind: 'persist', entries },
      { kind: 'reset-zone', deviceZone: zone.deviceZone },
    ];
  }

  // --- syncs
  // -------------------------------------------------------------------------------------------------------------

  #startSync(): MachineEffect<Ticket>[] {
    if (this.#syncing || this.#failed || !this.#unsynced) return [];
    this.#syncing = true;
    this.#unsynced = false;
    this.#covered = this.#waiting;
    this.#waiting = [];
    this.#freeing = this.#freed;
    this.#freed = [];
    for (const zone of this.#dirty) zone.syncing = zone.written;
    return [{ kind: 'sync' }];
  }

  #synced(): MachineEffect<Ticket>[] {
    if (this.#failed) return [];
    assert(this.#syncing, 'S3 a sync that returned had begun');
    this.#syncing = false;
    for (const zone of this.#dirty) {
      zone.stable = Math.max(zone.stable, Math.min(zone.syncing, zone.written));
      if (zone.stable === zone.written) this.#dirty.delete(zone);
    }
    this.#free.push(...this.#freeing);
    this.#freeing = [];
    const effects = this.#covered.map(
      (waiter): MachineEffect<Ticket> => ({ kind: 'answer', ticket: waiter.ticket, answer: answerOf(waiter) }),
    );
    this.#covered = [];
    // What was written meanwhile does not wait for the end of the turn.
    effects.unshift(...this.#startSync());
    return effects;
  }

  #deviceFailed(): MachineEffect<Ticket>[] {
    this.#failed = true;
    const waiters = [...this.#covered, ...this.#waiting];
    this.#covered = [];
    this.#waiting = [];
    return waiters.map((waiter) => refuse(waiter.ticket, 'device-failed'));
  }

  #wait(waiter: Waiter<Ticket>): void {
    this.#unsynced = true;
    this.#waiting.push(waiter);
  }

  /** Answers at once when everything is stable, else with the next sync. */
  #waitOrAnswer(waiter: Waiter<Ticket>): MachineEffect<Ticket>[] {
    if (!this.#unsynced && !this.#syncing) return [{ kind: 'answer', ticket: waiter.ticket, answer: answerOf(waiter) }];
    this.#wait(waiter);
    return [];
  }

  // --- state
  // -------------------------------------------------------------------------------------------------------------

  #zone(shard: ShardId, id: ZoneId): Zone | undefined {
    return this.#zones.get(shard)?.get(id);
  }

  #put(zone: Zone): void {
    let ofShard = this.#zones.get(zone.shard);
    if (ofShard === undefined) {
      ofShard = new Map();
      this.#zones.set(zone.shard, ofShard);
    }
    ofShard.set(zone.zone, zone);
    this.#zoneCount += 1;
  }

  #seedOf(of: { readonly shard: ShardId; readonly zone: ZoneId; readonly epoch: Epoch }): number {
    return zoneSeed({ cluster: this.#options.cluster, shard: of.shard, zone: of.zone, epoch: of.epoch });
  }

  #fenceOf(shard: ShardId): number {
    return this.#fences.get(shard) ?? 0;
  }

  /** Raises the zone floor to `id` at least (S4), and gives the entry that says so, if it rose. */
  #retire(shard: ShardId, id: number): MetadataEntry[] {
    if (id <= (this.#zoneFloors.get(shard) ?? 0)) return [];
    const floor = zoneId(id);
    this.#zoneFloors.set(shard, floor);
    return [{ kind: 'zone-floor', shard, zone: floor }];
  }

  #stateOf(zone: Zone): ZoneStatus['state'] {
    if (zone.state === 'finished') return 'finished';
    if (this.#fenceOf(zone.shard) > zone.epoch) return 'fenced';
    return zone.state;
  }
}

function entryOf(zone: Zone): MetadataEntry {
  const finished = zone.state === 'finished';
  return {
    kind: 'zone',
    shard: zone.shard,
    zone: zone.zone,
    epoch: zone.epoch,
    deviceZone: zone.deviceZone,
    copyId: zone.copyId,
    state: finished ? 'finished' : 'open',
    length: finished ? zone.written : 0,
    batches: finished ? zone.batches : 0,
  };
}

function answerOf<Ticket>(waiter: Waiter<Ticket>): MachineAnswer {
  switch (waiter.kind) {
    case 'append':
      // A zone that was finished or reset meanwhile holds less; nobody waits for such an append any more, but it must
      // not be said to be stable.
      if (waiter.zone.stable < waiter.end) return refusal('sealed', loggerRefusals.sealed, waiter.zone.stable);
      return { kind: 'appended', lba: waiter.lba };
    case 'seal': {
      const { zone } = waiter;
      if (zone === undefined) return { kind: 'sealed', answer: { length: 0, seen: 0, doubtful: false, tail: 'clean' } };
      assert(zone.stable === zone.written, 'S3 a seal is answered when every append accepted before is stable');
      return {
        kind: 'sealed',
        answer: {
          length: zone.stable,
          seen: zone.seen,
          doubtful: zone.tail === 'damaged' || zone.seen > zone.stable,
          tail: zone.tail,
        },
      };
    }
    case 'done':
      return { kind: 'done' };
    default:
      return unreachable(waiter);
  }
}

function refuse<Ticket>(ticket: Ticket, code: LoggerRefusalCode, detail = 0): MachineEffect<Ticket> {
  return { kind: 'answer', ticket, answer: refusal(code, loggerRefusals[code], detail) };
}
