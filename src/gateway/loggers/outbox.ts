/**
 * What this gateway says to loggers in one turn of the event loop: all shards' appends to one logger in one message,
 * all confirmations in one, all reads in one (docs/design.md sections 4 and 5).
 * Walk: GET 3/5.
 */
import type { ShardId, ZoneId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { ConfirmItem, ReadAnswer, ReadItem, ZoneRef } from '../../codec/logger-protocol.ts';
import type { Lost } from '../../core/shard/events.ts';
import type { LoggerClient } from '../../rpc/logger-client.ts';
import type { Dispatch } from './logger-port.ts';
import { lost, reasonOf } from './logger-port.ts';
import type { AppendResult, PendingAppend, PieceSizes } from './long-appends.ts';
import { LongAppends } from './long-appends.ts';

interface PendingConfirm extends ConfirmItem {
  readonly number: number;
}

interface PendingRead extends ReadItem {
  readonly onRead: (answer: ReadAnswer | Lost) => void;
}

/** Limits of one message; what is longer goes in several. */
export interface OutboxLimits extends PieceSizes {
  readonly appendItemsMax: number;
  /** There is room beside the batches for what is said of each. */
  readonly appendBytesMax: number;
  readonly confirmItemsMax: number;
  readonly readItemsMax: number;
  readonly readBytesMax: number;
  /** Bytes that the logger has not taken, at which appends wait. */
  readonly unsentBytesMax: number;
}

export const outboxLimits: OutboxLimits = {
  appendItemsMax: limits.appendItemsMax,
  appendBytesMax: limits.frameBytesMax - 1024 * 1024,
  appendWholeBytesMax: limits.appendWholeBytesMax,
  appendPieceBytes: limits.appendPieceBytes,
  confirmItemsMax: limits.confirmItemsMax,
  readItemsMax: limits.readItemsMax,
  readBytesMax: limits.readBytesMax,
  unsentBytesMax: limits.outputBytesPause,
};

/** Everything for one logger. */
export class Outbox {
  readonly #client: LoggerClient;
  readonly #dispatch: Dispatch;
  readonly #long: LongAppends;
  readonly #limits: OutboxLimits;
  #appends: PendingAppend[] = [];
  #confirms: PendingConfirm[] = [];
  #reads: PendingRead[] = [];
  #readBytes = 0;
  #confirmNumber = 0;

  constructor(client: LoggerClient, dispatch: Dispatch, bounds: OutboxLimits = outboxLimits) {
    this.#limits = bounds;
    this.#client = client;
    this.#dispatch = dispatch;
    this.#long = new LongAppends({
      ...bounds,
      client,
      // All before the append is stable: so much is acknowledged, and that it goes on (deadlines count from there).
      onProgress: (append) => this.#appended(append, append.offset),
      onAnswer: (append, result) => this.#answered(append, result),
    });
  }

  get client(): LoggerClient {
    return this.#client;
  }

  append({ shard, zone, epoch, instance }: ZoneRef, offset: number, bytes: Uint8Array): void {
    const append = { shard, zone, epoch, instance, offset, bytes, end: offset + bytes.length };
    if (!this.#long.take(append)) this.#appends.push(append);
  }

  confirm({ shard, zone, epoch, instance }: ZoneRef, number: number): void {
    this.#confirms.push({ shard, zone, epoch, instance, number });
  }

  /** `onRead` is called exactly once. */
  read(
    shard: ShardId,
    zone: ZoneId,
    offset: number,
    length: number,
    onRead: (answer: ReadAnswer | Lost) => void,
  ): void {
    const { readItemsMax, readBytesMax } = this.#limits;
    const isFull = this.#reads.length >= readItemsMax || this.#readBytes + length > readBytesMax;
    if (isFull && this.#reads.length > 0) this.#sendReads();
    this.#reads.push({ shard, zone, offset, length, onRead });
    this.#readBytes += length;
  }

  /** Sends what has gathered. Answers come as events of the shards. */
  send(): void {
    while (this.#confirms.length > 0) this.#sendConfirms();
    // What the logger has not taken yet must not close its connection: the rest waits for a later turn, a tick's at the
    // latest.
    while (this.#appends.length > 0 && this.#client.waitingBytes <= this.#limits.unsentBytesMax) this.#sendAppends();
    this.#long.send();
    if (this.#reads.length > 0) this.#sendReads();
  }

  #sendAppends(): void {
    const items = this.#appends.splice(0, this.#appendsFitting());
    this.#client.append(items, (answer) => {
      for (const [at, append] of items.entries())
        this.#answered(append, answer.kind === 'ok' ? answer.value[at] : answer);
    });
  }

  #answered(append: PendingAppend, result: AppendResult): void {
    if (result?.kind === 'ok') return this.#appended(append, append.end);
    const { shard, zone } = append;
    this.#dispatch(shard, { event: 'append-failed', logger: this.#client.logger, zone, reason: reasonOf(result) });
  }

  #appended({ shard, zone }: PendingAppend, end: number): void {
    this.#dispatch(shard, { event: 'appended', logger: this.#client.logger, zone, end });
  }

  /** How many of the first appends fit one message; at least one. */
  #appendsFitting(): number {
    let bytes = 0;
    const beyond = this.#appends.findIndex((append) => (bytes += append.bytes.length) > this.#limits.appendBytesMax);
    return Math.min(this.#limits.appendItemsMax, beyond === -1 ? this.#appends.length : Math.max(1, beyond));
  }

  #sendConfirms(): void {
    const items = this.#confirms.splice(0, this.#limits.confirmItemsMax);
    this.#client.confirm(++this.#confirmNumber, items, (answer) => {
      for (const [at, { shard, zone, number }] of items.entries()) {
        const refusal = answer.kind === 'ok' ? answer.value.refusals[at] : undefined;
        const { logger } = this.#client;
        if (answer.kind !== 'ok')
          this.#dispatch(shard, { event: 'confirm-failed', logger, zone, reason: reasonOf(answer) });
        else if (refusal !== undefined)
          this.#dispatch(shard, { event: 'confirm-failed', logger, zone, reason: { kind: 'refused', code: refusal } });
        else this.#dispatch(shard, { event: 'confirmed', logger, zone, number });
      }
    });
  }

  #sendReads(): void {
    const items = this.#reads;
    this.#reads = [];
    this.#readBytes = 0;
    this.#client.read(items, (answer) => {
      for (const [at, item] of items.entries()) item.onRead(answer.kind === 'ok' ? (answer.value[at] ?? lost) : lost);
    });
  }
}
