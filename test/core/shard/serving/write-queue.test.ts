import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millis } from '../../../../src/base/ids.ts';
import { limits } from '../../../../src/base/limits.ts';
import { ShardWrite } from '../../../../src/core/shard/requests.ts';
import { WriteQueue } from '../../../../src/core/shard/serving/write-queue.ts';

function write(id: number, valueBytes = 1): ShardWrite {
  const made = new ShardWrite({ written: () => undefined }, id, 'put');
  made.source = Buffer.alloc(1 + valueBytes);
  made.keyLength = 1;
  made.valueStart = 1;
  made.wantedLength = valueBytes;
  return made;
}

const ids = (queue: WriteQueue): number[] => queue.removeAll(() => true).map(({ id }) => id);

test('first in, first out; what is appended again goes before all others, in its order (S6)', () => {
  const queue = new WriteQueue();
  for (const id of [1, 2, 3]) assert.ok(queue.push(write(id), millis(id)));
  const first = queue.shift();
  const second = queue.shift();
  assert.ok(first !== undefined && second !== undefined);
  queue.unshift([first, second]);
  assert.equal(queue.count, 3);
  assert.deepEqual(ids(queue), [1, 2, 3]);
});

test('a long queue keeps its order while it is drained', () => {
  const queue = new WriteQueue();
  for (let id = 0; id < 10_000; id++) queue.push(write(id), millis(0));
  for (let id = 0; id < 9_000; id++) assert.equal(queue.shift()?.id, id);
  for (let id = 10_000; id < 10_010; id++) queue.push(write(id), millis(0));
  assert.equal(queue.count, 1_010);
  assert.equal(queue.peek()?.id, 9_000);
});

test('bytes are bounded: what does not fit is not taken, and room comes back', () => {
  const queue = new WriteQueue();
  const large = limits.valueBytesMax;
  let taken = 0;
  while (queue.push(write(taken, large), millis(0))) taken += 1;
  assert.ok(taken >= 1 && taken <= limits.shardQueueBytesMax / large);
  queue.shift();
  assert.ok(queue.push(write(99, large), millis(0)));
});

test('only what waited too long is taken out', () => {
  const queue = new WriteQueue();
  for (const id of [1, 2, 3, 4]) queue.push(write(id), millis(id * 100));
  assert.deepEqual(
    queue.takeOlder(300).map(({ id }) => id),
    [1, 2],
  );
  assert.deepEqual(ids(queue), [3, 4]);
});
