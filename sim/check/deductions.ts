/**
 * What can be told before any search. A value that one call alone may have written, and that was read, was written by
 * that call: so it took effect, before the end of the first such read, and with the version read. Most writes of
 * unknown outcome are settled thus, and those that are left are the ones that cost time: each may stand at any place,
 * or nowhere. Of these, values that nobody read are all the same, so that calls which wrote them can stand for one
 * another.
 */
import type { Operation } from './operations.ts';
import { absent, type RegisterCall, unknown } from './register.ts';

/** Any value that nobody read. */
export const unseen = -1;

interface Reading {
  /** The first end of a read of the value. */
  end: number;
  version: number;
}

/**
 * The same operations in the same order, with what their readers were told. There is an order for these iff there is
 * one for those.
 */
export function settleReadWrites(operations: readonly Operation[]): readonly Operation[] {
  const readings = readingsByValue(operations);
  const writers = new Map<number, number>();
  for (const { call } of operations) if (isWrite(call)) writers.set(call.value, (writers.get(call.value) ?? 0) + 1);
  return operations.map((operation) => {
    const { call } = operation;
    if (!isWrite(call)) return operation;
    const reading = readings.get(call.value);
    if (reading === undefined) return { ...operation, call: { ...call, value: unseen } };
    if (writers.get(call.value) !== 1) return operation;
    const version = call.version === unknown ? reading.version : call.version;
    // Just before the end of the read: the ends of others stay where they are.
    const endIndex = Math.min(operation.endIndex, reading.end - 0.5);
    // A read that ended before the write was invoked: there is no order, and the search is to say so.
    if (endIndex < operation.invokeIndex) return operation;
    return { ...operation, call: { ...call, version }, isRequired: true, endIndex };
  });
}

function isWrite(call: RegisterCall): call is Extract<RegisterCall, { readonly kind: 'put' | 'cas' }> {
  return (call.kind === 'put' || call.kind === 'cas') && call.value !== absent;
}

function readingsByValue(operations: readonly Operation[]): ReadonlyMap<number, Reading> {
  const readings = new Map<number, Reading>();
  for (const { call, endIndex } of operations) {
    if (call.kind !== 'read' || call.value === absent) continue;
    const reading = readings.get(call.value);
    if (reading === undefined) {
      readings.set(call.value, { end: endIndex, version: call.version });
    } else {
      reading.end = Math.min(reading.end, endIndex);
      if (reading.version === unknown) reading.version = call.version;
    }
  }
  return readings;
}
