import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestWindow } from '../../../src/core/once/request-window.ts';

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
