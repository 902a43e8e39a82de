/**
 * The open zone at its owner: what was appended, which replica acknowledged how much, which confirmed what. Pure
 * bookkeeping; the rules it keeps: S5 (committed is what all replicas acknowledged) and S7 (confirmed is what all
 * replicas confirmed).
 */
import { assert } from '../../../base/assert.ts';
import type { Epoch, InstanceId, Millis, Uuid, ZoneId } from '../../../base/ids.ts';
import { zoneSeed } from '../../../codec/log-format.ts';
import type { OwnRecord, ShardWrite } from '../requests.ts';
import type { ShardIdentity } from '../events.ts';
import type { OpenZone } from '../head/metadata.ts';

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
  readonly #acknowledged: number[];
  readonly #confirmed: number[];

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
  }

  sent(batch: Batch): void {
    assert(batch.appendOffset === this.length, 'S2 appends follow one another');
    assert(batch.shardTimeMs >= this.sentTimeMs, 'S18 shard time only grows, also among batches in flight');
    this.inFlight.push(batch);
    this.length = batch.end;
    this.sentTimeMs = batch.shardTimeMs;
  }

  acknowledged(logger: Uuid, end: number): void {
    const at = this.replicas.indexOf(logger);
    if (at === -1) return;
    assert(end <= this.length, 'S11 nobody acknowledges what was not sent');
    if (end > (this.#acknowledged[at] ?? 0)) this.#acknowledged[at] = end;
  }

  confirmed(logger: Uuid, number: number): void {
    const at = this.replicas.indexOf(logger);
    if (at !== -1 && number > (this.#confirmed[at] ?? 0)) this.#confirmed[at] = number;
  }

  /** S5: the oldest batch in flight if all replicas have it; it is not in flight any more. */
  takeCommitted(): Batch | undefined {
    const batch = this.inFlight[0];
    if (batch === undefined || Math.min(...this.#acknowledged) < batch.end) return undefined;
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

  /** S7: every confirmation up to this number has been given by all replicas. */
  get confirmedByAll(): number {
    return Math.min(...this.#confirmed);
  }

  /** Replicas that owe an answer: to `end` bytes, or to confirmation `number`. */
  missing(end: number, number: number): Uuid[] {
    return this.replicas.filter((_, at) => (this.#acknowledged[at] ?? 0) < end || (this.#confirmed[at] ?? 0) < number);
  }
}
