/**
 * What clients notice when the gateway that owns their keys is killed or stopped, and nobody starts it again: writers
 * and readers of the keys of one owner in closed loops, and the longest time between two answers in a row.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { shardOfKey } from '../../src/core/slots.ts';
import type { Client } from '../../src/client/index.ts';
import { connect } from '../../src/client/index.ts';
import type { RealCluster } from './real-cluster.ts';

export interface OutageOptions {
  /** Started with `--no-restart`. */
  readonly cluster: RealCluster;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
  /** Keys of all shards together. */
  readonly keys: number;
  /** Loops of writers, and as many of readers. */
  readonly lanes: number;
  readonly beforeMs: number;
  readonly afterMs: number;
}

export interface Outage {
  /** Longest time between two acknowledgements in a row, milliseconds: of writes, and of reads. */
  readonly writeGapMs: number;
  readonly readGapMs: number;
  /** Answers after the fault. */
  readonly writes: number;
  readonly reads: number;
  /** Errors that callers saw. */
  readonly errors: readonly string[];
  /** Keys whose value at the end is older than what was acknowledged. */
  readonly lost: readonly string[];
}

/** Times of answers: the longest pause, and how many came after the fault. */
class Answers {
  #lastMs = performance.now();
  gapMs = 0;
  count = 0;
  isCounting = false;

  came(): void {
    const now = performance.now();
    if (this.isCounting) {
      this.count += 1;
      this.gapMs = Math.max(this.gapMs, now - this.#lastMs);
    }
    this.#lastMs = now;
  }
}

/** Keys of the shards of `owner`, as the client sees them. */
export function keysOf(client: Client, count: number, owner: number): string[] {
  const { shards, owners } = client.status();
  const keys = Array.from({ length: count }, (_, index) => `key${index}`);
  return keys.filter((key) => {
    const bytes = Buffer.from(key);
    return owners[shardOfKey(bytes, 0, bytes.length, shards)] === owner;
  });
}

/** Puts all keys. @throws KvError */
export async function fill(client: Client, count: number): Promise<void> {
  const chunk = 500;
  for (let from = 0; from < count; from += chunk) {
    const keys = Array.from({ length: Math.min(chunk, count - from) }, (_, index) => `key${from + index}`);
    await client.putMany(keys.map((key) => [key, '0']));
  }
}

/** Ends or stops the owner of shard 0 while clients work. @throws KvError when the cluster does not serve before */
export async function runOutage(options: OutageOptions): Promise<Outage> {
  const { cluster, signal, keys: count, lanes, beforeMs, afterMs } = options;
  const client = await connect(cluster.endpoints);
  try {
    await fill(client, count);
    const owner = client.status().owners[0] ?? 0;
    const keys = keysOf(client, count, owner);
    const load = new Load(client, keys, lanes);
    await sleep(beforeMs);
    process.kill(cluster.processes.get(`gateway ${owner}`) ?? 0, signal);
    load.count();
    await sleep(afterMs);
    await load.stop();
    const { writes, reads, errors } = load;
    const lost = await load.lost();
    return {
      writeGapMs: writes.gapMs,
      readGapMs: reads.gapMs,
      writes: writes.count,
      reads: reads.count,
      errors,
      lost,
    };
  } finally {
    await client.close();
  }
}

/** Writers and readers of `keys` in closed loops, as many of each as there are `lanes`. */
export class Load {
  readonly writes = new Answers();
  readonly reads = new Answers();
  readonly errors: string[] = [];
  readonly #client: Client;
  readonly #keys: readonly string[];
  readonly #written = new Map<string, number>();
  readonly #lanes: Promise<void>[];
  #isStopped = false;

  constructor(client: Client, keys: readonly string[], lanes: number) {
    this.#client = client;
    this.#keys = keys;
    this.#lanes = Array.from({ length: lanes }, (_, lane) => [
      this.#write(lane, lanes),
      this.#read(lane, lanes),
    ]).flat();
  }

  count(): void {
    this.writes.isCounting = true;
    this.reads.isCounting = true;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#lanes);
  }

  /** Keys of which less is read than was acknowledged. */
  async lost(): Promise<string[]> {
    const lost: string[] = [];
    for (const [key, value] of this.#written) {
      const found = await this.#client.get(key);
      if (Number(found?.text ?? -1) < value) lost.push(key);
    }
    return lost;
  }

  /** Keys of a lane are its own, so that the newest value is the largest. */
  async #write(lane: number, lanes: number): Promise<void> {
    const own = this.#keys.filter((_, index) => index % lanes === lane);
    for (let number = 1; !this.#isStopped && own.length > 0; number += 1) {
      const key = own[number % own.length] ?? '';
      try {
        await this.#client.put(key, String(number));
        this.#written.set(key, number);
        this.writes.came();
      } catch (error) {
        this.errors.push(String(error));
      }
    }
  }

  async #read(lane: number, lanes: number): Promise<void> {
    for (let at = lane; !this.#isStopped && this.#keys.length > 0; at += lanes) {
      const key = this.#keys[at % this.#keys.length] ?? '';
      const known = this.#written.get(key) ?? 0;
      try {
        const found = await this.#client.get(key);
        if (Number(found?.text ?? -1) < known)
          this.errors.push(`${key}: read ${found?.text}, after ${known} was acknowledged`);
        this.reads.came();
      } catch (error) {
        this.errors.push(String(error));
      }
    }
  }
}
