/** The client: the methods of the SDK over the dispatcher. */
/// <reference lib="esnext.disposable" preserve="true" />
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Settings } from './arguments.ts';
import { itemsOf, keyBytes, pairOf, valueBytes } from './arguments.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { OptionsOf, Terms } from './options.ts';
import { closeGraceOf, termsOf } from './options.ts';
import { DeleteRequest, GetRequest, HasRequest, PutRequest } from './request.ts';
import type {
  Bytes,
  ClientStatus,
  CloseOptions,
  DeleteOptions,
  DeleteResult,
  Entry,
  GetManyResult,
  PutManyResult,
  PutOptions,
  PutResult,
  ReadOptions,
  RequestOptions,
} from './types.ts';

/** Requests of one `getMany` or `putMany` at the same time. */
const manyInFlight = 512;

/**
 * A connection to a cluster, made by `connect`. Every promise settles; every error is a `KvError` with `code`,
 * `retryable` and `outcome`. What fails for a reason that may pass is tried again until the request's time is over; a
 * write takes effect at most once however often it is sent. Requests that are under way at the same time have no order
 * among them.
 */
export class Client implements AsyncDisposable {
  readonly #dispatcher: Dispatcher;
  readonly #settings: Settings;
  #closed: Promise<void> | undefined = undefined;

  /** @internal Use `connect`. */
  constructor(dispatcher: Dispatcher, settings: Settings) {
    this.#dispatcher = dispatcher;
    this.#settings = settings;
  }

  /**
   * The key's value and version; undefined when there is no such key.
   * @throws KvError `bad-argument`, `key-empty`, `key-too-long`, `timeout`, `aborted`, `overloaded`, `closed`,
   * `damaged`
   */
  get(key: Bytes, options?: ReadOptions): Promise<Entry | undefined> {
    return new Promise((resolve, reject) => {
      const { isStale, timeoutMs, signal } = this.#terms('get', options);
      this.#dispatcher.submit(new GetRequest(resolve, reject, this.#key(key), isStale), timeoutMs, signal);
    });
  }

  /** Whether there is such a key, without moving its value. @throws KvError as `get`, but never `damaged` */
  has(key: Bytes, options?: RequestOptions): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const { timeoutMs, signal } = this.#terms('has', options);
      this.#dispatcher.submit(new HasRequest(resolve, reject, this.#key(key)), timeoutMs, signal);
    });
  }

  /**
   * Sets the key's value. Resolved: it is on stable storage on every replica.
   * @throws KvError as `get`; `value-too-large`, `disk-full`, and `condition-failed` when a condition was given.
   * `outcome` says whether the value may have been set.
   */
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<PutResult> {
    return new Promise((resolve, reject) => {
      const { condition, timeoutMs, signal } = this.#terms('put', options);
      const bytes = valueBytes(value, this.#dispatcher.welcome?.valueBytesMax ?? limits.valueBytesMax);
      this.#dispatcher.submit(new PutRequest(resolve, reject, this.#key(key), bytes, condition), timeoutMs, signal);
    });
  }

  /** Removes the key. @throws KvError as `put` */
  delete(key: Bytes, options?: DeleteOptions): Promise<DeleteResult> {
    return new Promise((resolve, reject) => {
      const { condition, timeoutMs, signal } = this.#terms('delete', options);
      this.#dispatcher.submit(new DeleteRequest(resolve, reject, this.#key(key), condition), timeoutMs, signal);
    });
  }

  /**
   * A result per key, in the order of the keys. Not a snapshot: each key is read for itself. Never rejects for a key's
   * failure.
   * @throws KvError `bad-argument` when `keys` can't be iterated over, or an option is wrong: nothing was sent
   */
  async getMany(keys: Iterable<Bytes>, options?: ReadOptions): Promise<GetManyResult[]> {
    this.#terms('getMany', options);
    return await this.#forEachOf(itemsOf('the keys of getMany', keys), async (key): Promise<GetManyResult> => {
      try {
        return { key, ok: true, entry: await this.get(key, options) };
      } catch (error) {
        return { key, ok: false, error: kvError(error) };
      }
    });
  }

  /**
   * A result per key, in the order of the entries. Not atomic: some may be written and others not. Never rejects for a
   * key's failure; the result of an entry that is no pair has the key that it has, if any.
   * @throws KvError `bad-argument` when `entries` can't be iterated over, or an option is wrong: nothing was sent
   */
  async putMany(
    entries: Iterable<readonly [key: Bytes, value: Bytes]>,
    options?: RequestOptions,
  ): Promise<PutManyResult[]> {
    this.#terms('putMany', options);
    return await this.#forEachOf(itemsOf('the entries of putMany', entries), async (entry): Promise<PutManyResult> => {
      try {
        const [key, value] = pairOf(entry);
        return { key, ok: true, version: (await this.put(key, value, options)).version };
      } catch (error) {
        return { key: keyOf(entry), ok: false, error: kvError(error) };
      }
    });
  }

  /** What the client knows and does at this moment. */
  status(): ClientStatus {
    return this.#dispatcher.status();
  }

  /**
   * Takes no more requests, waits up to `timeoutMs` (default 5,000) for those under way, fails the rest with `closed`,
   * and closes the connections. Idempotent; later calls wait for the first. A client that is not closed keeps its
   * connections, and with them the process.
   * @throws KvError `bad-argument`: nothing was closed
   */
  async close(options?: CloseOptions): Promise<void> {
    const graceMs = closeGraceOf(options);
    this.#closed ??= this.#dispatcher.close(graceMs);
    await this.#closed;
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #key(key: Bytes): Uint8Array {
    return keyBytes(key, this.#dispatcher.welcome?.keyBytesMax ?? limits.keyBytesMax);
  }

  #terms(method: OptionsOf, options: RequestOptions | undefined): Terms {
    return termsOf(method, options, this.#settings.timeoutMs);
  }

  /** Results of `work` in the order of `items`, one for each, with a bounded number under way. */
  async #forEachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = [];
    const left = items.entries();
    const worker = async (): Promise<void> => {
      for (const [index, item] of left) results[index] = await work(item);
    };
    const workers = Math.min(manyInFlight, this.#settings.requestsMax, items.length);
    await Promise.all(Array.from({ length: workers }, worker));
    return results;
  }
}

function kvError(error: unknown): KvError {
  if (error instanceof KvError) return error;
  throw error;
}

function keyOf(entry: unknown): Bytes {
  const key: unknown = Array.isArray(entry) ? entry[0] : undefined;
  return key as Bytes; // Whatever the caller passed for a key comes back to him, also what is none.
}
