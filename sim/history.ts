/**
 * Calls of clients and their answers: the evidence that the checkers judge. One event is an `invoke`, or how
 * it ended: `ok` (it took effect, or was read), `fail` (it certainly did not take effect), `info` (nobody knows). A
 * process has one call at a time; one whose call ended in `info` is never used again: the call may take effect at any
 * later moment.
 *
 * Exported as JSON lines, one event a line, so that other checkers can judge the same history.
 */
import { assert } from '../src/base/assert.ts';

export type HistoryType = 'invoke' | 'ok' | 'fail' | 'info';
/**
 * Calls. `has` is a read that is told the version alone; `stale` a read of what its gateway happens to know, which is
 * judged by check/stale.ts and not by linearizability.
 */
export type HistoryCall = 'get' | 'put' | 'del' | 'cas' | 'has' | 'stale';

/** A name of what was written; null: the key is not there. Values themselves are checked where they are read. */
export type HistoryValue = string | null;

export interface HistoryEvent {
  /** One client's thread of calls; at most one call of it is open. */
  readonly process: number;
  readonly type: HistoryType;
  readonly f: HistoryCall;
  readonly key: string;
  /**
   * `put`, `cas`: what is written (a `cas` may also write null: a conditional delete), in every event of the call.
   * `del`, `has`: null. `get`, `stale`: null in the invoke, what was read in `ok`.
   */
  readonly value: HistoryValue;
  /**
   * `cas`, in every event of the call: the version that the key must have (0: none). `get`, `has`, `stale` ok: the
   * version that was read, 0 for none. `put` ok: the version that was given. `del` ok: 1 when something was deleted, 0
   * when there was nothing. Absent where the protocol does not tell it (the testbed's).
   */
  readonly version?: number | undefined;
  /**
   * Version given to what a `cas` that is ok wrote (absent for a conditional delete). One that failed its condition has
   * `currentVersion`.
   */
  readonly newVersion?: number | undefined;
  /**
   * Version that was there (0: none) when the condition of a `cas` did not hold. That makes the call a read.
   */
  readonly currentVersion?: number | undefined;
  /** `fail`: the key is lost (S9). */
  readonly error?: 'damaged' | undefined;
  /** `has` ok: length of the value in bytes. */
  readonly length?: number | undefined;
  /** `stale`, in every event of the call: name of the life of the gateway that was asked. */
  readonly at?: string | undefined;
  /** Milliseconds of simulated time; of real time for real processes. */
  readonly time: number;
}

/** Records events in the order in which they happened. */
export class History {
  readonly #events: HistoryEvent[] = [];
  /** The open call of each process. */
  readonly #open = new Map<number, HistoryEvent>();
  readonly #ended = new Set<number>();

  get events(): readonly HistoryEvent[] {
    return this.#events;
  }

  /** Calls that have not ended. */
  get openCalls(): readonly HistoryEvent[] {
    return [...this.#open.values()];
  }

  record(event: HistoryEvent): void {
    const open = this.#open.get(event.process);
    if (event.type === 'invoke') {
      assert(open === undefined, `process ${event.process} has one call at a time`);
      assert(!this.#ended.has(event.process), `process ${event.process} is not used after an unknown outcome`);
      this.#open.set(event.process, event);
    } else {
      assert(
        open !== undefined && open.f === event.f && open.key === event.key,
        `process ${event.process} ends the call it made`,
      );
      this.#open.delete(event.process);
      if (event.type === 'info') this.#ended.add(event.process);
    }
    this.#events.push(event);
  }

  /** JSON lines. */
  export(): string {
    return exportHistory(this.#events);
  }
}

export function exportHistory(events: readonly HistoryEvent[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}
