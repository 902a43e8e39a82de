/**
 * Keys to hash slots to shards. Slots are Redis Cluster's
 * (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/): CRC16/XMODEM of the key, or of its
 * `{hash tag}`, modulo 16384, so that cluster-aware Redis clients route by them.
 */
import { assert } from '../base/assert.ts';
import type { ShardId, SlotId } from '../base/ids.ts';
import { shardId, slotId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';

const polynomial = 0x1021;
const table = new Uint16Array(256).map((_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++)
    crc = (crc & 0x8000) !== 0 ? ((crc << 1) ^ polynomial) & 0xffff : (crc << 1) & 0xffff;
  return crc;
});

const openBrace = 0x7b;
const closeBrace = 0x7d;

/** The slot of the key at [start, start + length) of `bytes`. */
export function slotOfKey(bytes: Uint8Array, start = 0, length = bytes.length): SlotId {
  let from = start;
  let to = start + length;
  const open = indexWithin(bytes, openBrace, from, to);
  const close = open === -1 ? -1 : indexWithin(bytes, closeBrace, open + 1, to);
  if (close > open + 1) {
    from = open + 1;
    to = close;
  }
  let crc = 0;
  for (let at = from; at < to; at++) {
    crc = ((crc << 8) & 0xffff) ^ (table[((crc >> 8) ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  }
  return slotId(crc % limits.slotCount);
}

/** Like `indexOf`, but looks no further than `end`: a key may lie in a large buffer. */
function indexWithin(bytes: Uint8Array, byte: number, start: number, end: number): number {
  for (let at = start; at < end; at++) if (bytes[at] === byte) return at;
  return -1;
}

/** Shard `s` of `shardCount` has the slots from ceil(s * 16384 / count) up to the next shard's first. */
export function shardOfSlot(slot: SlotId, shardCount: number): ShardId {
  return shardId(Math.floor((slot * shardCount) / limits.slotCount));
}

/** First slot of a shard, and of the one after it. */
export function slotsOfShard(shard: ShardId, shardCount: number): { readonly first: number; readonly end: number } {
  assert(shard < shardCount && shardCount <= limits.shardCountMax, 'the shard exists');
  return {
    first: Math.ceil((shard * limits.slotCount) / shardCount),
    end: Math.ceil(((shard + 1) * limits.slotCount) / shardCount),
  };
}

/** The shard of a key. */
export function shardOfKey(bytes: Uint8Array, start: number, length: number, shardCount: number): ShardId {
  return shardOfSlot(slotOfKey(bytes, start, length), shardCount);
}
