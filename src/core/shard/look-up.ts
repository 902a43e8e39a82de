/**
 * What a read finds in the index: the one place that says whether a key is there, for confirmed and for stale reads.
 */
import type { ShardState } from './following/apply.ts';
import type { ShardEffect } from './events.ts';
import type { ShardRead } from './requests.ts';

/** Fills in what the index says of the read's key and asks for its value, if there is such a key. */
export function lookUp({ index }: ShardState, read: ShardRead, effects: ShardEffect[]): void {
  const id = index.find(read.source, read.keyStart, read.keyLength);
  if (id === -1) return;
  read.version = index.versionOf(id);
  read.lba = index.lbaOf(id);
  read.recordBytes = index.lengthOf(id);
  read.valueLength = index.valueLengthOf(id);
  read.expiresAt = index.expiresAtOf(id);
  read.isLost = index.isLost(id);
  if (read.wantsValue && !read.isLost) effects.push({ effect: 'fetch', read });
}
