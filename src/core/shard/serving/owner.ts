/**
 * PUT 5/5: committed, answered. The owner of a shard puts its writes in order and commits them. One object per epoch
 * held.
 *
 *   serving --replica failed, zone full, replicas back--> changing --own change seen--> serving
 *      |                                                     |
 *      +------------ fenced, or another owner seen ----------+--> deposed (for ever: S2)
 *
 * It owns the order of writes, the open zone's batches, and commit (S5). It does not own reads and their confirmation
 * (reads.ts, S7), the steps of a zone change (zone-change.ts, S6), what a write is decided to be (decider.ts, S15), nor
 * the head (head-keeper.ts, S1).
 * Walk: ZONE CHANGE 1/5.
 */
import { assert } from '../../../base/assert.ts';
import type { ErrorCode, Outcome } from '../../../base/errors.ts';
import type { Epoch, Millis, Uuid } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { CatchUp, ShardEffect, TransactionKind } from '../events.ts';
import { advance } from '../following/apply.ts';
import type { Head, Owner } from '../head/metadata.ts';
import { failingOf } from '../logger-fitness.ts';
import type { ShardRead, ShardWrite, WriteOperation } from '../requests.ts';
import { buildBatch, fitsEmptyZone, fitsZone, recordBytesMax } from './batch-builder.ts';
import { applyCommitted, committedOf } from './commit.ts';
import { CoordinatorCheck } from './coordinator-check.ts';
import { Decider } from './decider.ts';
import { OwnRecords } from './own-records.ts';
import type { OwnerParts, OwnerStatus, Reign } from './owner-parts.ts';
import { Pace } from './pace.ts';
import { OwnerReads } from './reads.ts';
import { failed, refused, refusedFull, refusedRead, refusedTooLarge } from './refusals.ts';
import { Space } from './space.ts';
import { ZoneChange } from './zone-change.ts';
import type { Batch, ZoneWriter } from './zone-writer.ts';
import { openedZone, wordOf } from './zone-writer.ts';

/** Large because all that moves a shard's writes on meets here: requests, answers, want of space, changes, time. */
export class ShardOwner {
  readonly #parts: OwnerParts;
  readonly #epoch: Epoch;
  readonly #decider: Decider;
  readonly #reads: OwnerReads;
  readonly #change: ZoneChange;
  readonly #coordinator: CoordinatorCheck;
  readonly #pace: Pace;
  readonly #own: OwnRecords;
  #zone: ZoneWriter;
  /** Where the log was before the open zone. */
  #previous: { readonly zone: number; readonly length: number };
  #nowMs: Millis;
  readonly #space = new Space();
  #deposed = false;

  /** REQUIRES: `head` is the keeper's, its owner is this process, its open zone is empty and of the head's epoch. */
  constructor(parts: OwnerParts, head: Head, nowMs: Millis) {
    const { state, settings, loggers, keeper, effects } = parts;
    this.#parts = parts;
    this.#epoch = head.epoch;
    this.#decider = new Decider(state);
    this.#reads = new OwnerReads(state, effects, settings.limits.queueRecordsMax);
    this.#change = new ZoneChange(state, settings, loggers, keeper);
    this.#coordinator = new CoordinatorCheck(keeper);
    this.#pace = new Pace(settings, nowMs);
    this.#own = new OwnRecords(state.once, keeper, head);
    this.#nowMs = nowMs;
    this.#previous = { zone: state.position.zone, length: state.position.offset };
    this.#zone = openedZone(state, head, loggers);
    advance(state, head.openZone.zone, 0, state.shardTimeMs);
  }

  get isDeposed(): boolean {
    return this.#deposed;
  }

  get reign(): Reign {
    return { epoch: this.#epoch, stuck: this.#change.isStuck };
  }

  get status(): OwnerStatus {
    return {
      ...this.reign,
      zone: this.#zone.zone,
      replicas: this.#zone.replicas,
      committed: this.#zone.committed,
      queued: this.#parts.queue.count,
      changing: this.#change.reason,
      full: this.#isFullFor('put'),
    };
  }

  // --- requests ------------------------------------------------------------------------------------------------------

  write(write: ShardWrite): void {
    const { queue, state } = this.#parts;
    if (this.#isFullFor(write.operation)) {
      this.#out(refusedFull(write));
    } else if (!fitsEmptyZone(recordBytesMax(write), this.#zone.alignment, state.zoneSize)) {
      this.#out(refusedTooLarge(write, state.zoneSize));
    } else if (!queue.push(write, this.#nowMs)) {
      this.#refuse(write, 'overloaded', `shard ${state.shard} has ${queue.count} writes waiting`);
    }
  }

  #isFullFor(operation: WriteOperation): boolean {
    return this.#change.isForcedForSpace || this.#space.isFullFor(operation, this.#nowMs);
  }

  read(read: ShardRead): void {
    if (this.#reads.add(read, this.#nowMs)) return;
    const message = `shard ${this.#parts.state.shard} has ${this.#reads.called} reads waiting`;
    this.#out(refusedRead(read, 'overloaded', message));
  }

  /** Group commit: all that arrived in this turn goes out together. */
  turnEnded(nowMs: Millis, wallMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#isFrozen) return;
    if (!this.#own.isOwed) this.#reads.send(this.#zone, nowMs);
    while (
      !this.#change.isClosing &&
      !this.#space.isRefusing &&
      this.#own.isNext(this.#parts.queue.count) &&
      this.#zone.inFlight.length < this.#parts.settings.batchesInFlightMax
    ) {
      if (!this.#formBatch(wallMs)) break;
    }
    this.#coordinator.lookAhead(this.#zone.length / this.#parts.state.zoneSize, nowMs);
    this.#endZone();
  }

  /** Freezes a zone that is to end, when nothing is in flight and the coordinator answers. */
  #endZone(): void {
    if (this.#change.isWished && this.#coordinator.isAnswering(this.#nowMs)) this.#change.handOver();
    if (!this.#change.isClosing || (this.#zone.inFlight.length > 0 && !this.#change.isForced)) return;
    if (this.#coordinator.isAnswering(this.#nowMs)) this.#change.closed(this.#zone.committed, this.#nowMs);
  }

  get #isFrozen(): boolean {
    return this.#change.isFrozen || this.#deposed;
  }

  /** False when nothing was sent. */
  #formBatch(wallMs: Millis): boolean {
    const { state, effects } = this.#parts;
    const writes = this.#own.isOwed ? [] : this.#takeWrites();
    if (this.#own.isOwed ? this.#isFullFor('delete') : writes.length === 0) return false;
    const own = this.#own.next();
    const number = this.#reads.nextNumber();
    const batch = buildBatch({ state, zone: this.#zone, nowMs: this.#nowMs, wallMs, number }, { own, writes });
    this.#zone.sent(batch);
    const { zone, epoch, instance, replicas: loggers } = this.#zone;
    const { appendOffset: at, bytes } = batch;
    effects.push({ effect: 'append', zone, epoch, instance, offset: at, bytes, loggers });
    return true;
  }

  /** The next writes that fit a batch and the zone, decided; those that need no record are answered. */
  #takeWrites(): ShardWrite[] {
    const { queue, settings, state, effects } = this.#parts;
    const writes: ShardWrite[] = [];
    let bytes = 0;
    for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
      const most = recordBytesMax(next);
      const isFull = bytes + most > settings.batchBytesTarget || writes.length >= settings.limits.batchRecordsMax;
      if (writes.length > 0 && isFull) break;
      if (!fitsZone(this.#zone, bytes + most, state.zoneSize)) {
        if (writes.length > 0) break;
        if (this.#zone.length > 0) {
          this.#change.close('zone full');
          break;
        }
        // It was queued during the take-over, or for a zone of smaller alignment: no zone change would help it.
        queue.shift();
        this.#out(refusedTooLarge(next, state.zoneSize));
        continue;
      }
      queue.shift();
      if (!this.#decider.decide(next, effects)) continue;
      bytes += most;
      writes.push(next);
    }
    return writes;
  }

  // --- answers of loggers --------------------------------------------------------------------------------------------

  appended(logger: Uuid, zone: number, end: number): void {
    if (zone !== this.#zone.zone || this.#deposed) return;
    // While frozen it is noted only: the change may turn out not to come.
    const tookMs = this.#zone.acknowledged(logger, end, this.#nowMs);
    if (this.#isFrozen) return; // S6
    if (tookMs !== undefined) this.#pace.firstAnswered(tookMs);
    this.#commitAcknowledged();
    if (this.#space.isRefusing) this.#judgeSpace();
  }

  #commitAcknowledged(): void {
    for (let batch = this.#zone.takeCommitted(); batch !== undefined; batch = this.#zone.takeCommitted())
      this.#commit(batch);
    this.#reads.release(this.#zone);
  }

  confirmed(logger: Uuid, zone: number, number: number): void {
    if (zone !== this.#zone.zone || this.#isFrozen) return; // S6
    this.#zone.confirmed(logger, number, this.#nowMs);
    this.#reads.release(this.#zone);
  }

  /** S5: the batch is on every replica. Its records are applied; the effect answers its writes and tells standbys. */
  #commit(batch: Batch): void {
    assert(!this.#isFrozen, 'S6 nothing commits while frozen');
    const { state } = this.#parts;
    const results = applyCommitted(state, this.#decider, this.#zone.zone, batch);
    this.#own.committed();
    advance(state, this.#zone.zone, batch.end, batch.shardTimeMs);
    this.#out(committedOf(this.#zone, batch, this.#previous, results));
  }

  /**
   * A replica refused or was lost: S4 means that this epoch is over, everything else that the replica leaves the open
   * zone.
   */
  replicaFailed(logger: Uuid, zone: number, reason: LoggerRefusalCode | 'lost'): void {
    if (this.#deposed || zone !== this.#zone.zone || !this.#zone.replicas.includes(logger)) return;
    if (reason === 'fenced') return this.depose('fenced by a logger');
    if (this.#space.isRefusal(logger, reason)) return this.#refusedForSpace(logger);
    this.#parts.loggers.failed(logger, failingOf(reason), this.#nowMs);
    // Refused where nothing has been committed: the next zone may end in the same way, so it waits a moment.
    const delayMs = reason !== 'lost' && this.#zone.committed === 0 ? times.zoneChangeRetryMs : 0;
    this.#change.freeze(`replica ${logger}: ${reason}`, this.#zone.committed, this.#nowMs, delayMs);
  }

  // --- want of space -------------------------------------------------------------------------------------------------

  #refusedForSpace(logger: Uuid): void {
    this.#parts.loggers.failed(logger, 'full', this.#nowMs);
    this.#space.refused(logger);
    if (!this.#isFrozen) this.#judgeSpace();
  }

  /** All replicas have answered what is in flight, and some had no space for it. */
  #judgeSpace(): void {
    const verdict = this.#space.verdict(this.#zone);
    if (verdict === 'open' || verdict === 'enough') return;
    const { loggers, settings } = this.#parts;
    if (verdict === 'uneven' || loggers.notFull.length >= settings.minReplicas) {
      const delayMs = this.#zone.committed === 0 ? times.zoneChangeRetryMs : 0;
      this.#change.leave('no space at all replicas', this.#zone.committed, this.#nowMs, delayMs);
    } else this.#withdraw();
  }

  /** Nothing of what is in flight was written anywhere: puts are refused, the zone stays open, deletes go on. */
  #withdraw(): void {
    const { queue } = this.#parts;
    const writes = this.#decider.takeBack(this.#zone.withdraw());
    this.#own.again();
    this.#space.forget();
    const deletes = writes.filter(({ operation }) => operation === 'delete');
    queue.unshift(writes);
    if (deletes.length < writes.length) return this.#refuseForSpace('put');
    // Not even deletes found room: a new zone may get space that is kept for them, where an old one's place has none.
    if (this.#zone.length === 0 || this.#change.isClosing) return this.#refuseForSpace('delete');
    this.#space.noneFor('put', this.#nowMs);
    this.#change.leave('no space for deletes', this.#zone.committed, this.#nowMs, 0);
  }

  /** Refuses what waits, and for a while what comes: puts, or deletes as well. */
  #refuseForSpace(operation: WriteOperation): void {
    this.#space.noneFor(operation, this.#nowMs);
    this.#refuseWaiting();
  }

  #refuseWaiting(): void {
    const isRefused = (write: ShardWrite): boolean => this.#space.isFullFor(write.operation, this.#nowMs);
    for (const write of this.#parts.queue.removeAll(isRefused)) this.#out(refusedFull(write));
  }

  loggerDown(logger: Uuid): void {
    this.replicaFailed(logger, this.#zone.zone, 'lost');
  }

  // --- the head ------------------------------------------------------------------------------------------------------

  /** Ends the own reign when what is in flight has committed (S6). */
  handOver(to: Owner, epoch: number): void {
    if (this.#deposed || epoch !== this.#epoch) return;
    this.#change.wish(to);
    this.#endZone();
  }

  /**
   * The transaction's answer counts for nothing: the keeper reads what the coordinator holds (S1). But for one: what
   * was certainly not applied is none, and where the zone could be left for no other reason reads go on.
   */
  transacted(kind: TransactionKind): void {
    const { keeper } = this.#parts;
    if (kind !== 'not-applied' || this.#deposed) return void keeper.transacted();
    this.#coordinator.failed(this.#nowMs);
    if (!keeper.giveUp()) return;
    if (this.#change.failed(this.#nowMs)) this.#goOn();
    else this.#change.retry(this.#nowMs);
  }

  /** The change can't come any more: what was acknowledged meanwhile is committed, and reads go on. */
  #goOn(): void {
    this.#parts.keeper.settle();
    this.#commitAcknowledged();
    this.#reads.again(this.#zone, this.#nowMs);
    // Without another zone nothing finds space.
    if (this.#space.isRefusing || this.#space.isFullFor('put', this.#nowMs)) this.#refuseForSpace('delete');
  }

  /** Answer of the coordinator to the question whether it answers. */
  looked(kind: TransactionKind): void {
    const answered = kind === 'applied' || kind === 'refused';
    this.#coordinator.looked(answered, this.#nowMs);
    if (this.#deposed) return;
    if (!answered) this.#change.reopen();
    this.#endZone();
  }

  loadFailed(): void {
    if (this.#parts.keeper.loaded()) this.#change.notSeen(this.#nowMs);
  }

  /** The keeper has learnt something. `loaded`: it was read after the transaction was answered. */
  metadata(loaded: boolean): void {
    const { keeper, self } = this.#parts;
    const { head, fate } = keeper;
    if (this.#deposed || head === undefined) return;
    const wasWaitedFor = loaded && keeper.loaded();
    if (!keeper.isOwnedBy(self, this.#epoch)) {
      if (fate === 'seen') this.#finish(keeper.sealedZone(this.#zone.zone)?.length ?? 0);
      return this.depose(`epoch ${head.epoch} belongs to gateway ${head.owner.gateway}`);
    }
    if (fate === 'seen') return this.#adopt(head);
    assert(head.openZone.zone === this.#zone.zone, 'S6 a zone changes only by a change of its owner');
    if (wasWaitedFor) this.#change.notSeen(this.#nowMs);
  }

  /**
   * S6: the change is seen. Records below the sealed length are committed; the others are appended again in their old
   * order.
   */
  #adopt(head: Head): void {
    const old = this.#zone;
    const { state, keeper, queue, loggers } = this.#parts;
    const sealedLength = keeper.sealedZone(old.zone)?.length ?? 0;
    assert(sealedLength === old.committed, 'S6 nothing was committed after the freeze');
    const reason = this.#change.seen(sealedLength);
    keeper.settle();
    if (sealedLength > 0) this.#previous = { zone: old.zone, length: sealedLength };
    const again = this.#decider.takeBack(old.inFlight);
    this.#own.again();
    this.#finish(sealedLength);
    this.#zone = openedZone(state, head, loggers);
    // Refused while the zone was left for it: what goes again may find space at others, and deletes in a new zone.
    this.#space.forget();
    advance(state, head.openZone.zone, 0, state.shardTimeMs);
    queue.unshift(again);
    const { zone, replicas } = head.openZone;
    this.#note('info', 'zone changed', { zone, replicas: replicas.length, reason });
    this.#reads.again(this.#zone, this.#nowMs);
    this.#refuseWaiting();
  }

  /** The zone's loggers are told where it ended. */
  #finish(length: number): void {
    const { zone, replicas: loggers } = this.#zone;
    this.#out({ effect: 'finish', zone, length, loggers });
  }

  // --- time ----------------------------------------------------------------------------------------------------------

  tick(nowMs: Millis): void {
    this.#nowMs = nowMs;
    this.#pace.tick(nowMs);
    if (this.#deposed) return;
    this.#refuseLate();
    this.#probe();
    if (this.#change.isFrozen) this.#change.propose(this.#zone.committed, nowMs);
    else if (!this.#leaveSlow()) this.#changeEarly();
    this.#endZone();
    this.#seeCoordinator();
  }

  /** Whether the zone waits for nothing but the coordinator, and for how long: writers are not kept waiting then. */
  #seeCoordinator(): void {
    const isAwaited = this.#change.isProposed || (this.#change.isClosing && this.#zone.inFlight.length === 0);
    this.#coordinator.awaited(isAwaited, this.#nowMs);
    if (!this.#coordinator.isAway) return;
    this.#change.reopen();
    const message = 'the zone must be changed, and the coordinator does not answer';
    for (const write of this.#parts.queue.takeOlder(this.#nowMs - times.coordinatorPatienceMs))
      this.#refuse(write, 'coordinator-unavailable', message);
  }

  /**
   * Whether a replica owed an answer for too long, so that the zone is left. Only for better ones: where all are slow a
   * change would cure nothing, and what is on its way would never arrive.
   */
  #leaveSlow(): boolean {
    const { loggers, settings } = this.#parts;
    const group = this.#reads.oldest;
    let slow = this.#zone.slowToAppend(this.#pace, this.#nowMs);
    if (slow.length === 0 && group !== undefined) slow = this.#zone.slowToConfirm(group, this.#pace, this.#nowMs);
    if (slow.length === 0) return false;
    const better = loggers.usable(this.#nowMs).filter((logger) => !slow.includes(logger));
    if (better.length < settings.minReplicas || !this.#coordinator.isAnswering(this.#nowMs)) return false;
    for (const logger of slow) loggers.failed(logger, 'slow', this.#nowMs);
    this.#change.freeze(`no answer in time from ${slow.join(', ')}`, this.#zone.committed, this.#nowMs);
    return true;
  }

  /** Loggers that failed are asked whether they can take a zone again. */
  #probe(): void {
    for (const logger of this.#parts.loggers.takeProbes(this.#nowMs)) this.#out({ effect: 'probe', logger });
  }

  /** A change that could be left undone, and is made before it must be. */
  #changeEarly(): void {
    const reason = this.#change.early(this.#zone, this.#zone.length / this.#parts.state.zoneSize, this.#nowMs);
    if (reason !== undefined && this.#coordinator.isAnswering(this.#nowMs)) this.#change.close(reason, true);
  }

  #refuseLate(): void {
    const { queue, settings } = this.#parts;
    const before = this.#nowMs - settings.requestTimeoutMs;
    for (const write of queue.takeOlder(before))
      this.#refuse(write, 'unavailable', `the shard could not take the write for ${settings.requestTimeoutMs} ms`);
    const code = this.#coordinator.isAway ? 'coordinator-unavailable' : 'unavailable';
    this.#reads.refuseLate(before, () => failed(code, 'the shard could not confirm the read', 'not-applied'));
    if (this.#change.isFrozen) this.#giveUpSent(before);
    else this.#giveUpWaiting(before);
  }

  /** Owed by all replicas for too long. It stays in flight: it may commit yet, and a repetition finds it (S15). */
  #giveUpWaiting(before: number): void {
    const { loggerTimeoutMs, requestTimeoutMs } = this.#parts.settings;
    const [oldest] = this.#zone.inFlight;
    if (oldest === undefined || this.#nowMs - oldest.sentMs < loggerTimeoutMs) return;
    const message = `the shard's replicas did not answer for ${requestTimeoutMs} ms`;
    for (const write of this.#zone.waitingSince(before)) this.#refuse(write, 'unavailable', message, 'unknown');
  }

  /**
   * Frozen for so long that nobody should wait any more for what was sent: the outcome is unknown. Once the own change
   * is seen none of it exists, and until then nothing is decided: a repetition is new then (S15).
   */
  #giveUpSent(before: number): void {
    const oldest = this.#zone.inFlight.find(({ writes }) => writes.length > 0)?.writes[0];
    if (oldest === undefined || oldest.arrivedMs >= before) return;
    const message = `the shard's zone could not be changed for ${this.#parts.settings.requestTimeoutMs} ms`;
    const code = this.#coordinator.isAway ? 'coordinator-unavailable' : 'unavailable';
    for (const write of this.#decider.takeBack(this.#zone.inFlight.splice(0)))
      this.#refuse(write, code, message, 'unknown');
  }

  /** What the log holds, for standbys that missed the last batch of a burst; undefined when there is nothing to say. */
  announcement(): CatchUp | undefined {
    return this.#zone.committed === 0 ? undefined : wordOf(this.#zone, this.#parts.state);
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  /**
   * Another epoch rules: nothing is committed or confirmed any more, and what was sent may or may not be committed by
   * the other.
   */
  depose(reason: string): void {
    if (this.#deposed) return;
    this.#deposed = true;
    const level = this.#change.isHandOver ? 'info' : 'warn';
    this.#change.stop();
    this.#parts.keeper.settle();
    const message = `lost the shard: ${reason}`;
    for (const write of this.#decider.takeBack(this.#zone.inFlight.splice(0)))
      this.#refuse(write, 'not-owner', message, 'unknown');
    for (const write of this.#parts.queue.removeAll(() => true)) this.#refuse(write, 'not-owner', message);
    this.#reads.refuseAll(() => failed('not-owner', message, 'not-applied'));
    this.#note(level, 'deposed', { epoch: this.#epoch, reason });
  }

  #refuse(write: ShardWrite, code: ErrorCode, message: string, outcome: Outcome = 'not-applied'): void {
    this.#out(refused(write, failed(code, message, outcome)));
  }

  #note(level: 'info' | 'warn', text: string, fields: Readonly<Record<string, string | number>>): void {
    this.#out({ effect: 'note', level, text, fields: { shard: this.#parts.state.shard, ...fields } });
  }

  #out(effect: ShardEffect): void {
    this.#parts.effects.push(effect);
  }
}
