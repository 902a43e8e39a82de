/** The shards' metadata as the coordinator's entries hold it, for faults that look before they act. */
import type { Uuid } from '../../src/base/ids.ts';
import type { Entry } from '../../src/coordinator/coordinator.ts';
import type { Head, SealedZone } from '../../src/core/shard/head/metadata.ts';
import { decodeHead, decodeSealedZone } from '../../src/core/shard/head/metadata.ts';

/** Prefix of all shards' keys. */
export const shardsPrefix = 'shard/';

export interface ShardEntries {
  readonly head: Head;
  /** Zones that ended, by id. */
  readonly zones: readonly SealedZone[];
}

/** Replicas of each zone, open or ended. */
export function listsOf(shards: ReadonlyMap<number, ShardEntries>): { readonly replicas: readonly Uuid[] }[] {
  return [...shards.values()].flatMap(({ head, zones }) => [head.openZone, ...zones]);
}

export function shardOfKey(key: string): number {
  return Number(key.split('/')[1]);
}

/** Shards that have a head, by number. */
export function shardsOf(entries: readonly Entry[]): ReadonlyMap<number, ShardEntries> {
  const heads = new Map<number, Head>();
  const zones = new Map<number, SealedZone[]>();
  for (const { key, value } of entries) {
    if (!key.startsWith(shardsPrefix)) continue;
    const shard = shardOfKey(key);
    if (key.endsWith('/head')) heads.set(shard, decodeHead(value));
    else zones.set(shard, [...(zones.get(shard) ?? []), decodeSealedZone(value)]);
  }
  const sorted = (shard: number): readonly SealedZone[] => (zones.get(shard) ?? []).sort((a, b) => a.zone - b.zone);
  return new Map([...heads].map(([shard, head]) => [shard, { head, zones: sorted(shard) }]));
}
