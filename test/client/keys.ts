import { shardOfKey } from '../../src/core/slots.ts';

/** The `index`-th key (from 0) of the shard, among `shards`. */
export function keyOfShard(shard: number, shards = 3, index = 0): string {
  for (let number = 0, found = 0; ; number++) {
    const key = `key-${number}`;
    const bytes = Buffer.from(key);
    if (shardOfKey(bytes, 0, bytes.length, shards) === shard && found++ === index) return key;
  }
}
