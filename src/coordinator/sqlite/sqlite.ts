/**
 * The embedded coordinator: all processes of one machine share one SQLite file. The file is used by a worker thread
 * (the one place of the product that has threads), so that a wait for the lock or for the disk never stalls the
 * caller's event loop.
 *
 * It owns the worker thread, the requests that wait for it, and their deadlines. It does not own the file
 * (sqlite-worker.ts, sqlite-database.ts), the checks that all implementations share (requests.ts), nor what the entries
 * mean.
 */
import { Worker } from 'node:worker_threads';
import { unreachable } from '../../base/assert.ts';
import { KvError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { nodeSettings } from '../../base/settings.ts';
import type { Clock, Timer } from '../../env/clock.ts';
import type { Files, FileWatch } from '../../env/files.ts';
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
import { checkKey, checkPrefix, checkRevision, checkTransaction } from '../requests.ts';
import type { Answer, FromWorker, OpenFailureCode, ToWorker, WorkerSettings } from './sqlite-messages.ts';
import { forgetThread, parkAtExit, parkThread, sharedWords, wake } from './thread-park.ts';

export interface SqliteCoordinatorOptions {
  /** Path of the database; its folder must exist. Made when missing. A local disk: not a network file system. */
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Time that a request waits for another process's lock before it fails, not applied. Default 5,000. */
  readonly lockWaitMsMax?: number;
  /**
   * ... and how much longer the caller waits for a disk that does not answer, before the outcome is unknown. Default
   * 5,000.
   */
  readonly diskWaitMsMax?: number;
  /** Starts the thread; another than the usual one in tests alone. */
  readonly startThread?: (settings: WorkerSettings) => Worker;
  /** Announces writes to the file; without it the thread looks for them 70 times a second. */
  readonly files?: Pick<Files, 'watch'>;
  /** Deletes a watch can learn of afterwards; `coordinatorLimits.deletesKept` unless a test says otherwise. */
  readonly deletesKept?: number;
}

/** Requests that wait for their answer; beyond it they are refused. */
const requestsInFlightMax = 4_096;
/** Pause before a thread that ended is started again, milliseconds; it doubles up to the second. */
const restartMinMs = 100;
const restartMaxMs = 5_000;

/**
 * @throws KvError `newer-format` when a newer version of kv-filelog made the file, `data-damaged` when it is not a
 * coordinator's database, `permission-denied` when this process may not write it or in its folder, `library-missing`.
 * @throws CoordinatorError when it can't be opened otherwise (no folder, disk full, lock held all the time).
 */
export async function openSqliteCoordinator(options: SqliteCoordinatorOptions): Promise<Coordinator> {
  const coordinator = new SqliteCoordinator(options);
  await coordinator.opened;
  return coordinator;
}

interface Waiting {
  readonly write: boolean;
  readonly timer: Timer;
  readonly settle: (answer: Answer) => void;
}

interface Watcher {
  readonly prefix: string;
  /** Everything up to it was told. */
  position: Revision;
  readonly onChanges: (changes: readonly Change[]) => void;
  readonly onLost: (() => void) | undefined;
}

class SqliteCoordinator implements Coordinator {
  readonly source: string;
  readonly opened: Promise<void>;
  readonly #options: SqliteCoordinatorOptions;
  readonly #answerMsMax: number;
  readonly #words = sharedWords();
  readonly #settings: WorkerSettings;
  #worker: Worker;
  #exited: Promise<void>;
  #restartMs = restartMinMs;
  #restart: Timer | undefined;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watchers = new Map<number, Watcher>();
  /** Announces what other processes write, so that they need not be looked after all the time. */
  #writes: FileWatch | undefined;
  #nextId = 1;
  /** Why nothing is sent to the thread now. */
  #ended: string | undefined;
  #closed = false;

  constructor(options: SqliteCoordinatorOptions) {
    this.#options = options;
    this.source = options.file;
    const lockWaitMsMax = options.lockWaitMsMax ?? nodeSettings['coordinator.lockWaitMsMax'].default;
    this.#answerMsMax = lockWaitMsMax + (options.diskWaitMsMax ?? nodeSettings['coordinator.diskWaitMsMax'].default);
    const deletesKept = options.deletesKept ?? coordinatorLimits.deletesKept;
    this.#settings = { file: options.file, lockWaitMsMax, deletesKept, words: this.#words };
    const { worker, exited, opened } = this.#start();
    this.#worker = worker;
    this.#exited = exited;
    this.opened = opened.then(() => this.#startAgainWhenItEnds());
  }

  #start(): { readonly worker: Worker; readonly exited: Promise<void>; readonly opened: Promise<void> } {
    const { file, log, startThread = startWorker } = this.#options;
    const worker = startThread(this.#settings);
    parkAtExit(this.#words);
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        forgetThread(this.#words);
        this.#end('its thread ended');
        resolve();
      });
    });
    const opened = new Promise<void>((resolve, reject) => {
      worker.once('exit', () => reject(new CoordinatorError('not-applied', `${file}: the coordinator's thread ended`)));
      worker.on('error', (error) => {
        log('error', 'the thread of the coordinator failed', { error: String(error) });
        this.#end(String(error));
      });
      worker.on('message', (message: FromWorker) => this.#take(message, resolve, reject));
    });
    return { worker, exited, opened };
  }

  /** A thread that ends, though nobody closed it, is followed by another, which goes on with the watches. */
  #startAgainWhenItEnds(): void {
    void this.#exited.then(() => {
      if (this.#closed) return;
      this.#restart = this.#options.clock.after(this.#restartMs, () => this.#startAgain());
      this.#restartMs = Math.min(restartMaxMs, 2 * this.#restartMs);
    });
  }

  #startAgain(): void {
    if (this.#closed) return;
    const { worker, exited, opened } = this.#start();
    this.#worker = worker;
    this.#exited = exited;
    this.#startAgainWhenItEnds();
    opened.then(
      () => {
        if (this.#closed) return;
        this.#restartMs = restartMinMs;
        this.#ended = undefined;
        this.#options.log('info', 'the thread of the coordinator was started again', { file: this.#options.file });
        for (const [watch, { prefix, position }] of this.#watchers)
          this.#send({ kind: 'watch', watch, prefix, after: position });
        if (this.#watchers.size > 0) this.#announceWrites();
        this.#holdProcess();
      },
      (error: unknown) => {
        const fields = { file: this.#options.file, error: error instanceof Error ? error.message : String(error) };
        this.#options.log('warn', 'the coordinator is not opened again', fields);
      },
    );
  }

  #take(message: FromWorker, onOpened: () => void, onFailed: (error: Error) => void): void {
    switch (message.kind) {
      case 'opened':
        if (this.#ended === undefined) this.#holdProcess();
        return onOpened();
      case 'open-failed':
        return onFailed(openError(message.code, message.message));
      case 'answer':
        return this.#settle(message.id, message.answer);
      case 'changes': {
        const watcher = this.#watchers.get(message.watch);
        if (watcher === undefined) return;
        watcher.position = message.changes.at(-1)?.revision ?? watcher.position;
        return watcher.onChanges(message.changes);
      }
      case 'lost': {
        const watcher = this.#watchers.get(message.watch);
        this.#watchers.delete(message.watch);
        this.#holdProcess();
        this.#options.log('error', 'a watch of the coordinator fell too far behind', { file: this.#options.file });
        return watcher?.onLost?.();
      }
      case 'log':
        return this.#options.log(message.level, message.event, message.fields);
      default:
        return unreachable(message);
    }
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key);
    const answer = await this.#request(false, (id) => ({ kind: 'get', id, key }));
    if (answer.kind !== 'entry') throw failure(answer);
    return answer.entry;
  }

  async list(prefix: string): Promise<{ readonly entries: readonly Entry[]; readonly revision: Revision }> {
    checkPrefix(prefix);
    const answer = await this.#request(false, (id) => ({ kind: 'list', id, prefix }));
    if (answer.kind !== 'listing') throw failure(answer);
    return answer.listing;
  }

  async transact(compares: readonly Compare[], writes: readonly Write[]): Promise<TransactionResult> {
    checkTransaction(compares, writes);
    // Copies, since sending a view sends all of the buffer under it.
    const copies = writes.map(({ key, value }) => ({
      key,
      value: value === undefined ? undefined : new Uint8Array(value),
    }));
    const answer = await this.#request(true, (id) => ({ kind: 'transact', id, compares, writes: copies }));
    if (answer.kind !== 'result') throw failure(answer);
    return answer.result;
  }

  watch(prefix: string, after: Revision, onChanges: (changes: readonly Change[]) => void, onLost?: () => void): Watch {
    checkPrefix(prefix);
    checkRevision(after, 'after');
    const watch = this.#nextId++;
    // While the thread is down it waits for the next one.
    if (!this.#closed) {
      this.#watchers.set(watch, { prefix, position: after, onChanges, onLost });
      this.#holdProcess();
      this.#send({ kind: 'watch', watch, prefix, after });
      if (this.#writes === undefined) this.#announceWrites();
    }
    return {
      close: () => {
        if (!this.#watchers.delete(watch)) return;
        this.#holdProcess();
        this.#send({ kind: 'unwatch', watch });
      },
    };
  }

  hint(): void {
    this.#send({ kind: 'hint' });
  }

  #announceWrites(): void {
    const { file, files } = this.#options;
    this.#writes?.close();
    this.#writes = files?.watch(
      `${file}-wal`,
      () => this.#send({ kind: 'written' }),
      () => this.#send({ kind: 'announced', areAnnounced: false }),
    );
    this.#send({ kind: 'announced', areAnnounced: this.#writes !== undefined });
  }

  async close(): Promise<void> {
    if (this.#closed) return this.#exited;
    this.#closed = true;
    this.#restart?.cancel();
    if (this.#ended === undefined) this.#worker.ref();
    else this.#terminate();
    this.#watchers.clear();
    this.#writes?.close();
    this.#send({ kind: 'close' });
    this.#ended ??= 'it is closed';
    // A thread that hangs in the disk can't be ended; the process need not wait for it.
    const impatient = this.#options.clock.after(this.#answerMsMax, () => this.#terminate());
    await this.#exited;
    impatient.cancel();
  }

  #terminate(): void {
    parkThread(this.#words);
    void this.#worker.terminate();
  }

  #send(message: ToWorker): void {
    if (this.#ended !== undefined) return;
    this.#worker.postMessage(message);
    wake(this.#words);
  }

  #request(write: boolean, messageOf: (id: number) => ToWorker): Promise<Answer> {
    if (this.#ended !== undefined)
      throw new CoordinatorError('not-applied', `the coordinator does not answer: ${this.#ended}`);
    if (this.#waiting.size >= requestsInFlightMax)
      throw new CoordinatorError('not-applied', 'too many requests wait for the coordinator');
    const id = this.#nextId++;
    return new Promise((settle) => {
      const late: Answer = {
        kind: 'failed',
        outcome: write ? 'unknown' : 'not-applied',
        message: 'no answer before the deadline',
      };
      const timer = this.#options.clock.after(this.#answerMsMax, () => this.#settle(id, late));
      this.#waiting.set(id, { write, timer, settle });
      this.#holdProcess();
      this.#send(messageOf(id));
    });
  }

  #settle(id: number, answer: Answer): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.timer.cancel();
    this.#holdProcess();
    waiting.settle(answer);
  }

  /** A process that waits for an answer or has a watch open must not end for want of anything else to do. */
  #holdProcess(): void {
    if (this.#ended !== undefined) return;
    if (this.#waiting.size + this.#watchers.size > 0) this.#worker.ref();
    else this.#worker.unref();
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const [id, { write }] of [...this.#waiting]) {
      this.#settle(id, {
        kind: 'failed',
        outcome: write ? 'unknown' : 'not-applied',
        message: `the coordinator ended: ${reason}`,
      });
    }
  }
}

function failure(answer: Answer): CoordinatorError {
  if (answer.kind === 'failed') return new CoordinatorError(answer.outcome, answer.message);
  return new CoordinatorError('unknown', `the coordinator's thread gave an answer of another kind: ${answer.kind}`);
}

function openError(code: OpenFailureCode, message: string): Error {
  return code === 'unavailable' ? new CoordinatorError('not-applied', message) : new KvError(code, message);
}

/**
 * The worker's file has this one's extension: .js in a build. In development it is .ts, and the thread must load tsx by
 * itself: `--import tsx` among its arguments has no effect in threads on Node 20.
 */
function startWorker(workerData: WorkerSettings): Worker {
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('./sqlite-worker.js', import.meta.url), { workerData });
  const [tsx, file] = [import.meta.resolve('tsx/esm/api'), new URL('./sqlite-worker.ts', import.meta.url).href];
  const start = `import(${JSON.stringify(tsx)}).then((api) => { api.register(); return import(${JSON.stringify(file)}); });`;
  return new Worker(start, { workerData, eval: true, execArgv: [] });
}
