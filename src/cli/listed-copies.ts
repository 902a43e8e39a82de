/**
 * Whether every copy that the metadata lists is there (S10): each replica of a sealed zone holds all of its length,
 * each replica of an open zone what was committed when its owner was asked.
 */
import type { ListedZone } from '../codec/node-status.ts';
import type { CliIo } from './io.ts';
import { askListedZones } from './node-calls.ts';
import { loggerName, type ClusterView } from './status.ts';

/** A copy that should be there, and is not: its logger answers, or no logger has that UUID any more. */
export interface MissingCopy {
  readonly shard: number;
  readonly zone: number;
  /** Bytes that should be held, and that are. */
  readonly length: number;
  readonly held: number;
  /** UUID. */
  readonly replica: string;
  readonly isGone: boolean;
}

interface Copies extends Pick<ListedZone, 'zone' | 'length' | 'replicas'> {
  readonly shard: number;
}

/** A sealed zone of a shard as the metadata list it. */
export interface SealedCopies extends ListedZone {
  readonly shard: number;
}

/** Sealed zones of all shards. @throws KvError `connection-lost`, `timeout`, `protocol-error` */
export async function sealedZones(io: CliIo, view: ClusterView, timeoutMs: number): Promise<readonly SealedCopies[]> {
  const gateway = view.gateways.find((answer) => answer.ok);
  if (gateway === undefined || !gateway.ok) return [];
  const { shardCount } = gateway.value;
  const sealed = await askListedZones(io.environment, gateway.address, shardCount, timeoutMs);
  return sealed.flatMap((zones, shard) => zones.map((zone) => ({ shard, ...zone })));
}

/**
 * Copies of `sealed` and of the open zones that are missing in `view`, and again in another look at the cluster
 * (`again`): what changed between two answers is no loss.
 */
export async function missingCopies(
  view: ClusterView,
  sealed: readonly SealedCopies[],
  again: () => Promise<ClusterView>,
): Promise<readonly MissingCopy[]> {
  const listed = [...sealed, ...openZones(view)];
  const missing = missingIn(view, listed);
  if (missing.length === 0) return missing;
  const later = new Set(missingIn(await again(), listed).map(nameOf));
  return missing.filter((copy) => later.has(nameOf(copy)));
}

const nameOf = ({ shard, zone, replica }: MissingCopy): string => `${shard}/${zone}/${replica}`;

/** As their owners tell, who alone know what is committed. */
function openZones({ gateways }: ClusterView): Copies[] {
  return gateways.flatMap((answer) => {
    if (!answer.ok) return [];
    const own = answer.value.shards.filter(({ owner, role }) => owner === answer.value.gateway && role === 'owner');
    return own.map(({ shard, openZone, committedLength, replicas }) => ({
      shard,
      zone: openZone,
      length: committedLength,
      replicas,
    }));
  });
}

function missingIn({ loggers }: ClusterView, listed: readonly Copies[]): MissingCopy[] {
  const held = new Map<string, ReadonlyMap<string, number>>();
  for (const answer of loggers) {
    if (!answer.ok) continue;
    const { status, zones } = answer.value;
    held.set(status.logger, new Map(zones.map(({ shard, zone, length }) => [`${shard}/${zone}`, length])));
  }
  const all = loggers.every(({ ok }) => ok);
  return listed.flatMap(({ shard, zone, length, replicas }) =>
    replicas.flatMap((replica) => {
      const zones = held.get(replica);
      // Whoever does not answer may hold it.
      if (length === 0 || (zones === undefined && !all)) return [];
      const has = zones?.get(`${shard}/${zone}`) ?? 0;
      return has >= length ? [] : [{ shard, zone, length, held: has, replica, isGone: zones === undefined }];
    }),
  );
}

/** For people: how many copies each logger lacks, and one of them. */
export function complaintsOf(view: ClusterView, missing: readonly MissingCopy[]): readonly string[] {
  const byReplica = new Map<string, MissingCopy[]>();
  for (const copy of missing) byReplica.set(copy.replica, [...(byReplica.get(copy.replica) ?? []), copy]);
  return [...byReplica].map(([replica, copies]) => {
    const [{ shard, zone, length, held, isGone } = noCopy] = copies;
    const who = isGone ? `${replica.slice(0, 8)}, which no logger is any more,` : loggerName(view, replica);
    const example = `shard ${shard}, zone ${zone}: ${held} of ${length} bytes`;
    return `logger ${who} lacks ${copies.length} of the zones that it is listed for (${example})`;
  });
}

/** For people: zones whose length is not proven, and what a cut has cost (S9). */
export function doubtsOf(sealed: readonly SealedCopies[]): readonly string[] {
  return sealed.flatMap(({ shard, zone, length, doubt, lostKeys, lostUnknown }) => {
    const where = `shard ${shard}, zone ${zone}`;
    if (doubt === 'restarted')
      return [
        `${where}: ended at ${length} by copies of restarted loggers alone; a replica that was away may have more`,
      ];
    if (doubt !== 'cut') return [];
    const lost = `${lostKeys} keys were damaged, and ${lostUnknown} records at least whose keys nobody knows`;
    return [`${where}: cut at ${length}, since every copy was damaged behind it: ${lost}`];
  });
}

const noCopy: MissingCopy = { shard: 0, zone: 0, length: 0, held: 0, replica: '', isGone: false };
