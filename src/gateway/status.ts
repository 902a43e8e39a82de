/** Gathers what a gateway tells of itself (codec/node-status.ts) from its parts. */
import type { Millis, Uuid } from '../base/ids.ts';
import type { GatewayStatus, ScrubLine, ShardLine } from '../codec/node-status.ts';
import type { ClusterRecord } from '../coordinator/cluster-record.ts';
import { standingOf } from '../coordinator/standings.ts';
import type { RepairStatus } from '../core/shard/repairing/repairer.ts';
import type { ScrubStatus } from '../core/shard/repairing/scrubber.ts';
import type { LoggerLinks } from './loggers/logger-links.ts';
import type { MetadataStore } from './metadata-store.ts';
import type { Heartbeats } from './peers/heartbeats.ts';
import type { PeerLinks } from './peers/peer-links.ts';
import { allShards, type ShardRunner } from './shards/shard-runner.ts';
import type { Snapshots } from './shards/snapshots.ts';
import type { ValueCache } from './shards/value-cache.ts';

export interface StatusParts {
  readonly id: number;
  readonly node: { readonly uuid: string; readonly instance: string };
  readonly cluster: ClusterRecord;
  readonly runner: ShardRunner;
  readonly store: MetadataStore;
  readonly loggers: LoggerLinks;
  readonly peers: PeerLinks;
  readonly heartbeats: Heartbeats;
  readonly cache: ValueCache;
  readonly snapshots: Snapshots;
  readonly connections: number;
  readonly nowMs: Millis;
}

export function gatewayStatus(parts: StatusParts): GatewayStatus {
  const { store, loggers, peers, heartbeats, cluster } = parts;
  const listed = listedZones(store);
  return {
    gateway: parts.id,
    node: parts.node.uuid,
    instance: parts.node.instance,
    cluster: cluster.cluster,
    shardCount: cluster.shardCount,
    zoneSize: cluster.zoneSize,
    connections: parts.connections,
    loggers: [...store.loggers].map(([number, { uuid, readAddress, writeAddress }]) => ({
      number,
      uuid,
      readAddress,
      writeAddress,
      connected: loggers.isUp(uuid),
      standing: standingOf(store.standings, uuid),
      listedZones: listed.get(uuid) ?? 0,
    })),
    gateways: [...store.gateways].map(([number, { uuid, clientAddress, peerAddress }]) => ({
      number,
      uuid,
      clientAddress,
      peerAddress,
      connected: number === parts.id || peers.channel(number) !== undefined,
      verdict: number === parts.id ? 'self' : (heartbeats.peers.get(number)?.verdict ?? 'unmet'),
      ...heartbeats.countsOf(number),
    })),
    valueCache: { bytes: parts.cache.bytes, capacity: parts.cache.capacity },
    catchUpDropped: peers.dropped,
    shards: shardLines(parts),
  };
}

/** Zones of all shards of which each logger is listed as a replica. */
function listedZones(store: MetadataStore): ReadonlyMap<Uuid, number> {
  const counts = new Map<Uuid, number>();
  for (const shard of allShards(store.shardCount)) {
    const { head, zones } = store.shard(shard);
    const lists = [...(head === undefined ? [] : [head.openZone]), ...zones];
    for (const { replicas } of lists) for (const logger of replicas) counts.set(logger, (counts.get(logger) ?? 0) + 1);
  }
  return counts;
}

const nothing = { owner: undefined, repair: undefined, damagedCopies: 0, scrub: undefined } as const;
const notLoaded = { role: 'loading', step: '', wait: undefined, keys: 0, lag: 0, ...nothing } as const;

function shardLines({ runner, store, snapshots, nowMs }: StatusParts): ShardLine[] {
  return allShards(runner.shardCount).map((shard) => {
    const machine = runner.shard(shard);
    const { head, zones } = store.shard(shard);
    const { role, step, wait, keys, lag, owner, repair, damagedCopies, scrub } = machine?.status ?? notLoaded;
    return {
      shard,
      role,
      step,
      keys,
      lag,
      owner: store.ownerOf(shard),
      epoch: head?.epoch ?? 0,
      openZone: owner?.zone ?? head?.openZone.zone ?? 0,
      replicas: head?.openZone.replicas ?? [],
      sealedZones: zones.length,
      doubtfulZones: zones.filter(({ doubt }) => doubt !== undefined).length,
      committedLength: owner?.committed ?? 0,
      indexBytes: machine?.state.index.memoryBytes ?? 0,
      queued: owner?.queued ?? 0,
      waiting: wait?.reason ?? '',
      waitsFor: wait?.loggers ?? [],
      changing: owner?.changing ?? '',
      full: owner?.full ?? false,
      lackingCopies: repair?.lacking ?? 0,
      copying: copyIn(repair),
      damagedCopies,
      scrub: scrubLine(scrub, nowMs),
      snapshot: snapshots.positionOf(shard),
    };
  });
}

function copyIn(repair: RepairStatus | undefined): string {
  if (repair?.zone === undefined) return '';
  return `zone ${repair.zone}: ${repair.end} of ${repair.length} bytes`;
}

const noScrub = { passes: 0, endedMs: undefined, zone: undefined, isUnderWay: false } as const;
const noCopies = { checked: 0, unreached: 0, listed: 0, damaged: 0 } as const;

function scrubLine(status: ScrubStatus = { ...noScrub, ...noCopies }, nowMs: Millis): ScrubLine {
  const { endedMs, zone = 0, isUnderWay, ...counts } = status;
  const endedAgoMs = endedMs === undefined ? -1 : Math.max(0, Math.round(nowMs - endedMs));
  return { ...counts, endedAgoMs, underWay: isUnderWay, zone };
}
