/**
 * From events to operations: each call with its end, partitioned by key. A key's history is linearizable or not
 * whatever happens to other keys (locality: Herlihy & Wing, 1990), so each is judged alone.
 *
 * Order is the order of the events, never their times. What a call may have done follows from its end:
 * - `ok`: it took effect between its two events, with the answer given;
 * - `info`, or no end at all: it takes effect at some moment after its invocation, or never; as a read it says nothing;
 * - `fail`: it never takes effect; a refused `cas` that was told the version which stood there is a read of that
 *   version.
 */
import { unreachable } from '../../src/base/assert.ts';
import type { HistoryCall, HistoryEvent, HistoryType } from '../history.ts';
import { absent, type RegisterCall, unknown } from './register.ts';

/** The events are no history: an end without a call, two open calls of one process, a `cas` without its condition. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError';
  /** Index of the offending event. */
  readonly eventIndex: number;
  constructor(eventIndex: number, message: string) {
    super(`event ${eventIndex}: ${message}`);
    this.eventIndex = eventIndex;
  }
}

export interface Operation {
  readonly call: RegisterCall;
  /** True when it took effect, or was read; else it may have taken effect. */
  readonly isRequired: boolean;
  /** Indexes into the events. `endIndex` is Infinity where the call has no known end: nothing must come after it. */
  readonly invokeIndex: number;
  readonly endIndex: number;
  readonly invoke: HistoryEvent;
  readonly end: HistoryEvent | undefined;
}

interface Pair {
  readonly invokeIndex: number;
  readonly invoke: HistoryEvent;
  endIndex: number;
  end: HistoryEvent | undefined;
}

/**
 * The operations of each key, in order of invocation; keys in order of their first event. Calls that can't have had an
 * effect and tell nothing are left out.
 * @throws HistoryError
 */
export function operationsByKey(events: readonly HistoryEvent[]): ReadonlyMap<string, readonly Operation[]> {
  const keys = new Map<string, { readonly values: Map<string, number>; readonly operations: Operation[] }>();
  for (const pair of pairEvents(events)) {
    const { key } = pair.invoke;
    let entry = keys.get(key);
    if (entry === undefined) {
      entry = { values: new Map(), operations: [] };
      keys.set(key, entry);
    }
    const operation = operationOf(pair, entry.values);
    if (operation !== undefined) entry.operations.push(operation);
  }
  return new Map([...keys].map(([key, { operations }]) => [key, operations]));
}

function pairEvents(events: readonly HistoryEvent[]): readonly Pair[] {
  const pairs: Pair[] = [];
  const open = new Map<number, Pair>();
  for (const [index, event] of events.entries()) {
    const current = open.get(event.process);
    if (event.type === 'invoke') {
      if (current !== undefined)
        throw new HistoryError(index, `process ${event.process} invokes a second call before the first has ended`);
      const pair = { invokeIndex: index, invoke: event, endIndex: Infinity, end: undefined };
      open.set(event.process, pair);
      pairs.push(pair);
    } else {
      if (current === undefined)
        throw new HistoryError(index, `process ${event.process} ends a call that it did not invoke`);
      checkEnd(index, current.invoke, event);
      open.delete(event.process);
      current.end = event;
      if (event.type !== 'info') current.endIndex = index;
    }
  }
  return pairs;
}

/** Calls whose end may have another value than they were invoked with. */
const valueIsTold: ReadonlySet<HistoryCall> = new Set(['get', 'del', 'stale']);

function checkEnd(index: number, invoke: HistoryEvent, end: HistoryEvent): void {
  if (end.f !== invoke.f || end.key !== invoke.key) {
    const told = `${end.f} of ${JSON.stringify(end.key)}`;
    const asked = `${invoke.f} of ${JSON.stringify(invoke.key)}`;
    throw new HistoryError(index, `process ${end.process} ends a ${told}, but has invoked a ${asked}`);
  }
  if (!valueIsTold.has(end.f) && end.value !== invoke.value) {
    throw new HistoryError(index, `process ${end.process} ends a call with another value than it invoked`);
  }
  if (end.f === 'cas' && end.version !== invoke.version) {
    throw new HistoryError(index, `process ${end.process} ends a cas with another condition than it invoked`);
  }
}

function operationOf(pair: Pair, values: Map<string, number>): Operation | undefined {
  const call = callOf(pair, values);
  const isRequired = pair.endIndex !== Infinity;
  return call === undefined ? undefined : { ...pair, call, isRequired };
}

function callOf({ invokeIndex, invoke, end }: Pair, values: Map<string, number>): RegisterCall | undefined {
  const outcome: HistoryType = end?.type ?? 'info';
  const isOk = outcome === 'ok';
  switch (invoke.f) {
    case 'get':
      return isOk && end !== undefined
        ? { kind: 'read', value: valueNumber(values, end.value), version: end.version ?? unknown }
        : undefined;
    case 'has':
      return isOk && end !== undefined ? { kind: 'seen', version: end.version ?? 0 } : undefined;
    case 'stale':
      return undefined;
    case 'put':
      if (invoke.value === null) throw new HistoryError(invokeIndex, 'a put has a value; what deletes is a del');
      if (outcome === 'fail') return undefined;
      return {
        kind: 'put',
        value: valueNumber(values, invoke.value),
        version: isOk ? (end?.version ?? unknown) : unknown,
      };
    case 'del':
      return outcome === 'fail' ? undefined : { kind: 'delete', existed: isOk ? existedOf(end?.version) : 'unknown' };
    case 'cas': {
      const expected = invoke.version;
      if (expected === undefined)
        throw new HistoryError(invokeIndex, 'a cas names the version that it asks for (0: none)');
      if (outcome === 'fail') {
        const found = end?.currentVersion;
        return found === undefined ? undefined : { kind: 'refused', expected, found };
      }
      const version = isOk ? (end?.newVersion ?? unknown) : unknown;
      return { kind: 'cas', expected, value: valueNumber(values, invoke.value), version };
    }
    default:
      return unreachable(invoke.f);
  }
}

function existedOf(version: number | undefined): 'yes' | 'no' | 'unknown' {
  if (version === undefined) return 'unknown';
  return version === 0 ? 'no' : 'yes';
}

/** Values as small numbers, so that states compare fast. */
function valueNumber(values: Map<string, number>, value: string | null): number {
  if (value === null) return absent;
  const known = values.get(value);
  if (known !== undefined) return known;
  values.set(value, values.size + 1);
  return values.size;
}

/**
 * What was known before the event at `end`: calls that had not ended by then are open, their answers unknown; those
 * that fail later are left out all the same. A prefix of a linearizable history is linearizable, so a violation has a
 * shortest one.
 */
export function prefixOf(operations: readonly Operation[], end: number): readonly Operation[] {
  return operations.flatMap((operation) => {
    if (operation.invokeIndex >= end) return [];
    if (operation.endIndex < end || !operation.isRequired) return [operation];
    const call = openCall(operation.call);
    return call === undefined ? [] : [{ ...operation, call, isRequired: false, endIndex: Infinity, end: undefined }];
  });
}

/** The call without its answer; undefined when it can't have an effect. */
function openCall(call: RegisterCall): RegisterCall | undefined {
  switch (call.kind) {
    case 'read':
    case 'seen':
    case 'refused':
      return undefined;
    case 'put':
      return { ...call, version: unknown };
    case 'delete':
      return { ...call, existed: 'unknown' };
    case 'cas':
      return { ...call, version: unknown };
    default:
      return unreachable(call);
  }
}
