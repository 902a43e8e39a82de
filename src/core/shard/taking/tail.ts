/**
 * The tail of the zone that a take-over closes: read and checked before its length is recorded, kept for the follower
 * that will apply it, and for the copies that lack a part of it (S9, S19).
 *
 * It owns what was read and who was filled. It does not own the decision on the length, nor how long a Fill may take.
 * Walk: TAKE-OVER 5/7.
 */
import { present } from '../../../base/assert.ts';
import type { Uuid } from '../../../base/ids.ts';
import type { CutRecords } from '../../../codec/cut-records.ts';
import { cutRecordsOf } from '../../logger/cut-scan.ts';
import type { Filled, LogRead, Lost, Refused } from '../events.ts';
import type { ShardState } from '../following/apply.ts';
import type { ReadBatch, ReadTail } from '../following/log-reader.ts';
import { LogReader } from '../following/log-reader.ts';
import type { OpenZone } from '../head/metadata.ts';
import type { ShardLimits } from '../limits.ts';
import type { Loggers } from '../loggers.ts';
import type { FillPiece } from './filler.ts';
import { Filler } from './filler.ts';
import type { SealAnswers } from './seal-answers.ts';
import type { TakeoverParts } from './parts.ts';

/** `shaken`: an answer of the seals does not hold any more; `stuck`: nobody could be asked. */
export type TailState = 'reading' | 'shaken' | 'stuck' | 'read';

export class Tail {
  readonly #identity: ShardState;
  readonly #limits: ShardLimits;
  readonly #loggers: Loggers;
  readonly #reader: LogReader;
  /** Whether any batch was read, or is known to lie below the watermark. */
  #hasRecords = false;
  #state: TailState = 'stuck';
  #zone: OpenZone | undefined;
  #watermark = 0;
  #length = 0;
  #holders: readonly Uuid[] = [];
  #answers: SealAnswers | undefined;
  /** Batches from the watermark on, as they were read; undefined when they are too much to be kept. */
  #kept: ReadTail | undefined;
  #filler: Filler;

  constructor({ state, loggers, effects, settings }: TakeoverParts) {
    this.#identity = state;
    this.#limits = settings.limits;
    this.#filler = new Filler(new Map(), 0, settings.limits);
    this.#loggers = loggers;
    this.#reader = new LogReader(
      'tail',
      state,
      loggers,
      effects,
      (batch) => this.#keep(batch),
      () => undefined,
      settings.limits.logChunkBytes,
    );
  }

  get state(): TailState {
    return this.#state;
  }

  get kept(): ReadTail | undefined {
    return this.#kept;
  }

  /** No batch lies below the length: a zone header at most. REQUIRES: `read`. */
  get isEmpty(): boolean {
    return !this.#hasRecords;
  }

  /** Reads [`watermark`, length) of the zone, and before it what the shorter copies lack. */
  begin(
    zone: OpenZone,
    watermark: number,
    { length, holders }: { readonly length: number; readonly holders: readonly Uuid[] },
    answers: SealAnswers,
  ): void {
    this.#zone = zone;
    this.#watermark = watermark;
    this.#length = length;
    this.#holders = holders;
    this.#answers = answers;
    const ends = new Map<Uuid, number>();
    for (const logger of zone.replicas) {
      const end = holders.includes(logger) ? undefined : answers.endOf(logger);
      if (end !== undefined) ends.set(logger, end);
    }
    this.#start(ends);
  }

  #start(ends: ReadonlyMap<Uuid, number>): void {
    const { zone, epoch, instance } = this.#open;
    this.#filler = new Filler(ends, this.#length, this.#limits);
    this.#hasRecords = this.#watermark > 0;
    this.#kept = { zone, from: this.#watermark, to: this.#length, batches: [] };
    const from = Math.min(this.#watermark, this.#filler.from);
    this.#reader.stop();
    this.#reader.start([{ zone, epoch, instance, from, to: this.#length, holders: this.#holders }]);
    this.#look();
  }

  get #open(): OpenZone {
    return present(this.#zone, 'a tail that was begun');
  }

  #keep(batch: ReadBatch): void {
    this.#hasRecords = true;
    this.#filler.keep(batch);
    const kept = this.#kept;
    if (kept === undefined || batch.header.offset < kept.from) return;
    const length = batch.header.offset + batch.header.totalLength - kept.from;
    if (length > this.#limits.tailKeptBytesMax) this.#kept = undefined;
    else kept.batches.push(batch);
  }

  answer(request: LogRead, bytes: Uint8Array | undefined): void {
    this.#reader.answer(request, bytes);
    const { failed, position } = this.#reader;
    // Below the watermark the bytes are read for others only: who lacks them there is as good as before.
    if (failed.has(request.logger) && position >= this.#watermark) {
      if (bytes === undefined) this.#answers?.isGone(request.logger);
      else this.#answers?.isDamaged(request.logger, position, this.#cutFrom(position, request, bytes));
      this.#reader.stop();
      this.#state = 'shaken';
      return;
    }
    this.#look();
  }

  /** Records behind damage at `position`, of those that were read with it. */
  #cutFrom(position: number, { offset }: LogRead, bytes: Uint8Array): CutRecords {
    const { cluster, shard, zoneSize } = this.#identity;
    const { zone, epoch, instance } = this.#open;
    const place = { cluster, shard, zone, epoch, instance };
    return cutRecordsOf(bytes.subarray(position - offset), position, { place, zoneSize, alignment: 1 });
  }

  #look(): void {
    const { state, position } = this.#reader;
    if (state === 'stuck' && position < this.#watermark) return this.#start(this.#endsFrom(this.#watermark));
    this.#state = state === 'done' ? 'read' : state === 'stuck' ? 'stuck' : 'reading';
  }

  /** Copies that can be filled with what lies behind `offset` alone. */
  #endsFrom(offset: number): ReadonlyMap<Uuid, number> {
    return new Map([...this.#filler.ends].filter(([, end]) => end >= offset));
  }

  // --- Fill (S19) ----------------------------------------------------------------------------------------------------

  /** What completes the copies that are in reach. REQUIRES: `read`. */
  pieces(): FillPiece[] {
    return this.#filler.pieces((logger) => this.#loggers.isUp(logger));
  }

  filled(logger: Uuid, answer: Filled | Lost | Refused): void {
    this.#filler.answered(logger, answer);
  }

  /** Whether nobody's answer is awaited. */
  get isFilled(): boolean {
    return this.#filler.isDone;
  }

  /** Copies that were completed and are stable. */
  get filledCopies(): readonly Uuid[] {
    return this.#filler.filled;
  }
}
