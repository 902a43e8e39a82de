/** The oracle is Redis: CLUSTER KEYSLOT's known answers, and the hash tag examples of its cluster specification. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import { shardId, slotId } from '../../src/base/ids.ts';
import { limits } from '../../src/base/limits.ts';
import { shardOfKey, shardOfSlot, slotOfKey, slotsOfShard } from '../../src/core/slots.ts';

const slot = (key: string): number => slotOfKey(Buffer.from(key));

test("slots are CRC16/XMODEM modulo 16384: the specification's check value and known keys", () => {
  assert.equal(slot('123456789'), 0x31c3);
  assert.equal(slot('foo'), 12_182);
  assert.equal(slot('bar'), 5_061);
  assert.equal(slot('hello'), 866);
  assert.equal(slot(''), 0);
});

test('a hash tag alone decides: the first { and the first } after it, unless nothing is between', () => {
  assert.equal(slot('{user1000}.following'), slot('user1000'));
  assert.equal(slot('{user1000}.followers'), slot('{user1000}.following'));
  assert.equal(slot('foo{bar}{zap}'), slot('bar'));
  assert.equal(slot('foo{{bar}}zap'), slot('{bar'));
  const whole = (key: string): number => {
    let crc = 0;
    for (const byte of Buffer.from(key)) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit++)
        crc = (crc & 0x8000) !== 0 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
    return crc % 16_384;
  };
  for (const key of ['foo{}{bar}', '{}', '{', '}', '}{', 'a{b', 'a}b{c', 'foo{}'])
    assert.equal(slot(key), whole(key), key);
});

test("only the key's own bytes count, wherever it lies", () => {
  const buffer = Buffer.from('}x{foo}y{bar}z');
  assert.equal(slotOfKey(buffer, 3, 3), slot('foo'));
  assert.equal(slotOfKey(buffer, 2, 3), slot('{fo'));
  assert.equal(slotOfKey(buffer, 2, 5), slot('foo'));
  assert.equal(slotOfKey(buffer, 0, 3), slot('}x{'));
  assert.equal(shardOfKey(buffer, 3, 3, 3), shardOfSlot(slotId(12_182), 3));
});

test('shards are contiguous ranges that cover every slot once, whatever their count', () => {
  for (const count of [1, 2, 3, 7, 8, 100, 1_000, limits.shardCountMax]) {
    let expected = 0;
    for (let shard = 0; shard < count; shard++) {
      const { first, end } = slotsOfShard(shardId(shard), count);
      assert.equal(first, expected);
      assert.ok(end > first);
      assert.equal(shardOfSlot(slotId(first), count), shard);
      assert.equal(shardOfSlot(slotId(end - 1), count), shard);
      expected = end;
    }
    assert.equal(expected, limits.slotCount);
  }
  assert.throws(() => slotsOfShard(shardId(3), 3), AssertionFailure);
});
