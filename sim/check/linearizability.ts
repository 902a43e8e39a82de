/**
 * Is a history linearizable? Every call must have taken effect at one instant between its invocation and its end
 * (promise 1), so that the calls of a key in the order of these instants are a life of one register with versions
 * (register.ts).
 *
 * Sources:
 * - J. M. Wing, C. Gong: Testing and Verifying Concurrent Objects. Journal of Parallel and Distributed Computing 17
 *   (1993): the search;
 * - G. Lowe: Testing for linearizability. Concurrency and Computation: Practice and Experience 29(4) (2017): remembered
 *   configurations,
 *   calls placed just in time;
 * - A. Horn, D. Kroening: Faster linearizability checking via P-compositionality. FORTE 2015: each key alone;
 * - A. Athalye: Porcupine (github.com/anishathalye/porcupine, README and model): these put together, an iterative
 *   search over a linked list.
 *
 * Finding an order is NP-complete: the work is bounded, and beyond the bound the verdict is `gave-up`, which is neither
 * of the others.
 */
import { present } from '../../src/base/assert.ts';
import type { HistoryEvent } from '../history.ts';
import { explain } from './explanation.ts';
import { type Operation, operationsByKey, prefixOf } from './operations.ts';
import { findOrder, type SearchLimits, type SearchResult } from './search.ts';

export type Verdict =
  | {
      readonly kind: 'ok';
      /** Calls that were judged: those that took effect or were read, and those that may have. */
      readonly operations: number;
      readonly keys: number;
      /** Steps that the search took; about one per operation in an easy history. */
      readonly steps: number;
    }
  | {
      readonly kind: 'violation';
      readonly key: string;
      /** Index of the event that can't be explained: the history up to it has no order, the one before it has. */
      readonly eventIndex: number;
      /**
       * Lines for people: the call that can't be explained, the longest order of the others, and what it leaves out.
       */
      readonly explanation: string;
    }
  | { readonly kind: 'gave-up'; readonly key: string; readonly reason: string };

/** Limits of one search in one key: some seconds at most. */
export const defaultSearchLimits: SearchLimits = { stepsMax: 2_000_000, configurationBytesMax: 256 * 1024 * 1024 };

/**
 * Judges every key; a violation of any key comes before giving up on another. The order of the events is the order in
 * which they happened; calls without an end are of unknown outcome.
 * @throws HistoryError when the events are no history.
 */
export function checkHistory(events: readonly HistoryEvent[], limits: SearchLimits = defaultSearchLimits): Verdict {
  const keys = operationsByKey(events);
  let gaveUp: Verdict | undefined;
  let count = 0;
  let steps = 0;
  for (const [key, operations] of keys) {
    const result = findOrder(operations, limits);
    if (result.kind === 'impossible') return violation(key, operations, result, limits);
    if (result.kind === 'gave-up') gaveUp ??= { kind: 'gave-up', key, reason: result.reason ?? '' };
    count += operations.length;
    steps += result.steps;
  }
  return gaveUp ?? { kind: 'ok', operations: count, keys: keys.size, steps };
}

interface JudgedPrefix {
  readonly operations: readonly Operation[];
  readonly result: SearchResult;
  /** Index into the ends of the last one within. */
  readonly last: number;
}

function judgePrefix(
  operations: readonly Operation[],
  ends: readonly number[],
  last: number,
  limits: SearchLimits,
): JudgedPrefix {
  const prefix = prefixOf(operations, present(ends[last], 'end') + 1);
  return { operations: prefix, result: findOrder(prefix, limits), last };
}

/**
 * Bisects for the shortest prefix without an order. One that takes too long to judge counts as having an order:
 * what is found is longer then.
 */
function violation(key: string, operations: readonly Operation[], whole: SearchResult, limits: SearchLimits): Verdict {
  const ends = operations
    .flatMap((operation) => (operation.isRequired ? [operation.endIndex] : []))
    .sort((a, b) => a - b);
  let found: JudgedPrefix = { operations, result: whole, last: ends.length - 1 };
  for (let low = 0; low < found.last; ) {
    const judged = judgePrefix(operations, ends, Math.floor((low + found.last) / 2), limits);
    if (judged.result.kind === 'impossible') found = judged;
    else low = judged.last + 1;
  }
  const eventIndex = present(ends[found.last], 'end');
  return { kind: 'violation', key, eventIndex, explanation: explain(key, found.operations, found.result, eventIndex) };
}
