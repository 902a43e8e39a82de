/**
 * Owners of the shards as the coordinator names them, for a logger that starts: its folder may be an older copy, which
 * has forgotten a fence (S4).
 */
import { KvError } from '../base/errors.ts';
import type { ShardId, ZoneId } from '../base/ids.ts';
import { shardId } from '../base/ids.ts';
import type { Writer } from '../codec/log-format.ts';
import { clusterKey, parseClusterRecord } from '../coordinator/cluster-record.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { decodeHead, headKey } from '../core/shard/head/metadata.ts';

export interface KnownOwner {
  readonly shard: ShardId;
  readonly owner: Writer;
  /** Zone that is open, or that a claim is about to seal. */
  readonly openZone: ZoneId;
}

/**
 * Shards without a head have no owner; a coordinator without a cluster has none at all.
 * @throws KvError `data-damaged`, `newer-format`. @throws CoordinatorError
 */
export async function knownOwners(coordinator: Coordinator): Promise<KnownOwner[]> {
  const record = await coordinator.get(clusterKey);
  if (record === undefined) return [];
  const { shardCount } = parseClusterRecord(record);
  const shards = Array.from({ length: shardCount }, (_, shard) => shardId(shard));
  const owners = await Promise.all(shards.map((shard) => ownerOf(coordinator, shard)));
  return owners.filter((owner) => owner !== undefined);
}

async function ownerOf(coordinator: Coordinator, shard: ShardId): Promise<KnownOwner | undefined> {
  const key = headKey(shard);
  const entry = await coordinator.get(key);
  if (entry === undefined) return undefined;
  try {
    const { epoch, owner, openZone } = decodeHead(entry.value);
    return { shard, owner: { epoch, instance: owner.instance }, openZone: openZone.zone };
  } catch (error) {
    throw new KvError('data-damaged', `the coordinator's key '${key}' holds no head`, { cause: error });
  }
}
