/**
 * Rendezvous hashing, highest random weight (Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
 * IEEE/ACM Transactions on Networking 6(1), 1998): every node that knows the candidates computes the same order of them
 * for a subject, and when one leaves only its own subjects move. Orders gateways by shard, and loggers by shard and
 * zone.
 *
 * The order is part of how nodes of different versions agree: it must never change.
 */
import { assert } from '../base/assert.ts';

/** All candidates, the one with the highest weight first; equal weights in the order of their names. */
export function rendezvousOrder(subject: string, candidates: readonly string[]): string[] {
  return candidates
    .map((name) => ({ name, weight: weightOf(subject, name) }))
    .sort((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

/**
 * An owner for each shard: in the order of `shards`, the first gateway of the shard's rendezvous order that owns fewer
 * than ceil(shards / gateways) so far. Plain rendezvous hashing leaves one of three gateways without any of three
 * shards more often than not. When a gateway leaves, shards beyond its own may move, as the bound changes. REQUIRES:
 * gateways are distinct and not empty, shards are distinct.
 */
export function balancedOwners(shards: readonly string[], gateways: readonly string[]): Map<string, string> {
  assert(gateways.length > 0 && new Set(gateways).size === gateways.length, 'gateways are distinct and not empty');
  assert(new Set(shards).size === shards.length, 'shards are distinct');
  const most = Math.ceil(shards.length / gateways.length);
  const owned = new Map<string, number>();
  const owners = new Map<string, string>();
  for (const shard of shards) {
    const owner = rendezvousOrder(shard, gateways).find((gateway) => (owned.get(gateway) ?? 0) < most);
    assert(owner !== undefined, 'the bounds add up to all shards');
    owned.set(owner, (owned.get(owner) ?? 0) + 1);
    owners.set(shard, owner);
  }
  return owners;
}

/** FNV-1a over the UTF-16 units of both names and a separator, finished with MurmurHash3's mixer: a u32. */
function weightOf(subject: string, candidate: string): number {
  let hash = fnv(0x811c9dc5, subject);
  hash = Math.imul(hash ^ 0xffff, 0x01000193);
  hash = fnv(hash, candidate);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function fnv(seed: number, text: string): number {
  let hash = seed;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash;
}
