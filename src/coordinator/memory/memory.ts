/**
 * The coordinator of tests and of the simulator: one store in memory, any number of clients. Deterministic: answers
 * come on microtasks, or after delays of the injected clock. `fate` decides what becomes of each request, so that the
 * simulator can lose requests and answers, or let one arrive after its sender was told `unknown` (S1, S6, S8: the
 * outcomes nobody knows).
 *
 * It owns the store, its watches and the delays of answers. It does not own the checks that all implementations share
 * (requests.ts), nor what the entries mean (the records beside it, core/shard).
 */
import { assert } from '../../base/assert.ts';
import type { Clock, Timer } from '../../env/clock.ts';
import {
  CoordinatorError,
  coordinatorLimits,
  type Change,
  type Compare,
  type Coordinator,
  type Entry,
  type Revision,
  type TransactionResult,
  type Watch,
  type Write,
} from '../coordinator.ts';
import { checkKey, checkPrefix, checkRevision, checkTransaction, compareKeys } from '../requests.ts';

export interface MemoryRequest {
  readonly client: string;
  readonly kind: 'get' | 'list' | 'transact';
  /** Keys that a transaction writes, the key of a get, the prefix of a list. */
  readonly keys: readonly string[];
}

/**
 * Fate of a request. Delays are milliseconds and need a clock; without one they are 0. `lost`: never arrives.
 * The sender is told `unknown` (a read: `not-applied`) after `timeoutMs` without an answer, whether or not the request
 * was or will be applied.
 */
export interface Fate {
  readonly kind: 'sent' | 'unavailable';
  readonly requestDelayMs?: number | 'lost';
  readonly answerDelayMs?: number | 'lost';
  readonly timeoutMs?: number;
}

export interface MemoryOptions {
  readonly clock?: Clock;
  readonly fate?: (request: MemoryRequest) => Fate;
  /** Time after a change until a client's watches hear of it, unless hinted. Default 0. */
  readonly watchDelayMs?: (client: string) => number;
}

export class MemoryCoordinator {
  readonly #entries = new Map<string, Entry>();
  readonly #log: Change[] = [];
  /** Changes up to this revision are no longer in the log. */
  #forgotten: Revision = 0;
  #revision: Revision = 0;
  readonly #options: MemoryOptions;
  readonly #clients = new Set<MemoryClient>();

  constructor(options: MemoryOptions = {}) {
    this.#options = options;
  }

  /** A view of the store, as one process has it. `name` is what `fate` and `cut` know it by. */
  client(name = 'client'): Coordinator {
    const client = new MemoryClient(name, this, this.#options);
    this.#clients.add(client);
    return client;
  }

  /** The named clients' requests are refused and their watches hear nothing, until `heal`. */
  cut(name: string): void {
    for (const client of this.#clients) if (client.name === name) client.cut();
  }

  heal(name: string): void {
    for (const client of this.#clients) if (client.name === name) client.heal();
  }

  /** Everything, sorted by key: for checkers, which see the truth at once. */
  snapshot(): readonly Entry[] {
    return this.read('').entries;
  }

  /** @internal */
  forget(client: MemoryClient): void {
    this.#clients.delete(client);
  }

  /** @internal */
  get revision(): Revision {
    return this.#revision;
  }

  /** @internal */
  readOne(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** @internal */
  read(prefix: string): { readonly entries: readonly Entry[]; readonly revision: Revision } {
    const entries = [...this.#entries.values()].filter((entry) => entry.key.startsWith(prefix));
    return { entries: entries.sort((a, b) => compareKeys(a.key, b.key)), revision: this.#revision };
  }

  /** @internal The instant at which a transaction takes effect. */
  apply(compares: readonly Compare[], writes: readonly Write[]): TransactionResult {
    for (const compare of compares) {
      if ((this.#entries.get(compare.key)?.revision ?? 0) !== compare.revision) return { kind: 'refused' };
    }
    const effective = writes.filter((write) => write.value !== undefined || this.#entries.has(write.key));
    if (effective.length === 0) return { kind: 'applied', revision: this.#revision };
    this.#revision += 1;
    for (const { key, value } of effective) {
      if (value === undefined) this.#entries.delete(key);
      else this.#entries.set(key, { key, value, revision: this.#revision });
      this.#log.push({ key, value, revision: this.#revision });
    }
    this.#trim();
    for (const client of this.#clients) client.changed();
    return { kind: 'applied', revision: this.#revision };
  }

  #trim(): void {
    if (this.#log.length < 2 * coordinatorLimits.deletesKept) return;
    const dropped = this.#log.splice(0, this.#log.length - coordinatorLimits.deletesKept);
    this.#forgotten = dropped.at(-1)?.revision ?? this.#forgotten;
  }

  /** @internal Changes under `prefix` after `after`; undefined when they are forgotten. */
  changesAfter(prefix: string, after: Revision): Change[] | undefined {
    if (after < this.#forgotten) return undefined;
    const found: Change[] = [];
    for (let index = this.#log.length - 1; index >= 0; index -= 1) {
      const change = this.#log[index];
      if (change === undefined || change.revision <= after) break;
      if (change.key.startsWith(prefix)) found.push(change);
    }
    return found.reverse();
  }
}

interface MemoryWatch {
  readonly prefix: string;
  position: Revision;
  readonly onChanges: (changes: readonly Change[]) => void;
  readonly onLost: (() => void) | undefined;
}

class MemoryClient implements Coordinator {
  readonly source = 'the coordinator in memory';
  readonly name: string;
  readonly #store: MemoryCoordinator;
  readonly #options: MemoryOptions;
  readonly #watches = new Set<MemoryWatch>();
  readonly #waiting = new Set<(error: CoordinatorError) => void>();
  #cut = false;
  #closed = false;
  #delivery: Timer | 'microtask' | undefined;

  constructor(name: string, store: MemoryCoordinator, options: MemoryOptions) {
    this.name = name;
    this.#store = store;
    this.#options = options;
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key);
    return this.#request({ client: this.name, kind: 'get', keys: [key] }, () => this.#store.readOne(key));
  }

  async list(prefix: string): Promise<{ readonly entries: readonly Entry[]; readonly revision: Revision }> {
    checkPrefix(prefix);
    return this.#request({ client: this.name, kind: 'list', keys: [prefix] }, () => this.#store.read(prefix));
  }

  async transact(compares: readonly Compare[], writes: readonly Write[]): Promise<TransactionResult> {
    checkTransaction(compares, writes);
    // The caller may reuse its arrays; what was asked for is what counts, also when it is applied late.
    const copies = writes.map(({ key, value }) => ({
      key,
      value: value === undefined ? undefined : new Uint8Array(value),
    }));
    const asked = compares.map((compare) => ({ ...compare }));
    const request: MemoryRequest = { client: this.name, kind: 'transact', keys: writes.map((write) => write.key) };
    return this.#request(request, () => this.#store.apply(asked, copies));
  }

  watch(prefix: string, after: Revision, onChanges: (changes: readonly Change[]) => void, onLost?: () => void): Watch {
    checkPrefix(prefix);
    checkRevision(after, 'after');
    const watch: MemoryWatch = { prefix, position: after, onChanges, onLost };
    if (!this.#closed) this.#watches.add(watch);
    this.#deliverSoon(0);
    return { close: () => void this.#watches.delete(watch) };
  }

  hint(): void {
    this.#deliverSoon(0);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#watches.clear();
    this.#store.forget(this);
    if (typeof this.#delivery === 'object') this.#delivery.cancel();
    for (const fail of [...this.#waiting])
      fail(new CoordinatorError('unknown', 'the coordinator was closed meanwhile'));
    return Promise.resolve();
  }

  cut(): void {
    this.#cut = true;
  }

  heal(): void {
    this.#cut = false;
    this.#deliverSoon(0);
  }

  changed(): void {
    if (this.#delivery === undefined && this.#watches.size > 0)
      this.#deliverSoon(this.#options.watchDelayMs?.(this.name) ?? 0);
  }

  #deliverSoon(delayMs: number): void {
    if (this.#closed) return;
    if (delayMs > 0) {
      this.#delivery = this.#clock().after(delayMs, () => this.#deliver());
      return;
    }
    if (this.#delivery === 'microtask') return;
    this.#delivery?.cancel();
    this.#delivery = 'microtask';
    void Promise.resolve().then(() => this.#deliver());
  }

  #deliver(): void {
    this.#delivery = undefined;
    if (this.#cut) return;
    for (const watch of [...this.#watches]) {
      const changes = this.#store.changesAfter(watch.prefix, watch.position);
      // A callback may close this or another watch: no call follows a close.
      if (!this.#watches.has(watch)) continue;
      if (changes === undefined) {
        this.#watches.delete(watch);
        watch.onLost?.();
        continue;
      }
      watch.position = Math.max(watch.position, this.#store.revision);
      if (changes.length > 0) watch.onChanges(changes);
    }
  }

  #request<T>(request: MemoryRequest, effect: () => T): Promise<T> {
    if (this.#closed) return Promise.reject(new CoordinatorError('not-applied', 'the coordinator is closed'));
    const fate = this.#cut
      ? { kind: 'unavailable' as const }
      : (this.#options.fate?.(request) ?? { kind: 'sent' as const });
    if (fate.kind === 'unavailable')
      return Promise.reject(new CoordinatorError('not-applied', 'the coordinator is unavailable'));
    return new Promise<T>((resolve, reject) => {
      const fail = (error: CoordinatorError): void => {
        this.#waiting.delete(fail);
        reject(error);
      };
      this.#waiting.add(fail);
      const answer = (value: T): void => {
        this.#waiting.delete(fail);
        resolve(value);
      };
      this.#send(request, fate, effect, answer, fail);
    });
  }

  #send<T>(
    request: MemoryRequest,
    fate: Fate,
    effect: () => T,
    answer: (value: T) => void,
    fail: (error: CoordinatorError) => void,
  ): void {
    const outcome = request.kind === 'transact' ? 'unknown' : 'not-applied';
    const timedOut = (): void =>
      fail(new CoordinatorError(outcome, 'no answer of the coordinator before the deadline'));
    if (fate.timeoutMs !== undefined) this.#later(fate.timeoutMs, timedOut);
    const { requestDelayMs = 0, answerDelayMs = 0 } = fate;
    if (requestDelayMs === 'lost') {
      if (fate.timeoutMs === undefined) this.#later(0, timedOut);
      return;
    }
    this.#later(requestDelayMs, () => {
      const value = effect();
      if (answerDelayMs !== 'lost') this.#later(answerDelayMs, () => answer(value));
      else if (fate.timeoutMs === undefined) this.#later(0, timedOut);
    });
  }

  #later(delayMs: number, callback: () => void): void {
    if (delayMs > 0) this.#clock().after(delayMs, callback);
    else void Promise.resolve().then(callback);
  }

  #clock(): Clock {
    assert(this.#options.clock !== undefined, 'delays need a clock');
    return this.#options.clock;
  }
}
