/** Why a history is not linearizable, in lines for people. */
import { present, unreachable } from '../../src/base/assert.ts';
import type { HistoryEvent, HistoryValue } from '../history.ts';
import { unseen } from './deductions.ts';
import type { Operation } from './operations.ts';
import { absent, type RegisterState, unknown } from './register.ts';
import type { SearchResult } from './search.ts';

/** Placed calls that are shown, the newest. */
const placedShown = 10;
const leftShown = 20;
const valueShown = 60;

/** `operations` is the shortest prefix that has no order, `eventIndex` its last event. */
export function explain(
  key: string,
  operations: readonly Operation[],
  result: SearchResult,
  eventIndex: number,
): string {
  const last = operations.find((operation) => operation.endIndex === eventIndex);
  const placed = new Set(result.order);
  const left = operations.filter((operation, index) => operation.isRequired && !placed.has(index));
  const open = operations.filter((operation, index) => !operation.isRequired && !placed.has(index));
  const order = result.order.map((index) => present(operations[index], 'operation'));
  return [
    `key ${JSON.stringify(key)} is not linearizable: no order of its first ${operations.length} calls explains the end of this one (event ${eventIndex}):`,
    ...(last === undefined ? [] : [`  ${line(last)}`]),
    `the longest order that was found${order.length > placedShown ? `, its last ${placedShown} of ${order.length} calls` : ''}:`,
    ...order.slice(-placedShown).map((operation) => `  ${line(operation)}`),
    `after it the key has ${describeState(result.state, operations)}; what ended and finds no place there:`,
    ...shorten(left, last),
    ...(open.length === 0 ? [] : ['what may or may not have taken effect:', ...shorten(open, last)]),
  ].join('\n');
}

function shorten(operations: readonly Operation[], marked: Operation | undefined): readonly string[] {
  const lines = operations
    .slice(-leftShown)
    .map((operation) => `${operation === marked ? '> ' : '  '}${line(operation)}`);
  const hidden = operations.length - lines.length;
  return hidden === 0 ? lines : [`  (${hidden} more before these)`, ...lines];
}

/** `12..15 ms  process 3  put "a" -> version 7`. */
function line({ invoke, end }: Operation): string {
  const known = end === undefined || end.type === 'info' ? undefined : end;
  return `${invoke.time}..${known === undefined ? '?' : known.time} ms  process ${invoke.process}  ${describeCall(invoke)} -> ${describeEnd(invoke, known)}`;
}

export function describeCall(invoke: HistoryEvent): string {
  switch (invoke.f) {
    case 'get':
    case 'has':
    case 'stale':
      return invoke.f;
    case 'put':
      return `put ${describeValue(invoke.value)}`;
    case 'del':
      return 'del';
    case 'cas': {
      const condition = invoke.version === 0 ? 'if absent' : `if version ${invoke.version}`;
      return invoke.value === null ? `del ${condition}` : `put ${describeValue(invoke.value)} ${condition}`;
    }
    default:
      return unreachable(invoke.f);
  }
}

function describeEnd(invoke: HistoryEvent, end: HistoryEvent | undefined): string {
  if (end === undefined) return 'outcome unknown';
  if (end.type === 'fail')
    return end.currentVersion === undefined ? 'not applied' : `refused: ${describeVersion(end.currentVersion)}`;
  switch (invoke.f) {
    case 'has':
      return describeVersion(end.version ?? 0);
    case 'get':
    case 'stale':
      return end.value === null ? 'nothing' : `${describeValue(end.value)}${suffix(end.version)}`;
    case 'put':
      return `ok${suffix(end.version)}`;
    case 'del':
      if (end.version === undefined) return 'ok';
      return end.version === 0 ? 'there was nothing' : 'deleted';
    case 'cas':
      return `ok${suffix(end.newVersion)}`;
    default:
      return unreachable(invoke.f);
  }
}

function suffix(version: number | undefined): string {
  return version === undefined ? '' : `, version ${version}`;
}

function describeVersion(version: number): string {
  return version === 0 ? 'nothing is there' : `version ${version} is there`;
}

function describeValue(value: HistoryValue): string {
  const text = JSON.stringify(value);
  return text.length <= valueShown ? text : `${text.slice(0, valueShown)}... (${text.length} characters)`;
}

function describeState(state: RegisterState, operations: readonly Operation[]): string {
  const seen = state.floor === 0 ? '' : ` (versions up to ${state.floor} were given)`;
  if (state.value === absent) return `no value${seen}`;
  const version = state.version === unknown ? 'a version nobody was told' : `version ${state.version}`;
  const value =
    state.value === unseen
      ? 'a value that nobody read'
      : `the value ${describeValue(valueOf(state.value, operations))}`;
  return `${value} of ${version}${seen}`;
}

/** The text of a value's number. */
function valueOf(value: number, operations: readonly Operation[]): HistoryValue {
  const writer = operations.find(({ call }) => (call.kind === 'put' || call.kind === 'cas') && call.value === value);
  return present(writer, 'the write of a value that stands there').invoke.value;
}
