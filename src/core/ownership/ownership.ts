/**
 * Which gateway a shard is at home with: the one that claims it when all is well. Computed by every gateway alike from
 * the numbers of the members, so that nobody has to agree with anybody.
 */
import type { ShardId } from '../../base/ids.ts';
import { balancedOwners } from '../rendezvous.ts';

/** Shards that are at home with gateway `self`, in their order. REQUIRES: `self` is one of `members`. */
export function homeShards(members: readonly number[], self: number, shards: readonly ShardId[]): ShardId[] {
  const owners = balancedOwners(shards.map(String), members.map(String));
  return shards.filter((shard) => owners.get(String(shard)) === String(self));
}
