/**
 * Reads and digests: from the cache at once, else in the thread pool, a few at a time, without blocking the event loop.
 *
 * It owns the queues of cold reads and digests. It does not own what may be read (the machine's `readable`), nor
 * checksums: whoever asked checks what it gets.
 */
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { DigestItem, LoggerRefusalCode, ReadAnswer, ReadItem } from '../codec/logger-protocol.ts';
import { sha256 } from '../env/digest.ts';
import type { LoggerDevice } from '../env/zoned-device.ts';
import { DeviceError } from '../env/zoned-device.ts';
import type { CacheGuess } from './cache-guess.ts';
import type { LogStore } from './log-store.ts';
import { WorkQueue } from './work-queue.ts';

const digestChunkBytes = 1024 * 1024;

export class ZoneReader {
  readonly #store: LogStore;
  readonly #device: LoggerDevice;
  readonly #cache: CacheGuess;
  readonly #log: Log;
  readonly #coldReads: WorkQueue;
  readonly #digests = new WorkQueue(1);

  constructor(
    store: LogStore,
    device: LoggerDevice,
    cache: CacheGuess,
    log: Log,
    coldReadsMax: number = limits.coldReadsMax,
  ) {
    this.#coldReads = new WorkQueue(coldReadsMax);
    this.#store = store;
    this.#device = device;
    this.#cache = cache;
    this.#log = log;
  }

  /** Answers in the order of the items; at once if all is in the cache. */
  read(items: readonly ReadItem[], onDone: (answers: readonly ReadAnswer[]) => void): void {
    const answers: ReadAnswer[] = [];
    const cold: { readonly index: number; readonly deviceZone: number; readonly item: ReadItem }[] = [];
    for (const [index, item] of items.entries()) {
      const readable = this.#store.readable(item.shard, item.zone, item.offset, item.length);
      if (readable.kind === 'refused') answers.push(readable);
      else if (this.#cache.isCached(readable.deviceZone, item.offset, item.length))
        answers.push(this.#readNow(readable.deviceZone, item));
      else {
        answers.push(failed('device-failed'));
        cold.push({ index, deviceZone: readable.deviceZone, item });
      }
    }
    if (cold.length === 0) return onDone(answers);
    let left = cold.length;
    for (const { index, deviceZone, item } of cold) {
      this.#coldReads.add(async () => {
        answers[index] = await this.#readCold(deviceZone, item);
        left -= 1;
        if (left === 0) onDone(answers);
      });
    }
  }

  #readNow(deviceZone: number, item: ReadItem): ReadAnswer {
    try {
      return { kind: 'ok', value: this.#device.readNow(deviceZone, item.offset, item.length) };
    } catch (error) {
      return this.#unreadable(error, item);
    }
  }

  async #readCold(deviceZone: number, item: ReadItem): Promise<ReadAnswer> {
    try {
      const value = await this.#device.read(deviceZone, item.offset, item.length);
      this.#cache.touch(deviceZone, item.offset, item.length);
      return { kind: 'ok', value };
    } catch (error) {
      return this.#unreadable(error, item);
    }
  }

  /**
   * A read that failed is one bad range of the medium: the other replicas have it. It says nothing about what was
   * synced (S17).
   */
  #unreadable(error: unknown, item: ReadItem): ReadAnswer {
    if (!(error instanceof DeviceError)) throw error;
    this.#log('error', 'a read failed', {
      shard: item.shard,
      zone: item.zone,
      offset: item.offset,
      length: item.length,
      message: error.message,
    });
    return failed('device-failed');
  }

  /** The SHA-256 of [0, length) of each zone, in order; undefined where that isn't held. */
  digest(items: readonly DigestItem[], onDone: (digests: readonly (string | undefined)[]) => void): void {
    if (items.length === 0) return onDone([]);
    this.#digests.add(async () => {
      const digests: (string | undefined)[] = [];
      for (const item of items) digests.push(await this.#digestOf(item));
      onDone(digests);
    });
  }

  /** Waits for what is being read; who still waits is never answered. */
  async close(): Promise<void> {
    await Promise.all([this.#coldReads.close(), this.#digests.close()]);
  }

  async #digestOf(item: DigestItem): Promise<string | undefined> {
    const readable = this.#store.readable(item.shard, item.zone, 0, item.length);
    if (readable.kind === 'refused') return undefined;
    const digest = sha256();
    for (let at = 0; at < item.length; at += digestChunkBytes) {
      const length = Math.min(digestChunkBytes, item.length - at);
      const answer = await this.#readCold(readable.deviceZone, { ...item, offset: at, length });
      // Reset meanwhile: what was read may be another zone's.
      if (answer.kind === 'refused' || this.#store.readable(item.shard, item.zone, 0, item.length).kind === 'refused')
        return undefined;
      digest.update(answer.value);
    }
    return digest.end();
  }
}

function failed(code: LoggerRefusalCode): ReadAnswer {
  return { kind: 'refused', code };
}
