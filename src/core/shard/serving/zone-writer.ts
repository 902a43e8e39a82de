/**
 * The open zone at its owner: what was appended, which replica acknowledged how much, which confirmed what, and when.
 * Pure bookkeeping; the rules it keeps: S5 (committed is what all replicas acknowledged) and S7 (confirmed is what all
 * replicas confirmed).
 */
import { assert } from '../../../base/assert.ts';
import { times } from '../../../base/times.ts';
import type { Epoch, InstanceId, Millis, Uuid, ZoneId } from '../../../base/ids.ts';
import { zoneSeed } from '../../../codec/log-format.ts';
import type { OwnRecord, ShardWrite } from '../requests.ts';
import type { CatchUp, ShardIdentity } from '../events.ts';
import type { ShardState } from '../following/apply.ts';
import type { Head, OpenZone } from '../head/metadata.ts';
import type { Loggers } from '../loggers.ts';
import type { Pace } from './pace.ts';

/** A batch that was sent and is not committed. */
export interface Batch {
  /** First byte of the append: of the zone header in a zone's first, else of the batch. */
  readonly appendOffset: number;
  readonly offset: number;
  readonly end: number;
  readonly recordsStart: number;
  readonly recordCount: number;
  readonly bytes: Buffer;
  readonly shardTimeMs: Millis;
  readonly sentMs: Millis;
  /** From the same counter as confirmations: its commit confirms reads that were called before it was sent. */
  readonly number: number;
  /** Records of the shard itself, before those of the clients. */
  readonly own: readonly OwnRecord[];
  readonly writes: readonly ShardWrite[];
}

/** A confirmation that was asked for. */
export interface Confirmation {
  readonly number: number;
  readonly sentMs: Millis;
}

export class ZoneWriter {
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  readonly instance: InstanceId;
  readonly replicas: readonly Uuid[];
  readonly alignment: number;
  readonly seed: number;
  readonly inFlight: Batch[] = [];
  /** Appended, acknowledged or not. */
  length = 0;
  /** Acknowledged by all replicas and applied. */
  committed = 0;
  /** Shard time of the last batch that was sent (S18). */
  sentTimeMs = 0;
  /** Time at which the last batch was sent, by the owner's clock. */
  #sentMs = 0;
  readonly #acknowledged: number[];
  readonly #confirmed: number[];
  /** Times at which each replica answered an append, or a confirmation, last. */
  readonly #acknowledgedMs: number[];
  readonly #confirmedMs: number[];
  /** Time that the first replica needed for the batch that ends at `end`, of those in flight the oldest or the last. */
  #first: { readonly end: number; readonly tookMs: number } | undefined;

  constructor({ cluster, shard }: ShardIdentity, open: OpenZone, alignment: number) {
    const { zone, epoch, instance, replicas } = open;
    assert(replicas.length > 0, 'a zone has a replica');
    this.zone = zone;
    this.epoch = epoch;
    this.instance = instance;
    this.replicas = replicas;
    this.alignment = alignment;
    this.seed = zoneSeed({ cluster, shard, zone, epoch, instance });
    this.#acknowledged = replicas.map(() => 0);
    this.#confirmed = replicas.map(() => 0);
    this.#acknowledgedMs = replicas.map(() => 0);
    this.#confirmedMs = replicas.map(() => 0);
  }

  sent(batch: Batch): void {
    assert(batch.appendOffset === this.length, 'S2 appends follow one another');
    assert(batch.shardTimeMs >= this.sentTimeMs, 'S18 shard time only grows, also among batches in flight');
    this.inFlight.push(batch);
    this.length = batch.end;
    this.sentTimeMs = batch.shardTimeMs;
    this.#sentMs = batch.sentMs;
  }

  /** Gives the time that it took when this replica is the first to have the oldest batch in flight. */
  acknowledged(logger: Uuid, end: number, nowMs: Millis): number | undefined {
    const at = this.replicas.indexOf(logger);
    if (at === -1) return undefined;
    assert(end <= this.length, 'S11 nobody acknowledges what was not sent');
    const [batch] = this.inFlight;
    const sinceMs = Math.max(batch?.sentMs ?? 0, this.#acknowledgedMs[at] ?? 0);
    this.#acknowledgedMs[at] = nowMs;
    if (end > (this.#acknowledged[at] ?? 0)) this.#acknowledged[at] = end;
    if (batch === undefined || end < batch.end || this.#first?.end === batch.end) return undefined;
    this.#first = { end: batch.end, tookMs: nowMs - sinceMs };
    return this.#first.tookMs;
  }

  confirmed(logger: Uuid, number: number, nowMs: Millis): void {
    const at = this.replicas.indexOf(logger);
    if (at === -1) return;
    this.#confirmedMs[at] = nowMs;
    if (number > (this.#confirmed[at] ?? 0)) this.#confirmed[at] = number;
  }

  /** S5: the oldest batch in flight if all replicas have it; it is not in flight any more. */
  takeCommitted(): Batch | undefined {
    const batch = this.inFlight[0];
    if (batch === undefined || least(this.#acknowledged) < batch.end) return undefined;
    assert(
      this.#acknowledged.every((end) => end >= batch.end),
      'S5 all replicas have what is committed',
    );
    this.inFlight.shift();
    this.committed = batch.end;
    for (let at = 0; at < this.#confirmed.length; at++)
      this.#confirmed[at] = Math.max(this.#confirmed[at] ?? 0, batch.number);
    return batch;
  }

  /** Whether nothing is in flight, nor was sent for a while. */
  isQuiet(nowMs: Millis): boolean {
    return this.inFlight.length === 0 && nowMs - this.#sentMs >= times.zoneQuietMs;
  }

  /** How many of the batches in flight the replica has. */
  acknowledgedOf(logger: Uuid): number {
    const end = this.#acknowledged[this.replicas.indexOf(logger)] ?? 0;
    return this.inFlight.filter((batch) => batch.end <= end).length;
  }

  /** All that is in flight, none of which any replica has: it was never sent. */
  withdraw(): readonly Batch[] {
    assert(
      this.#acknowledged.every((end) => end <= this.committed),
      'S5 what a replica has is not withdrawn',
    );
    this.length = this.inFlight[0]?.appendOffset ?? this.length;
    return this.inFlight.splice(0);
  }

  /** Writes in flight, and their repetitions, that arrived before `beforeMs` and were not answered. */
  waitingSince(beforeMs: number): ShardWrite[] {
    return this.inFlight
      .flatMap(({ writes }) => writes.flatMap((write) => [write, ...(write.repetitions ?? [])]))
      .filter((write) => write.arrivedMs < beforeMs && !write.isAnswered);
  }

  /** S7: every confirmation up to this number has been given by all replicas. */
  get confirmedByAll(): number {
    return least(this.#confirmed);
  }

  /** Replicas that owe the oldest batch in flight for longer than `pace` allows; time counts from their last answer. */
  slowToAppend(pace: Pace, nowMs: Millis): Uuid[] {
    const [batch] = this.inFlight;
    if (batch === undefined) return [];
    const lateMs = nowMs - pace.patienceMs(this.#first?.end === batch.end ? this.#first.tookMs : undefined);
    return this.missing(batch.end, 0).filter(
      (logger) => Math.max(batch.sentMs, this.#acknowledgedMs[this.replicas.indexOf(logger)] ?? 0) < lateMs,
    );
  }

  /** Replicas that owe a confirmation for longer than `pace` allows. */
  slowToConfirm({ number, sentMs }: Confirmation, pace: Pace, nowMs: Millis): Uuid[] {
    const isGiven = this.#confirmed.some((given) => given >= number);
    const lateMs = nowMs - pace.patienceMs(isGiven ? 0 : undefined);
    return this.missing(0, number).filter(
      (logger) => Math.max(sentMs, this.#confirmedMs[this.replicas.indexOf(logger)] ?? 0) < lateMs,
    );
  }

  /** Replicas that owe an answer: to `end` bytes, or to confirmation `number`. */
  missing(end: number, number: number): Uuid[] {
    return this.replicas.filter((_, at) => (this.#acknowledged[at] ?? 0) < end || (this.#confirmed[at] ?? 0) < number);
  }
}

/** Writer of the zone that the head has open. REQUIRES: the caller is the head's owner. */
export function openedZone(identity: ShardIdentity, { epoch, openZone }: Head, loggers: Loggers): ZoneWriter {
  assert(openZone.epoch === epoch, 'S2 a zone is written by the epoch it belongs to');
  return new ZoneWriter(identity, openZone, loggers.alignmentOf(openZone.replicas));
}

/** Word of an owner on how far its log is committed, without records: for standbys that missed the last batch. */
export function wordOf({ zone, epoch, instance }: ZoneWriter, { position, shardTimeMs }: ShardState): CatchUp {
  const { offset } = position;
  const nothing = { recordsStart: offset, previousZone: -1, previousLength: 0, heads: new Uint8Array(0) };
  return { event: 'catch-up', epoch, instance, zone, offset, end: offset, shardTimeMs, ...nothing };
}

/** In a loop, since it is asked for at every answer of a replica. */
function least(numbers: readonly number[]): number {
  let result = Number.POSITIVE_INFINITY;
  for (const number of numbers) if (number < result) result = number;
  return result;
}
