/**
 * Writes that wait for a gateway, a client id or room in the window of their shard: in their order within a shard, so
 * that those of a shard which hangs do not stand before the others. It owns the queues, not the reason to wait.
 */
import type { ShardId } from '../base/ids.ts';
import { WaitingQueue } from './pending.ts';
import type { Request } from './request.ts';

export class WaitingWrites {
  readonly #queues: WaitingQueue[] = [];
  /** Shards whose queue may have a write. */
  readonly #busy = new Set<ShardId>();

  push(shard: ShardId, request: Request): void {
    this.#queueOf(shard).push(request);
    this.#busy.add(shard);
  }

  /** Whether no write of the shard waits. */
  isEmpty(shard: ShardId): boolean {
    return this.#queues[shard]?.peek() === undefined;
  }

  /** Takes writes out, each shard's in their order, as long as `send` sends them. */
  pump(send: (request: Request) => boolean): void {
    for (const shard of this.#busy) this.pumpShard(shard, send);
  }

  pumpShard(shard: ShardId, send: (request: Request) => boolean): void {
    if (!this.#busy.has(shard)) return;
    const queue = this.#queueOf(shard);
    let request = queue.peek();
    for (; request !== undefined && send(request); request = queue.peek()) queue.shift();
    if (request === undefined) this.#busy.delete(shard);
  }

  /** Those of one shard, for another order: it is known now which shards they belong to. */
  takeAll(shard: ShardId): Request[] {
    const taken: Request[] = [];
    this.pumpShard(shard, (request) => taken.push(request) > 0);
    return taken;
  }

  #queueOf(shard: ShardId): WaitingQueue {
    let queue = this.#queues[shard];
    if (queue === undefined) this.#queues[shard] = queue = new WaitingQueue();
    return queue;
  }
}
