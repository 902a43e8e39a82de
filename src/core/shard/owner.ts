/**
 * PUT 5/5: committed, answered. The owner of a shard: orders its writes, confirms its reads, changes its zone. One
 * object per epoch held.
 *
 *   serving --replica failed, zone full, replicas back--> changing --own change seen--> serving
 *      |                                                     |
 *      +------------ fenced, or another owner seen ----------+--> deposed (for ever: S2)
 *
 * Rules kept here: S1 (compare and rewrite the whole head), S2, S5 (commit when all replicas have it), S6 (freeze
 * before changing zones), S7 (a read waits for all replicas to confirm), S15 (through the decider), S18 (shard time
 * only grows).
 */
import { assert } from '../../base/assert.ts';
import type { ErrorCode, Outcome } from '../../base/errors.ts';
import type { Epoch, Millis, Uuid, Version, ZoneId } from '../../base/ids.ts';
import { lbaOf, version, zoneId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import { times } from '../../base/times.ts';
import { recordKind } from '../../codec/log-format.ts';
import type { LoggerRefusalCode } from '../../codec/logger-protocol.ts';
import type { ShardState } from './apply.ts';
import { advance } from './apply.ts';
import { buildBatch, Decider, fitsEmptyZone, fitsZone, recordBytesMax } from './batch-builder.ts';
import type { ShardEffect, ShardSettings } from './events.ts';
import type { Loggers } from './loggers.ts';
import type { Head, SealedZone, ShardMetadata } from './metadata.ts';
import { encodeMetadata, headKey, sameOwner, zoneKey } from './metadata.ts';
import { ReadGroups } from './read-groups.ts';
import type { Failure, ShardRead, ShardWrite, WriteResult } from './requests.ts';
import { resultOfRecord } from './requests.ts';
import { type WriteQueue } from './write-queue.ts';
import type { Batch } from './zone-writer.ts';
import { ZoneWriter } from './zone-writer.ts';

/** A zone change under way (S6). While it is, nothing commits and nothing is confirmed. */
interface ZoneChange {
  readonly reason: string;
  readonly sealedLength: number;
  step: 'waiting' | 'transacting' | 'loading';
  retryAtMs: number;
}

export interface OwnerStatus {
  readonly epoch: Epoch;
  readonly zone: ZoneId;
  readonly replicas: readonly Uuid[];
  readonly committed: number;
  readonly queued: number;
  readonly changing: string | undefined;
  readonly full: boolean;
}

export class ShardOwner {
  readonly #state: ShardState;
  readonly #settings: ShardSettings;
  readonly #loggers: Loggers;
  readonly #out: (effect: ShardEffect) => void;
  readonly #effects: ShardEffect[];
  readonly #decider: Decider;
  readonly #queue: WriteQueue;
  #head: Head;
  #headRevision: number;
  #zone: ZoneWriter;
  #previous: { readonly zone: number; readonly length: number };
  #change: ZoneChange | undefined;
  /** The zone ends when what is in flight has committed. */
  #closing: string | undefined;
  #number = 0;
  #newReads: ShardRead[] = [];
  readonly #groups = new ReadGroups();
  #nowMs: Millis;
  #fullUntilMs = 0;
  #deposed = false;

  /**
   * REQUIRES: the coordinator holds `head`, whose owner is this process and whose open zone is empty and of the head's
   * epoch.
   */
  constructor(
    state: ShardState,
    settings: ShardSettings,
    loggers: Loggers,
    effects: ShardEffect[],
    queue: WriteQueue,
    metadata: ShardMetadata & { readonly head: Head },
    nowMs: Millis,
  ) {
    this.#state = state;
    this.#settings = settings;
    this.#loggers = loggers;
    this.#effects = effects;
    this.#out = (effect) => void effects.push(effect);
    this.#decider = new Decider(state);
    this.#queue = queue;
    this.#head = metadata.head;
    this.#headRevision = metadata.headRevision;
    this.#nowMs = nowMs;
    this.#previous = { zone: state.position.zone, length: state.position.offset };
    this.#zone = this.#openZone(metadata.head);
    advance(state, metadata.head.openZone.zone, 0, state.shardTimeMs);
  }

  get isDeposed(): boolean {
    return this.#deposed;
  }

  get status(): OwnerStatus {
    return {
      epoch: this.#head.epoch,
      zone: this.#zone.zone,
      replicas: this.#zone.replicas,
      committed: this.#zone.committed,
      queued: this.#queue.count,
      changing: this.#change?.reason,
      full: this.#nowMs < this.#fullUntilMs,
    };
  }

  #openZone(head: Head): ZoneWriter {
    assert(head.openZone.epoch === head.epoch, 'S2 a zone is written by the epoch it belongs to');
    const { zone, epoch, replicas } = head.openZone;
    return new ZoneWriter(this.#state, zone, epoch, replicas, this.#loggers.alignmentOf(replicas));
  }

  // --- requests
  // ------------------------------------------------------------------------------------------------------------

  write(write: ShardWrite): void {
    if (this.#nowMs < this.#fullUntilMs && write.operation === 'put') {
      this.#answer(
        write,
        this.#failure('disk-full', 'no logger has space left; delete keys or enlarge the devices', 'not-applied'),
      );
    } else if (!fitsEmptyZone(recordBytesMax(write), this.#zone.alignment, this.#state.zoneSize)) {
      this.#refuseTooLarge(write);
    } else if (!this.#queue.push(write, this.#nowMs)) {
      this.#answer(
        write,
        this.#failure(
          'overloaded',
          `shard ${this.#state.shard} has ${this.#queue.count} writes waiting`,
          'not-applied',
        ),
      );
    }
  }

  read(read: ShardRead): void {
    read.arrivedMs = this.#nowMs;
    if (this.#newReads.length >= limits.shardQueueRecordsMax) {
      this.#out({
        effect: 'fail-read',
        read,
        failure: this.#failure(
          'overloaded',
          `shard ${this.#state.shard} has ${this.#newReads.length} reads waiting`,
          'not-applied',
        ),
      });
    } else {
      this.#newReads.push(read);
    }
  }

  #refuseTooLarge(write: ShardWrite): void {
    const message = `a record of this cluster fits one zone of ${this.#state.zoneSize} bytes`;
    this.#answer(write, this.#failure('value-too-large', message, 'not-applied'));
  }

  /** Group commit: all that arrived in this turn goes out together. */
  turnEnded(nowMs: Millis, wallMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#change !== undefined || this.#deposed) return;
    if (this.#newReads.length > 0) this.#confirmNewReads();
    while (
      this.#closing === undefined &&
      this.#queue.count > 0 &&
      this.#zone.inFlight.length < this.#settings.batchesInFlightMax
    ) {
      if (!this.#formBatch(wallMs)) break;
    }
    if (this.#closing !== undefined && this.#zone.inFlight.length === 0) this.#beginChange(this.#closing);
  }

  #confirmNewReads(): void {
    const reads = this.#newReads;
    this.#newReads = [];
    for (const read of reads) this.#lookUp(read);
    this.#groups.add({ number: this.#sendConfirm(), sentMs: this.#nowMs, reads });
  }

  #lookUp(read: ShardRead): void {
    const { index } = this.#state;
    const id = index.find(read.source, read.keyStart, read.keyLength);
    if (id === -1) return;
    read.version = index.versionOf(id);
    read.lba = index.lbaOf(id);
    read.recordBytes = index.lengthOf(id);
    read.valueLength = index.valueLengthOf(id);
    read.expiresAt = index.expiresAtOf(id);
    this.#out({ effect: 'fetch', read });
  }

  #sendConfirm(): number {
    const number = ++this.#number;
    this.#out({
      effect: 'confirm',
      zone: this.#zone.zone,
      epoch: this.#zone.epoch,
      number,
      loggers: this.#zone.replicas,
    });
    return number;
  }

  /** False when nothing was sent. */
  #formBatch(wallMs: Millis): boolean {
    const writes: ShardWrite[] = [];
    let bytes = 0;
    for (let next = this.#queue.peek(); next !== undefined; next = this.#queue.peek()) {
      const most = recordBytesMax(next);
      if (
        writes.length > 0 &&
        (bytes + most > this.#settings.batchBytesTarget || writes.length >= limits.batchRecordsMax)
      )
        break;
      if (!fitsZone(this.#zone, bytes + most, this.#state.zoneSize)) {
        if (writes.length > 0) break;
        if (this.#zone.length > 0) {
          this.#closing = 'zone full';
          break;
        }
        // It was queued during the take-over, or for a zone of smaller alignment: no zone change would help it.
        this.#queue.shift();
        this.#refuseTooLarge(next);
        continue;
      }
      this.#queue.shift();
      if (!this.#decider.decide(next, this.#effects)) continue;
      bytes += most;
      writes.push(next);
    }
    if (writes.length === 0) return false;
    const forgotten = this.#state.once.overfull();
    const floors = forgotten === undefined ? [] : [forgotten];
    const context = { state: this.#state, zone: this.#zone, nowMs: this.#nowMs, wallMs, number: ++this.#number };
    const batch = buildBatch(context, writes, floors);
    this.#zone.sent(batch);
    const { zone, epoch, replicas } = this.#zone;
    this.#out({ effect: 'append', zone, epoch, offset: batch.appendOffset, bytes: batch.bytes, loggers: replicas });
    return true;
  }

  // --- answers of loggers
  // --------------------------------------------------------------------------------------------------

  appended(logger: Uuid, zone: number, end: number): void {
    if (zone !== this.#zone.zone || this.#change !== undefined || this.#deposed) return; // S6: frozen.
    this.#zone.acknowledged(logger, end);
    for (let batch = this.#zone.takeCommitted(); batch !== undefined; batch = this.#zone.takeCommitted())
      this.#commit(batch);
    this.#release();
  }

  confirmed(logger: Uuid, zone: number, number: number): void {
    if (zone !== this.#zone.zone || this.#change !== undefined || this.#deposed) return; // S6: frozen.
    this.#zone.confirmed(logger, number);
    this.#release();
  }

  /** S7: reads whose confirmation was sent after they were called and given by all replicas. */
  #release(): void {
    for (const read of this.#groups.takeConfirmed(this.#zone.confirmedByAll)) this.#out({ effect: 'release', read });
  }

  /** The batch is on every replica (S5): index it; the effect answers its writes. */
  #commit(batch: Batch): void {
    assert(!this.#deposed && this.#change === undefined, 'S6 nothing commits while frozen');
    const { index, once } = this.#state;
    for (const floor of batch.floors) once.applyFloor(floor);
    for (const write of batch.writes) {
      const address = lbaOf(this.#zone.zone, write.recordOffset, this.#state.zoneSize);
      const recordVersion = version(address);
      if (write.kind === recordKind.put) {
        index.put(
          write.source,
          write.keyStart,
          write.keyLength,
          recordVersion,
          address,
          write.recordBytes,
          write.valueLength,
          0,
        );
      } else if (write.kind === recordKind.delete) {
        index.delete(write.source, write.keyStart, write.keyLength, recordVersion);
      }
      if (write.client !== 0)
        once.complete(write.client, write.number, write.firstIncomplete, {
          kind: write.kind,
          version: recordVersion,
          reply: write.reply,
        });
      this.#decider.settled(write);
    }
    advance(this.#state, this.#zone.zone, batch.end, batch.shardTimeMs);
    const isFirst = batch.appendOffset === 0;
    this.#out({
      effect: 'committed',
      zone: this.#zone.zone,
      epoch: this.#zone.epoch,
      offset: batch.offset,
      end: batch.end,
      recordsStart: batch.recordsStart,
      recordCount: batch.recordCount,
      bytes: batch.bytes,
      shardTimeMs: batch.shardTimeMs,
      previousZone: isFirst ? this.#previous.zone : -1,
      previousLength: isFirst ? this.#previous.length : 0,
      writes: batch.writes,
    });
  }

  /**
   * A replica refused or was lost: S4 means that this epoch is over, everything else that the replica leaves the open
   * zone.
   */
  replicaFailed(logger: Uuid, zone: number, reason: LoggerRefusalCode | 'lost'): void {
    if (this.#deposed || zone !== this.#zone.zone || !this.#zone.replicas.includes(logger)) return;
    if (reason === 'fenced') {
      this.depose('fenced by a logger');
      return;
    }
    this.#loggers.avoid(
      logger,
      this.#nowMs + (reason === 'device-full' ? 2 * times.loggerAvoidedMs : times.loggerAvoidedMs),
    );
    if (reason === 'device-full' && this.#loggers.usable(this.#nowMs).length === 0)
      this.#fullUntilMs = this.#nowMs + times.diskFullRetryMs;
    // A refusal where nothing has been committed since the last change: the next zone may end in the same way, so it
    // waits a moment.
    this.#beginChange(
      `replica ${logger}: ${reason}`,
      reason !== 'lost' && this.#zone.committed === 0 ? times.zoneChangeRetryMs : 0,
    );
  }

  loggerDown(logger: Uuid): void {
    this.replicaFailed(logger, this.#zone.zone, 'lost');
  }

  // --- zone change (S6)
  // ----------------------------------------------------------------------------------------------------

  #beginChange(reason: string, delayMs = 0): void {
    if (this.#change !== undefined) return;
    this.#closing = undefined;
    this.#change = { reason, sealedLength: this.#zone.committed, step: 'waiting', retryAtMs: this.#nowMs + delayMs };
    if (delayMs === 0) this.#sendChange();
  }

  /**
   * Sends the compare-and-set, or waits for loggers. A second one compares the same head: only one of them can be
   * applied.
   */
  #sendChange(): void {
    const change = this.#change;
    assert(
      change !== undefined && this.#zone.committed === change.sealedLength,
      'S6 nothing committed since the freeze',
    );
    const next = this.#head.nextZone;
    const replicas = this.#loggers.choose(
      this.#state.shard,
      next,
      this.#settings.replicas,
      this.#settings.minReplicas,
      this.#nowMs,
    );
    if (replicas.length === 0) {
      change.step = 'waiting';
      change.retryAtMs = this.#nowMs + times.zoneChangeRetryMs;
      return;
    }
    const head: Head = {
      ...this.#head,
      openZone: { zone: next, epoch: this.#head.epoch, replicas },
      nextZone: zoneId(next + 1),
      change: this.#head.change + 1,
    };
    const writes = [{ key: headKey(this.#state.shard), value: encodeMetadata(head) }];
    if (change.sealedLength > 0) {
      const { zone, epoch, replicas: holders } = this.#zone;
      const sealed: SealedZone = { zone, epoch, length: change.sealedLength, replicas: holders, former: [] };
      writes.push({ key: zoneKey(this.#state.shard, zone), value: encodeMetadata(sealed) });
    }
    change.step = 'transacting';
    this.#out({
      effect: 'transact',
      compares: [{ key: headKey(this.#state.shard), revision: this.#headRevision }],
      writes,
    });
  }

  /**
   * Applied or not, what counts is what the coordinator holds now: read it (S6: go on only when one's change is seen).
   */
  transacted(): void {
    if (this.#change?.step !== 'transacting') return;
    this.#change.step = 'loading';
    this.#out({ effect: 'load' });
  }

  loadFailed(): void {
    if (this.#change?.step === 'loading') this.#retryChange();
  }

  #retryChange(): void {
    if (this.#change === undefined) return;
    this.#change.step = 'waiting';
    this.#change.retryAtMs = this.#nowMs + times.zoneChangeRetryMs;
  }

  /** `loaded`: read after the transaction was answered, otherwise news of the watch. */
  metadata(metadata: ShardMetadata, loaded: boolean): void {
    const { head } = metadata;
    if (this.#deposed || head === undefined || metadata.headRevision < this.#headRevision) return;
    if (head.epoch !== this.#head.epoch || !sameOwner(head.owner, this.#head.owner)) {
      this.depose(`epoch ${head.epoch} belongs to gateway ${head.owner.gateway}`);
    } else if (head.openZone.zone !== this.#zone.zone) {
      this.#adopt(metadata, head);
    } else if (loaded) {
      this.#headRevision = metadata.headRevision;
      this.#head = head;
      this.#retryChange();
    }
  }

  /**
   * The change is seen: records below the sealed length that was applied are committed, the others are appended again
   * in their old order.
   */
  #adopt(metadata: ShardMetadata, head: Head): void {
    const old = this.#zone;
    const change = this.#change;
    assert(change !== undefined, 'S6 a zone changes only after a freeze');
    const sealed = metadata.zones.find((zone) => zone.zone === old.zone);
    const sealedLength = sealed?.length ?? 0;
    assert(sealedLength === old.committed, 'S6 the sealed length is what was committed at the freeze');
    if (sealedLength > 0) this.#previous = { zone: old.zone, length: sealedLength };
    const again = this.#decider.takeBack(old.inFlight);
    this.#out({ effect: 'finish', zone: old.zone, length: sealedLength, loggers: old.replicas });
    this.#head = head;
    this.#headRevision = metadata.headRevision;
    this.#zone = this.#openZone(head);
    this.#change = undefined;
    advance(this.#state, head.openZone.zone, 0, this.#state.shardTimeMs);
    this.#queue.unshift(again);
    const text = 'zone changed';
    this.#out({
      effect: 'note',
      level: 'info',
      text,
      fields: {
        shard: this.#state.shard,
        zone: head.openZone.zone,
        replicas: head.openZone.replicas.length,
        reason: change.reason,
      },
    });
    if (this.#groups.oldest !== undefined) this.#groups.confirmAgain(this.#sendConfirm(), this.#nowMs);
    if (this.#nowMs < this.#fullUntilMs) this.#refuseQueuedPuts();
  }

  #refuseQueuedPuts(): void {
    for (const write of this.#queue.removeAll((queued) => queued.operation === 'put')) {
      this.#answer(
        write,
        this.#failure('disk-full', 'no logger has space left; delete keys or enlarge the devices', 'not-applied'),
      );
    }
  }

  // --- time
  // ----------------------------------------------------------------------------------------------------------------

  tick(nowMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#deposed) return;
    this.#refuseLate();
    if (this.#change !== undefined) {
      if (this.#change.step === 'waiting' && nowMs >= this.#change.retryAtMs) this.#sendChange();
      return;
    }
    const batch = this.#zone.inFlight[0];
    const group = this.#groups.oldest;
    const late = nowMs - this.#settings.loggerTimeoutMs;
    if (batch !== undefined && batch.sentMs < late) this.#slow(this.#zone.missing(batch.end, 0));
    else if (group !== undefined && group.sentMs < late) this.#slow(this.#zone.missing(0, group.number));
    else this.#regrow(nowMs);
  }

  #slow(loggers: readonly Uuid[]): void {
    for (const logger of loggers) this.#loggers.avoid(logger, this.#nowMs + times.loggerAvoidedMs);
    this.#beginChange(`no answer for ${this.#settings.loggerTimeoutMs} ms from ${loggers.join(', ')}`);
  }

  /** Too few replicas, and a logger is back for good: new zones use it again. */
  #regrow(nowMs: Millis): void {
    const { replicas } = this.#zone;
    if (replicas.length >= this.#settings.replicas || this.#closing !== undefined) return;
    const fresh = this.#loggers
      .usable(nowMs, this.#settings.regrowDelayMs)
      .filter((logger) => !replicas.includes(logger));
    if (fresh.length === 0) return;
    this.#closing = `replica ${fresh.join(', ')} is back`;
    if (this.#zone.inFlight.length === 0) this.#beginChange(this.#closing);
  }

  #refuseLate(): void {
    const before = this.#nowMs - this.#settings.requestTimeoutMs;
    for (const write of this.#queue.takeOlder(before)) {
      this.#answer(
        write,
        this.#failure(
          'unavailable',
          `the shard could not take the write for ${this.#settings.requestTimeoutMs} ms`,
          'not-applied',
        ),
      );
    }
    const late = [...this.#groups.takeOlder(before), ...this.#newReads.filter((read) => read.arrivedMs < before)];
    if (late.length > 0) this.#newReads = this.#newReads.filter((read) => read.arrivedMs >= before);
    for (const read of late)
      this.#out({
        effect: 'fail-read',
        read,
        failure: this.#failure('unavailable', 'the shard could not confirm the read', 'not-applied'),
      });
    if (this.#change !== undefined) this.#giveUpSent(before);
  }

  /**
   * Frozen for so long that nobody should wait any more for what was sent. What became of it only the next zone will
   * show, so the outcome is unknown. Once the own change is seen none of it exists, and until then nothing is decided:
   * a repetition is new then (S15).
   */
  #giveUpSent(before: number): void {
    const oldest = this.#zone.inFlight.find(({ writes }) => writes.length > 0)?.writes[0];
    if (oldest === undefined || oldest.arrivedMs >= before) return;
    const message = `the shard's zone could not be changed for ${this.#settings.requestTimeoutMs} ms`;
    for (const write of this.#decider.takeBack(this.#zone.inFlight.splice(0)))
      this.#answer(write, this.#failure('unavailable', message, 'unknown'));
  }

  // --- the end
  // -------------------------------------------------------------------------------------------------------------

  /**
   * Another epoch rules: nothing is committed or confirmed any more, and what was sent may or may not be committed by
   * the other.
   */
  depose(reason: string): void {
    if (this.#deposed) return;
    this.#deposed = true;
    this.#change = undefined;
    const sent = this.#decider.takeBack(this.#zone.inFlight.splice(0));
    for (const write of sent) this.#answer(write, this.#failure('not-owner', `lost the shard: ${reason}`, 'unknown'));
    for (const write of this.#queue.removeAll(() => true))
      this.#answer(write, this.#failure('not-owner', `lost the shard: ${reason}`, 'not-applied'));
    const reads = [...this.#groups.takeAll(), ...this.#newReads];
    this.#newReads = [];
    for (const read of reads)
      this.#out({
        effect: 'fail-read',
        read,
        failure: this.#failure('not-owner', `lost the shard: ${reason}`, 'not-applied'),
      });
    this.#out({
      effect: 'note',
      level: 'warn',
      text: 'deposed',
      fields: { shard: this.#state.shard, epoch: this.#head.epoch, reason },
    });
  }

  #answer(write: ShardWrite, result: WriteResult): void {
    this.#out({ effect: 'answer-write', write, result });
  }

  #failure(code: ErrorCode, message: string, outcome: Outcome): Failure {
    return { kind: 'failed', code, message, outcome };
  }
}

/** What to answer a committed write. */
export function writeResult(write: ShardWrite, recordVersion: Version): WriteResult {
  return resultOfRecord(write.kind, recordVersion, write.reply);
}
