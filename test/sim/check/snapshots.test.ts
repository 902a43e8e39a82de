/** The check that a snapshot holds the results of its watermark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommittedNumbers } from '../../../sim/check/snapshots.ts';
import { clientId, requestNumber, version, zoneId } from '../../../src/base/ids.ts';
import { recordKind } from '../../../src/codec/log-format.ts';
import { OnceTable } from '../../../src/core/once/once-table.ts';
import { ShardWrite } from '../../../src/core/shard/requests.ts';

const client = clientId(5);

function write(number: number): ShardWrite {
  const made = new ShardWrite({ written: () => undefined }, 1, 'put');
  return Object.assign(made, { client, number: requestNumber(number), firstIncomplete: requestNumber(1) });
}

/** A table that was loaded with these numbers of the client. */
function loaded(numbers: readonly number[], first = 1): OnceTable {
  const once = new OnceTable();
  const result = { kind: recordKind.put, version: version(100), reply: undefined };
  for (const number of numbers) once.complete(client, requestNumber(number), requestNumber(first), result);
  return once;
}

/** Requests 1 and 2 were committed at 100 of zone 3, request 3 at 200. */
function committed(): CommittedNumbers {
  const numbers = new CommittedNumbers();
  numbers.add(0, { zone: zoneId(3), end: 100, writes: [write(1), write(2)] });
  numbers.add(0, { zone: zoneId(3), end: 200, writes: [write(3)] });
  return numbers;
}

test('S15: a snapshot lacks a result of its watermark; what came behind it, it may lack', () => {
  const at = { zone: 3, offset: 100 };
  assert.equal(committed().lackingOf(0, at, loaded([1, 2])), undefined);
  assert.equal(committed().lackingOf(0, at, loaded([1, 2, 3])), undefined);
  assert.equal(committed().lackingOf(0, at, loaded([1])), 'request 2 of client 5');
  assert.equal(committed().lackingOf(0, { zone: 4, offset: 0 }, loaded([1, 2])), 'request 3 of client 5');
});

test('S15: numbers below the first incomplete one, and clients that are forgotten, are not asked for', () => {
  const at = { zone: 3, offset: 200 };
  assert.equal(committed().lackingOf(0, at, loaded([3], 3)), undefined);
  assert.equal(committed().lackingOf(0, at, new OnceTable()), undefined);
  assert.equal(committed().lackingOf(1, at, loaded([])), undefined);
});
