/** Messages between the SQLite coordinator (any thread) and the worker thread that has the database open. */
import type { LogLevel } from '../../base/log.ts';
import type { Change, Compare, Entry, Revision, TransactionResult, Write } from '../coordinator.ts';

export interface WorkerSettings {
  readonly file: string;
  /** Time that a request waits for the database's lock. */
  readonly lockWaitMsMax: number;
  readonly deletesKept: number;
  /** Words shared with the thread (thread-park.ts). */
  readonly words: Int32Array;
}

export type ReadRequest =
  | { readonly kind: 'get'; readonly id: number; readonly key: string }
  | { readonly kind: 'list'; readonly id: number; readonly prefix: string };

export interface TransactRequest {
  readonly kind: 'transact';
  readonly id: number;
  readonly compares: readonly Compare[];
  readonly writes: readonly Write[];
}

export type ToWorker =
  | ReadRequest
  | TransactRequest
  | { readonly kind: 'watch'; readonly watch: number; readonly prefix: string; readonly after: Revision }
  | { readonly kind: 'unwatch'; readonly watch: number }
  | { readonly kind: 'hint' }
  /** Whether writes to the log of the file, also by other processes, are told by `written`. */
  | { readonly kind: 'announced'; readonly areAnnounced: boolean }
  /** Some process has written to it; the transaction may be under way still. */
  | { readonly kind: 'written' }
  | { readonly kind: 'close' };

/** Reasons why the file cannot be opened: codes of operating errors, and `unavailable` for all else. */
export type OpenFailureCode = 'newer-format' | 'data-damaged' | 'permission-denied' | 'library-missing' | 'unavailable';

export interface Listing {
  readonly entries: readonly Entry[];
  readonly revision: Revision;
}

export type Answer =
  | { readonly kind: 'entry'; readonly entry: Entry | undefined }
  | { readonly kind: 'listing'; readonly listing: Listing }
  | { readonly kind: 'result'; readonly result: TransactionResult }
  | { readonly kind: 'failed'; readonly outcome: 'not-applied' | 'unknown'; readonly message: string };

export type FromWorker =
  | { readonly kind: 'opened' }
  | {
      readonly kind: 'open-failed';
      readonly code: OpenFailureCode;
      readonly message: string;
    }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'changes'; readonly watch: number; readonly changes: readonly Change[] }
  | { readonly kind: 'lost'; readonly watch: number }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: Readonly<Record<string, string | number | boolean | undefined>>;
    };
