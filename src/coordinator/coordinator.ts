/**
 * The coordinator: a small linearizable store with transactions (compare, then write) and watch. It holds what the
 * cluster must agree on; it is not on the path of a read or a write (docs/design.md sections 2 and 9).
 */

/** Grows with every transaction that changed something; the same one for all keys changed together. */
export type Revision = number;

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the last change of this key. */
  readonly revision: Revision;
}

/** Holds when the key's revision is exactly this; 0: the key is absent. */
export interface Compare {
  readonly key: string;
  readonly revision: Revision;
}

/** `value` undefined deletes the key. */
export interface Write {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

export type TransactionResult =
  | { readonly kind: 'applied'; readonly revision: Revision }
  | { readonly kind: 'refused' };

/** `not-applied`: nothing changed and nothing will. `unknown`: it may have been applied, or may still be (S1). */
export class CoordinatorError extends Error {
  override readonly name = 'CoordinatorError';
  readonly outcome: 'not-applied' | 'unknown';
  constructor(outcome: 'not-applied' | 'unknown', message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.outcome = outcome;
  }
}

/** Changes of watched keys in one transaction, in order of revision. A deleted key has value undefined. */
export interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly revision: Revision;
}

export interface Watch {
  /** No call follows. Idempotent. */
  close(): void;
}

export const coordinatorLimits = {
  keyBytesMax: 512,
  valueBytesMax: 512 * 1024,
  transactionItemsMax: 128,
  /** Deletes a watch can learn of afterwards. */
  deletesKept: 100_000,
} as const;

export interface Coordinator {
  /** Where it keeps what it holds, for messages to the operator. */
  readonly source: string;
  get(key: string): Promise<Entry | undefined>;
  /** All entries whose keys begin with `prefix`, sorted by key, at one revision. */
  list(prefix: string): Promise<{ readonly entries: readonly Entry[]; readonly revision: Revision }>;
  /**
   * Applies all writes iff every compare holds, atomically and durably before it answers.
   * @throws CoordinatorError with the outcome; a malformed request (limits, a key twice in the writes) is a RangeError.
   */
  transact(compares: readonly Compare[], writes: readonly Write[]): Promise<TransactionResult>;
  /**
   * Calls `onChanges` for every change under `prefix` after revision `after`, none lost, none twice, in order; several
   * changes of one key may arrive as its newest. Arrives within about 20 ms of a change by any process. Changes of one
   * transaction are never split over two calls. `onLost` is called once, and nothing after it, when the history since
   * `after` is gone (`coordinatorLimits.deletesKept` deletes happened meanwhile): list, then watch again.
   */
  watch(prefix: string, after: Revision, onChanges: (changes: readonly Change[]) => void, onLost?: () => void): Watch;
  /** Somebody said that there is news: look now. */
  hint(): void;
  close(): Promise<void>;
}
