/** The client: the methods of the SDK over the dispatcher. */
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { times } from '../base/times.ts';
import type { Settings } from './arguments.ts';
import { conditionOf, keyBytes, timeoutOf, valueBytes } from './arguments.ts';
import type { Dispatcher } from './dispatcher.ts';
import { DeleteRequest, GetRequest, HasRequest, PutRequest } from './request.ts';
import type {
  Bytes,
  ClientStatus,
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

  /** The key's value and version; undefined when there is no such key. */
  get(key: Bytes, options?: ReadOptions): Promise<Entry | undefined> {
    return new Promise((resolve, reject) => {
      const request = new GetRequest(resolve, reject, this.#key(key), options?.consistency === 'stale');
      this.#dispatcher.submit(request, timeoutOf(options, this.#settings.timeoutMs), options?.signal);
    });
  }

  /** Whether there is such a key, without moving its value. */
  has(key: Bytes, options?: RequestOptions): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const request = new HasRequest(resolve, reject, this.#key(key));
      this.#dispatcher.submit(request, timeoutOf(options, this.#settings.timeoutMs), options?.signal);
    });
  }

  /** Sets the key's value. Resolved: it is on stable storage on every replica. */
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<PutResult> {
    return new Promise((resolve, reject) => {
      const bytes = valueBytes(value, this.#dispatcher.welcome?.valueBytesMax ?? limits.valueBytesMax);
      const request = new PutRequest(resolve, reject, this.#key(key), bytes, conditionOf(options));
      this.#dispatcher.submit(request, timeoutOf(options, this.#settings.timeoutMs), options?.signal);
    });
  }

  /** Removes the key. */
  delete(key: Bytes, options?: DeleteOptions): Promise<DeleteResult> {
    return new Promise((resolve, reject) => {
      const request = new DeleteRequest(resolve, reject, this.#key(key), conditionOf(options));
      this.#dispatcher.submit(request, timeoutOf(options, this.#settings.timeoutMs), options?.signal);
    });
  }

  /**
   * A result per key, in the order of the keys. Not a snapshot: each key is read for itself. Never rejects for a key's
   * failure.
   */
  getMany(keys: Iterable<Bytes>, options?: ReadOptions): Promise<GetManyResult[]> {
    return forEachOf([...keys], async (key): Promise<GetManyResult> => {
      try {
        return { key, ok: true, entry: await this.get(key, options) };
      } catch (error) {
        return { key, ok: false, error: kvError(error) };
      }
    });
  }

  /**
   * A result per key, in the order of the entries. Not atomic: some may be written and others not. Never rejects for a
   * key's failure.
   */
  putMany(entries: Iterable<readonly [key: Bytes, value: Bytes]>, options?: RequestOptions): Promise<PutManyResult[]> {
    return forEachOf([...entries], async ([key, value]): Promise<PutManyResult> => {
      try {
        return { key, ok: true, version: (await this.put(key, value, options)).version };
      } catch (error) {
        return { key, ok: false, error: kvError(error) };
      }
    });
  }

  /** What the client knows and does at this moment. */
  status(): ClientStatus {
    return this.#dispatcher.status();
  }

  /**
   * Takes no more requests, waits up to `timeoutMs` (default 5,000) for those under way, fails the rest with `closed`,
   * and closes the connections. Idempotent; later calls wait for the first.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#dispatcher.close(options.timeoutMs ?? times.closeGraceMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #key(key: Bytes): Uint8Array {
    return keyBytes(key, this.#dispatcher.welcome?.keyBytesMax ?? limits.keyBytesMax);
  }
}

function kvError(error: unknown): KvError {
  if (error instanceof KvError) return error;
  throw error;
}

/** Results of `work` in the order of `items`, with a bounded number under way. */
async function forEachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let at = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const index = at++;
      const item = items[index];
      if (index >= items.length || item === undefined) return;
      results[index] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(manyInFlight, items.length) }, worker));
  return results;
}
