/**
 * The thread that has the coordinator's SQLite file open: an entry point, started by sqlite.ts. It runs a loop of its
 * own and no event loop: take the messages, try what waits for the lock, look for others' changes, sleep on a word of
 * shared memory until there is a message or the next look is due. So it may block in SQLite, sleeps precisely, and
 * costs next to nothing when idle.
 *
 * Transactions that wait at the same time are made stable by one sync. A lock held by another process is retried here,
 * with SQLite's own waiting switched off, since only so a holder that is stopped can be found out (stopped-holder.ts).
 *
 * It owns the order of requests, their deadlines at the lock, and the positions of watches. It does not own the layout
 * of the file (sqlite-database.ts), nor who stops whom (stopped-holder.ts).
 */
import { parentPort, receiveMessageOnPort, threadId, workerData } from 'node:worker_threads';
import { present, unreachable } from '../../base/assert.ts';
import { KvError } from '../../base/errors.ts';
import { alignMode, writeDenial } from '../../env/real/access.ts';
import { realProcesses } from '../../env/real/processes.ts';
import { fileExists, makeZeros, monotonicMs, publishFile, removeFile, syncFile } from '../../env/real/thread.ts';
import type { Revision } from '../coordinator.ts';
import type { DatabaseErrorCode } from './sqlite-database.ts';
import { createDatabaseFile, DatabaseError, SqliteDatabase } from './sqlite-database.ts';
import type {
  Answer,
  FromWorker,
  OpenFailureCode,
  ReadRequest,
  ToWorker,
  TransactRequest,
  WorkerSettings,
} from './sqlite-messages.ts';
import { LookPace } from './look-pace.ts';
import { SpareSpace } from './spare-space.ts';
import { StoppedHolderWatch } from './stopped-holder.ts';
import { messagesSeen, sleep } from './thread-park.ts';

const port = present(parentPort, 'this file runs as a worker thread');

/** Waited less than the first: the next try is after the second. */
const retryMs = [
  [1, 0.15],
  [5, 0.6],
  [20, 1.5],
  [1_000, 0.5],
] as const;
const retryHangMs = 5;
/** Transactions made stable together, and own transactions between two checkpoints (some 4 pages each). */
const batchMax = 64;
const batchBytesMax = 4 * 1024 * 1024;
const checkpointEvery = 300;

function send(message: FromWorker): void {
  port.postMessage(message);
}

interface Pending<T> {
  readonly request: T;
  readonly deadlineMs: number;
}

interface Watched {
  readonly watch: number;
  readonly prefix: string;
  position: Revision;
}

/**
 * Delays between tries to get the lock, different in each process, so that they don't try in step. Short at first,
 * since a transaction takes a fraction of a millisecond; longer when there is a crowd; short again for who waits long,
 * so that nobody starves: the lock goes to whoever looks first. Who waits still longer waits for a process that hangs.
 */
class Backoff {
  #sinceMs: number | undefined;
  #state = (process.pid * 31 + threadId) >>> 0;
  reset(): void {
    this.#sinceMs = undefined;
  }
  next(nowMs: number): number {
    this.#sinceMs ??= nowMs;
    const waitedMs = nowMs - this.#sinceMs;
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return (retryMs.find(([untilMs]) => waitedMs < untilMs)?.[1] ?? retryHangMs) * (0.5 + this.#state / 2 ** 32);
  }
}

class SqliteWorker {
  readonly #settings: WorkerSettings;
  readonly #holderWatch: StoppedHolderWatch;
  readonly #backoff = new Backoff();
  readonly #spare: SpareSpace;
  readonly #database: SqliteDatabase;
  #reads: Pending<ReadRequest>[] = [];
  #transacts: Pending<TransactRequest>[] = [];
  readonly #watches = new Map<number, Watched>();
  #closing = false;
  readonly #pace = new LookPace();
  #version = -1;
  #retryAtMs = 0;
  #sinceCheckpoint = 0;
  #checkpointFailed = false;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    const { file } = settings;
    this.#spare = new SpareSpace(file, { fileExists, makeZeros, removeFile });
    this.#holderWatch = new StoppedHolderWatch(realProcesses(), [file, `${file}-shm`, `${file}-wal`], (holder) => {
      const fields = { pid: holder.pid, startTime: holder.startTime, file };
      send({
        kind: 'log',
        level: 'warn',
        event: 'ended a stopped process that held the lock of the coordinator',
        fields,
      });
    });
    this.#database = this.#open();
    this.#checkpoint();
    this.#spare.keep(monotonicMs());
  }

  /** Several processes may come at once: the file appears whole or not at all, then each waits for its turn. */
  #open(): SqliteDatabase {
    const { file, words } = this.#settings;
    if (!fileExists(file)) {
      const draft = `${file}.new-${process.pid}-${threadId}`;
      for (const path of [draft, `${draft}-wal`, `${draft}-shm`]) removeFile(path);
      createDatabaseFile(draft);
      publishFile(draft, file);
      removeFile(draft);
    }
    checkRights(file);
    const database = new SqliteDatabase(file, this.#settings.deletesKept);
    const deadlineMs = monotonicMs() + this.#settings.lockWaitMsMax;
    for (;;) {
      try {
        database.start();
        // What the recovery of a crashed process's log found must be stable before anybody acts on it.
        syncFile(`${file}-wal`);
        this.#backoff.reset();
        this.#holderWatch.free();
        return database;
      } catch (error) {
        const nowMs = monotonicMs();
        // The index of the log, which is made at opening, needs some space.
        if (error instanceof DatabaseError && !isCertain(error.code) && this.#spare.giveUp(nowMs)) continue;
        if (!(error instanceof DatabaseError) || error.code !== 'busy' || nowMs >= deadlineMs) throw error;
        this.#holderWatch.busy(nowMs);
        sleep(words, messagesSeen(words), this.#backoff.next(nowMs));
      }
    }
  }

  run(): void {
    const { words } = this.#settings;
    while (!this.#closing) {
      const seen = messagesSeen(words);
      for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
        // Messages of sqlite.ts: those between threads are untyped.
        this.#take(received.message as ToWorker, monotonicMs());
      }
      this.#doReads();
      this.#doTransacts();
      this.#look();
      if (this.#closing) break;
      sleep(words, seen, this.#sleepMs());
    }
    for (const { request } of this.#transacts) this.#fail(request.id, 'not-applied', 'the coordinator was closed');
    this.#database.close();
  }

  #take(message: ToWorker, nowMs: number): void {
    const deadlineMs = nowMs + this.#settings.lockWaitMsMax;
    switch (message.kind) {
      case 'get':
      case 'list':
        this.#reads.push({ request: message, deadlineMs });
        break;
      case 'transact':
        this.#transacts.push({ request: message, deadlineMs });
        break;
      case 'watch':
        this.#watches.set(message.watch, { watch: message.watch, prefix: message.prefix, position: message.after });
        this.#pace.mustLook();
        break;
      case 'unwatch':
        this.#watches.delete(message.watch);
        break;
      case 'hint':
        this.#pace.hinted();
        break;
      case 'announced':
        this.#pace.announced(message.areAnnounced);
        break;
      case 'written':
        this.#pace.written(nowMs);
        break;
      case 'close':
        this.#closing = true;
        break;
      default:
        unreachable(message);
    }
  }

  #sleepMs(): number {
    const nowMs = monotonicMs();
    const isWaiting = this.#transacts.length + this.#reads.length > 0;
    return Math.max(0, Math.min(isWaiting ? this.#retryAtMs : Infinity, this.#pace.dueMs) - nowMs);
  }

  #doReads(): void {
    const waiting = this.#reads;
    this.#reads = [];
    for (const item of waiting) {
      try {
        this.#answer(item.request.id, this.#read(item.request));
      } catch (error) {
        // Only a process that is recovering the log after a crash keeps readers out.
        if (this.#mayRetry(error, item.deadlineMs)) this.#reads.push(item);
        else this.#fail(item.request.id, 'not-applied', messageOf(error));
      }
    }
  }

  #read(request: ReadRequest): Answer {
    if (request.kind === 'get') return { kind: 'entry', entry: this.#database.get(request.key) };
    return { kind: 'listing', listing: this.#database.list(request.prefix) };
  }

  #doTransacts(): void {
    while (this.#transacts.length > 0 && monotonicMs() >= this.#retryAtMs && !this.#closing) {
      const batch = this.#batch();
      try {
        const results = this.#database.transact(batch.map((item) => item.request));
        this.#transacts.splice(0, batch.length);
        results.forEach((result, index) =>
          this.#answer(present(batch[index], 'request').request.id, { kind: 'result', result }),
        );
        this.#transacted(batch.length);
      } catch (error) {
        if (this.#mayRetry(error, Infinity)) return this.#expire(messageOf(error));
        if (error instanceof DatabaseError && error.code === 'full' && this.#spare.giveUp(monotonicMs())) continue;
        this.#transacts.splice(0, batch.length);
        const outcome = error instanceof DatabaseError ? error.outcome : 'unknown';
        for (const { request } of batch) this.#fail(request.id, outcome, messageOf(error));
      }
    }
  }

  #batch(): Pending<TransactRequest>[] {
    let bytes = 0;
    const end = this.#transacts.findIndex(({ request }, index) => {
      bytes += request.writes.reduce((sum, write) => sum + (write.value?.length ?? 0), 0);
      return index > 0 && (index >= batchMax || bytes > batchBytesMax);
    });
    return end === -1 ? this.#transacts.slice() : this.#transacts.slice(0, end);
  }

  #transacted(count: number): void {
    this.#backoff.reset();
    this.#holderWatch.free();
    this.#pace.mustLook();
    this.#pace.active(monotonicMs());
    this.#spare.keep(monotonicMs());
    this.#sinceCheckpoint += count;
    if (this.#sinceCheckpoint >= checkpointEvery) this.#checkpoint();
  }

  /** Whether `error` says that another process is in the way and there is still time: then the next try is later. */
  #mayRetry(error: unknown, deadlineMs: number): boolean {
    const nowMs = monotonicMs();
    if (
      !(error instanceof DatabaseError) ||
      error.code !== 'busy' ||
      error.outcome === 'unknown' ||
      nowMs >= deadlineMs
    )
      return false;
    this.#holderWatch.busy(nowMs);
    this.#retryAtMs = nowMs + this.#backoff.next(nowMs);
    return true;
  }

  /** The lock was never got: nothing was begun for those that waited too long. */
  #expire(message: string): void {
    const nowMs = monotonicMs();
    const expired = this.#transacts.filter((item) => nowMs >= item.deadlineMs);
    if (expired.length === 0) return;
    this.#transacts = this.#transacts.filter((item) => nowMs < item.deadlineMs);
    for (const { request } of expired)
      this.#fail(request.id, 'not-applied', `another process held the lock all the time: ${message}`);
  }

  /** Looks for changes and tells the watches. */
  #look(): void {
    const nowMs = monotonicMs();
    if (nowMs < this.#pace.dueMs) return;
    try {
      if (this.#watches.size > 0) this.#lookNow(nowMs);
      this.#pace.looked(nowMs, this.#watches.size > 0);
    } catch (error) {
      // Whatever is wrong now may be right at the next look; no change is lost, since the positions stay.
      this.#pace.failed(nowMs);
      this.#version = -1;
      if (!(error instanceof DatabaseError) || error.code === 'busy') this.#holderWatch.busy(nowMs);
      else
        send({
          kind: 'log',
          level: 'error',
          event: 'the coordinator cannot be watched',
          fields: { error: error.message },
        });
    }
  }

  #lookNow(nowMs: number): void {
    const version = this.#database.version();
    if (version === this.#version && !this.#pace.isForced) return;
    if (version !== this.#version) this.#changed(nowMs);
    const positions = new Map<Revision, Watched[]>();
    for (const watched of this.#watches.values())
      positions.set(watched.position, [...(positions.get(watched.position) ?? []), watched]);
    // Watches that are up to date, as a rule all, share one query.
    for (const [position, watches] of positions) this.#advance(watches, position);
    this.#version = version;
  }

  /** Another process has changed something, or nobody knows whether one has. */
  #changed(nowMs: number): void {
    if (this.#version !== -1 && this.#pace.foundChange(nowMs) === 'unannounced') {
      const fields = { file: this.#settings.file };
      send({ kind: 'log', level: 'info', event: 'changes of the coordinator are not announced here', fields });
    }
    this.#pace.active(nowMs);
  }

  /** Tells `watches`, all at position `from`, of everything after it. */
  #advance(watches: readonly Watched[], from: Revision): void {
    let position = from;
    let complete = false;
    while (!complete) {
      const step = this.#database.changesAfter(position);
      if (step === undefined) return this.#lost(watches);
      for (const watched of watches) {
        const changes = step.changes.filter((change) => change.key.startsWith(watched.prefix));
        watched.position = step.upTo;
        if (changes.length > 0) send({ kind: 'changes', watch: watched.watch, changes });
      }
      position = step.upTo;
      complete = step.complete;
    }
  }

  #lost(watches: readonly Watched[]): void {
    for (const { watch } of watches) {
      this.#watches.delete(watch);
      send({ kind: 'lost', watch });
    }
  }

  /**
   * A checkpoint that failed, but for want of space, may have left the database's file damaged in a way that a
   * repetition would not notice: the log stays.
   */
  #checkpoint(): void {
    if (this.#checkpointFailed) return;
    this.#sinceCheckpoint = 0;
    try {
      this.#database.checkpoint();
    } catch (error) {
      if (error instanceof DatabaseError && (error.code === 'busy' || error.code === 'full')) return;
      this.#checkpointFailed = true;
      const fields = { error: messageOf(error) };
      send({ kind: 'log', level: 'error', event: 'the coordinator cannot checkpoint', fields });
    }
  }

  #answer(id: number, answer: Answer): void {
    send({ kind: 'answer', id, answer });
  }

  #fail(id: number, outcome: 'not-applied' | 'unknown', message: string): void {
    this.#answer(id, { kind: 'failed', outcome, message });
  }
}

/**
 * SQLite opens a file that may not be written, and makes the files beside it with the same mode. They would stay so
 * after the file's own rights were given back. @throws DatabaseError
 */
function checkRights(file: string): void {
  if (writeDenial(file) === undefined) for (const beside of [`${file}-wal`, `${file}-shm`]) alignMode(beside, file);
  const denial = denialOf(file);
  if (denial !== undefined) throw new DatabaseError('failed', denial);
}

/** Whether the failure has nothing to do with space. */
function isCertain(code: DatabaseErrorCode): boolean {
  return code === 'busy' || code === 'damaged' || code === 'newer-format';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function open(): SqliteWorker | undefined {
  // Settings that sqlite.ts starts the thread with, untyped on their way.
  const settings = workerData as WorkerSettings;
  try {
    return new SqliteWorker(settings);
  } catch (error) {
    send({ kind: 'open-failed', ...openFailure(error, settings.file) });
    return undefined;
  }
}

function openFailure(error: unknown, file: string): { readonly code: OpenFailureCode; readonly message: string } {
  const message = messageOf(error);
  if (error instanceof KvError && error.code === 'library-missing') return { code: error.code, message };
  const code = error instanceof DatabaseError ? error.code : 'failed';
  if (code === 'damaged') return { code: 'data-damaged', message };
  if (code === 'newer-format') return { code: 'newer-format', message };
  const denial = denialOf(file);
  return denial === undefined ? { code: 'unavailable', message } : { code: 'permission-denied', message: denial };
}

/** SQLite opens what it may not write for reading, and fails at the first write in words of its own. */
function denialOf(file: string): string | undefined {
  return [file, `${file}-wal`, `${file}-shm`].map(writeDenial).find((reason) => reason !== undefined);
}

const worker = open();
if (worker !== undefined) {
  send({ kind: 'opened' });
  worker.run();
}
port.close();
