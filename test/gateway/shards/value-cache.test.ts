import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entryOverheadBytes, ValueCache } from '../../../src/gateway/shards/value-cache.ts';
import { seededRandom } from '../../core/index/index-support.ts';

const value = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill);

test('a value comes back by shard and LBA, as a copy', () => {
  const cache = new ValueCache(1 << 20);
  const bytes = Buffer.from('a value');
  cache.set(1, 2 ** 40, bytes);
  bytes.fill(0);
  assert.equal(Buffer.from(cache.get(1, 2 ** 40) ?? []).toString(), 'a value');
  assert.equal(cache.get(2, 2 ** 40), undefined);
  assert.equal(cache.get(1, 2 ** 40 + 1), undefined);
  cache.set(1, 5, new Uint8Array(0));
  assert.deepEqual(cache.get(1, 5), new Uint8Array(0));
});

test('capacity 0 is off', () => {
  const cache = new ValueCache(0);
  cache.set(0, 1, new Uint8Array(0));
  assert.deepEqual([cache.get(0, 1), cache.bytes, cache.count, cache.capacity], [undefined, 0, 0, 0]);
});

test('nothing larger than a sixteenth of the capacity is kept', () => {
  const cache = new ValueCache(16 * 10_000);
  cache.set(0, 1, value(10_000 - entryOverheadBytes, 1));
  cache.set(0, 2, value(10_001 - entryOverheadBytes, 2));
  assert.equal(cache.get(0, 1)?.length, 10_000 - entryOverheadBytes);
  assert.equal(cache.get(0, 2), undefined);
});

test('a value that was read outlives those that were not, and a scan passes it by', () => {
  const cache = new ValueCache(20 * (744 + entryOverheadBytes));
  for (let at = 0; at < 20; at++) cache.set(0, at, value(744, at));
  for (let at = 20; at < 500; at++) {
    assert.equal(cache.get(0, 7)?.[0], 7, `read while ${at} values came`);
    cache.set(at % 3, at, value(744, at));
  }
  assert.equal(cache.count, 20);
  assert.equal(cache.get(0, 6), undefined);
});

test('bytes stay within the capacity and are what the values say, through sets of all sizes', () => {
  const random = seededRandom(3);
  const capacity = 200_000;
  const cache = new ValueCache(capacity);
  const known = new Map<string, number>();
  for (let step = 0; step < 50_000; step++) {
    const shard = random.below(3);
    const lba = random.below(400) * 2 ** 33;
    const size = known.get(`${shard}/${lba}`) ?? random.below(15_000);
    const found = cache.get(shard, lba);
    if (found !== undefined) assert.deepEqual([found.length, found[0] ?? size & 0xff], [size, size & 0xff]);
    else cache.set(shard, lba, value(size, size & 0xff));
    known.set(`${shard}/${lba}`, size);
    assert.ok(cache.bytes <= capacity);
  }
  let bytes = 0;
  let count = 0;
  for (let shard = 0; shard < 3; shard++) {
    for (let at = 0; at < 400; at++) {
      const found = cache.get(shard, at * 2 ** 33);
      if (found === undefined) continue;
      bytes += found.length + entryOverheadBytes;
      count++;
    }
  }
  assert.deepEqual([cache.bytes, cache.count], [bytes, count]);
});
