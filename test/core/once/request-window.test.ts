import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestNumber } from '../../../src/base/ids.ts';
import { requestNumber, shardId } from '../../../src/base/ids.ts';
import { RequestWindow } from '../../../src/core/once/request-window.ts';
import { RequestWindows } from '../../../src/core/once/request-windows.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';

test('S15 numbers begin in order and the first incomplete one is the smallest that has not ended', () => {
  const window = new RequestWindow(8);
  const numbers = Array.from({ length: 5 }, () => window.begin());
  assert.deepEqual(numbers.map(Number), [1, 2, 3, 4, 5]);
  for (const number of [numbers[1], numbers[3]]) if (number !== undefined) window.end(number);
  assert.equal(window.firstIncomplete, 1);
  if (numbers[0] !== undefined) window.end(numbers[0]);
  assert.equal(window.firstIncomplete, 3);
  if (numbers[2] !== undefined) window.end(numbers[2]);
  assert.equal(window.firstIncomplete, 5);
  assert.equal(window.width, 1);
});

test('S15 the window is full when as many numbers are open as it has room for, and goes round for ever', () => {
  const window = new RequestWindow(4);
  for (let round = 0; round < 100; round++) {
    const numbers = Array.from({ length: 4 }, () => window.begin());
    assert.ok(window.isFull);
    assert.throws(() => window.begin(), /S15/);
    for (const number of numbers.reverse()) window.end(number);
    assert.ok(!window.isFull);
    assert.equal(window.firstIncomplete, round * 4 + 5);
  }
});

test('S15 the first incomplete number is the smallest that has not ended, in whatever order they end', () => {
  const random = new SimulatedRandom(11);
  const window = new RequestWindow(16);
  const open = new Set<RequestNumber>();
  let newest = 0;
  for (let step = 0; step < 20_000; step++) {
    if (!window.isFull && random.chance(0.6)) {
      const number = window.begin();
      assert.equal(number, ++newest);
      open.add(number);
    } else if (open.size > 0) {
      const numbers = [...open];
      const number = numbers[random.uint32() % numbers.length];
      assert.ok(number !== undefined);
      window.end(number);
      open.delete(number);
    }
    assert.equal(window.firstIncomplete, open.size > 0 ? Math.min(...open) : newest + 1);
    assert.equal(window.isFull, newest + 1 - window.firstIncomplete >= 16);
  }
  assert.ok(newest > 5_000);
});

test('S15 a number ends once, and a full window gives none', () => {
  const window = new RequestWindow(2);
  assert.equal(window.size, 2);
  window.begin();
  window.begin();
  assert.throws(() => window.begin(), /S15/);
  window.end(requestNumber(2));
  assert.throws(() => window.end(requestNumber(2)), /S15/);
  assert.throws(() => window.end(requestNumber(3)), /S15/);
});

test('S15 windows of one client draw from one counter, and a write that hangs fills only its own', () => {
  const windows = new RequestWindows(8);
  const [hung, other] = [windows.of(shardId(0)), windows.of(shardId(1))];
  const first = hung.begin();
  for (let number = 2; number < 1_000; number += 1) {
    assert.equal(other.begin(), number);
    assert.equal(other.firstIncomplete, number);
    other.end(requestNumber(number));
  }
  assert.deepEqual([hung.firstIncomplete, hung.isFull, other.isFull], [1, true, false]);
  hung.end(first);
  assert.deepEqual([hung.firstIncomplete, hung.isFull], [1_000, false]);
  assert.equal(hung.begin(), 1_000);
});
