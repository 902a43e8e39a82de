/**
 * Requests that arrived while the shard is being taken over: served when it is, refused when that takes too long or
 * somebody else has it. Bounded. The owner goes on with the same queue of writes.
 */
import type { Millis, ShardId } from '../../base/ids.ts';
import type { ShardEffect, ShardSettings } from './events.ts';
import type { Failure, ShardRead, ShardWrite } from './requests.ts';
import { failed, refused } from './serving/refusals.ts';
import { WriteQueue } from './serving/write-queue.ts';

export class WaitingRequests {
  readonly #shard: ShardId;
  readonly #settings: ShardSettings;
  readonly #effects: ShardEffect[];
  #queue: WriteQueue;
  #reads: ShardRead[] = [];

  constructor(shard: ShardId, settings: ShardSettings, effects: ShardEffect[]) {
    this.#shard = shard;
    this.#settings = settings;
    this.#effects = effects;
    this.#queue = new WriteQueue(settings.limits);
  }

  get queue(): WriteQueue {
    return this.#queue;
  }

  write(write: ShardWrite, nowMs: Millis): void {
    if (!this.#queue.push(write, nowMs)) this.#effects.push(refused(write, overloaded('writes')));
  }

  read(read: ShardRead, nowMs: Millis): void {
    if (this.#reads.length >= this.#settings.limits.queueRecordsMax) return this.#failRead(read, overloaded('reads'));
    read.arrivedMs = nowMs;
    this.#reads.push(read);
  }

  /** Reads that wait, no more. */
  takeReads(): ShardRead[] {
    return this.#reads.splice(0);
  }

  /** The owner that had the queue is none any more. */
  forget(): void {
    this.#queue = new WriteQueue(this.#settings.limits);
  }

  refuseAll(failure: Failure): void {
    for (const write of this.#queue.removeAll(() => true)) this.#effects.push(refused(write, failure));
    for (const read of this.takeReads()) this.#failRead(read, failure);
  }

  refuseLate(nowMs: Millis): void {
    const before = nowMs - this.#settings.requestTimeoutMs;
    const failure = failed('unavailable', `shard ${this.#shard} is being taken over`, 'not-applied');
    for (const write of this.#queue.takeOlder(before)) this.#effects.push(refused(write, failure));
    while (this.#reads[0] !== undefined && this.#reads[0].arrivedMs < before) {
      const read = this.#reads.shift();
      if (read !== undefined) this.#failRead(read, failure);
    }
  }

  #failRead(read: ShardRead, failure: Failure): void {
    this.#effects.push({ effect: 'fail-read', read, failure });
  }
}

export function notOwner(shard: ShardId): Failure {
  return failed('not-owner', `this gateway does not own shard ${shard}`, 'not-applied');
}

function overloaded(what: string): Failure {
  return failed('overloaded', `too many ${what} wait for the take-over of the shard`, 'not-applied');
}
