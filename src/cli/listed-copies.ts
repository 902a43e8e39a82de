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

interface Copies extends ListedZone {
  readonly shard: number;
}

/**
 * Copies that are missing in `view`, and again in another look at the cluster (`again`): what changed between two
 * answers is no loss. @throws KvError `connection-lost`, `timeout`, `protocol-error`
 */
export async function missingCopies(
  io: CliIo,
  view: ClusterView,
  timeoutMs: number,
  again: () => Promise<ClusterView>,
): Promise<readonly MissingCopy[]> {
  const listed = await copiesOf(io, view, timeoutMs);
  const missing = missingIn(view, listed);
  if (missing.length === 0) return missing;
  const later = new Set(missingIn(await again(), listed).map(nameOf));
  return missing.filter((copy) => later.has(nameOf(copy)));
}

const nameOf = ({ shard, zone, replica }: MissingCopy): string => `${shard}/${zone}/${replica}`;

async function copiesOf(io: CliIo, view: ClusterView, timeoutMs: number): Promise<Copies[]> {
  const gateway = view.gateways.find((answer) => answer.ok);
  if (gateway === undefined || !gateway.ok) return [];
  const { shardCount } = gateway.value;
  const sealed = await askListedZones(io.environment, gateway.address, shardCount, timeoutMs);
  const copies = sealed.flatMap((zones, shard) => zones.map((zone) => ({ shard, ...zone })));
  return [...copies, ...openZones(view)];
}

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

const noCopy: MissingCopy = { shard: 0, zone: 0, length: 0, held: 0, replica: '', isGone: false };
