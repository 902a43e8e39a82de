/**
 * Writes of one shard that wait for a batch: a bounded queue with room at its front for those that are appended again
 * (S6).
 */
import type { Millis } from '../../../base/ids.ts';
import { recordBytesMax } from './batch-builder.ts';
import type { ShardLimits } from '../limits.ts';
import { shardLimits } from '../limits.ts';
import type { ShardWrite } from '../requests.ts';

export class WriteQueue {
  readonly #limits: Pick<ShardLimits, 'queueRecordsMax' | 'queueBytesMax'>;
  #writes: ShardWrite[] = [];
  #first = 0;
  #bytes = 0;

  constructor(queueLimits: Pick<ShardLimits, 'queueRecordsMax' | 'queueBytesMax'> = shardLimits) {
    this.#limits = queueLimits;
  }

  get count(): number {
    return this.#writes.length - this.#first;
  }

  /** False: the queue is full and the write was not taken. */
  push(write: ShardWrite, nowMs: Millis): boolean {
    const bytes = recordBytesMax(write);
    const { queueRecordsMax, queueBytesMax } = this.#limits;
    if (this.count >= queueRecordsMax || this.#bytes + bytes > queueBytesMax) return false;
    write.arrivedMs = nowMs;
    this.#writes.push(write);
    this.#bytes += bytes;
    return true;
  }

  peek(): ShardWrite | undefined {
    return this.#writes[this.#first];
  }

  shift(): ShardWrite | undefined {
    const write = this.#writes[this.#first];
    if (write === undefined) return undefined;
    this.#first += 1;
    this.#bytes -= recordBytesMax(write);
    if (this.#first === this.#writes.length) {
      this.#writes = [];
      this.#first = 0;
    } else if (this.#first >= 4096) {
      this.#writes = this.#writes.slice(this.#first);
      this.#first = 0;
    }
    return write;
  }

  /** Puts writes before all others, in their order. They were admitted before, so no limit applies. */
  unshift(writes: readonly ShardWrite[]): void {
    this.#replace([...writes, ...this.#writes.slice(this.#first)]);
  }

  /** Removes and gives all that `chosen` chooses. */
  removeAll(chosen: (write: ShardWrite) => boolean): ShardWrite[] {
    const all = this.#writes.slice(this.#first);
    this.#replace(all.filter((write) => !chosen(write)));
    return all.filter(chosen);
  }

  /** Removes and gives those that arrived before `beforeMs`: at the front, since the queue is in order of arrival. */
  takeOlder(beforeMs: number): ShardWrite[] {
    const late: ShardWrite[] = [];
    for (let next = this.peek(); next !== undefined && next.arrivedMs < beforeMs; next = this.peek()) {
      late.push(next);
      this.shift();
    }
    return late;
  }

  #replace(writes: ShardWrite[]): void {
    this.#writes = writes;
    this.#first = 0;
    this.#bytes = writes.reduce((sum, write) => sum + recordBytesMax(write), 0);
  }
}
