/** What one connection may have under way at other gateways. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../src/base/limits.ts';
import { ForwardBudget } from '../../src/gateway/forward-budget.ts';

const connection = { isOpen: true, waitingBytes: 0 };
const half = limits.forwardedBytesPerConnection / 2;

test('writes of one connection are bounded by bytes, one is always allowed, others are not concerned', () => {
  const budget = new ForwardBudget();
  assert.deepEqual([budget.tryWrite(connection, half), budget.tryWrite(connection, half)], [true, true]);
  assert.equal(budget.tryWrite(connection, 1), false);
  assert.equal(budget.tryWrite({ ...connection }, 1), true);
  assert.equal(budget.tryWrite(undefined, 1), true);
  budget.written(connection, half);
  budget.written(connection, half);
  assert.equal(budget.tryWrite(connection, 3 * half), true);
});

test('reads are taken to bring what the last ones brought', () => {
  const budget = new ForwardBudget();
  assert.equal(budget.usualReadBytes(connection), limits.forwardedReadBytes);
  budget.read(connection, 5_000_000);
  assert.equal(budget.usualReadBytes(connection), 5_000_000);
  for (let read = 0; read < 20; read += 1) budget.read(connection, 100);
  assert.equal(budget.usualReadBytes(connection), 100);
});
