/** Stale reads judged beside a log made by hand: three records of one key, put, put, delete, put. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommittedLog, LogRecord } from '../../../sim/check/logs.ts';
import { checkStale } from '../../../sim/check/stale.ts';
import { Violation } from '../../../sim/check/violation.ts';
import { recordKind } from '../../../src/codec/log-format.ts';
import type { Draft, Drafts } from './events.ts';
import { get, history, key } from './events.ts';

function record(lba: number, name: string | undefined): LogRecord {
  return { key, kind: name === undefined ? recordKind.delete : recordKind.put, name, valueLength: 9, lba };
}

const records = [record(10, 'a'), record(20, 'b'), record(30, undefined), record(40, 'c')];
const log: Pick<CommittedLog, 'historyOf'> = { historyOf: () => records };

/** A stale read at the life `at` of a gateway. */
function stale(process: number, at: string, value: string | null, version: number): Drafts {
  const invoke: Draft = { process, type: 'invoke', f: 'stale', key, value: null, at };
  return { invoke, end: { ...invoke, type: 'ok', value, version } };
}

function judged(...parts: readonly (Drafts | Draft)[]): number | string {
  try {
    return checkStale(history(...parts), log);
  } catch (error) {
    if (error instanceof Violation) return error.message;
    throw error;
  }
}

test('S14 stale reads of two gateways may differ, and what is older is counted', () => {
  assert.equal(judged(stale(1, 'g', 'b', 20), stale(1, 'h', 'a', 10), stale(1, 'h', 'b', 20)), 1);
  assert.equal(judged(stale(1, 'g', null, 0), stale(1, 'g', 'b', 20), stale(1, 'g', null, 0), get(1, 'c', 40)), 0);
});

test('S14 one life of a gateway never goes back, the next one may', () => {
  assert.match(String(judged(stale(1, 'g', 'b', 20), stale(2, 'g', 'a', 10))), /^S14 .* record 2 of the key .* by g$/);
  assert.match(String(judged(stale(1, 'g', 'c', 40), stale(1, 'g', null, 0))), /^S14 /);
  assert.equal(judged(stale(1, 'g', 'b', 20), stale(1, 'g again', 'a', 10)), 1);
  const [first, second] = [stale(1, 'g', 'b', 20), stale(2, 'g', 'a', 10)];
  assert.equal(judged(first.invoke, second.invoke, first.end, second.end), 1);
});

test('S14 what a stale read has shown is committed: who asks later for the newest sees no less', () => {
  assert.match(String(judged(stale(1, 'g', 'b', 20), get(2, 'a', 10))), /^S14 get /);
  assert.match(String(judged(stale(1, 'g', 'z', 25))), /never committed/);
  assert.equal(judged(get(2, 'b', 20), stale(1, 'g', 'a', 10)), 1);
});
