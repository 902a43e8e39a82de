/**
 * Copies that `verify` reads: every one that the metadata list of zones that ended, and what is committed of the open
 * ones; and the reading, zone by zone, the replicas of a zone side by side.
 */
import type { Uuid } from '../base/ids.ts';
import { epoch, instanceId, shardId, uuid, zoneId } from '../base/ids.ts';
import { CopyPace } from '../core/shard/repairing/copy-pace.ts';
import { pause } from '../env/clock.ts';
import { checkCopy, type CopyFinding, type ZoneToRead } from './copy-check.ts';
import { operatingError } from './errors.ts';
import type { CliIo } from './io.ts';
import { sealedZones } from './listed-copies.ts';
import { openReads, type LoggerReads } from './node-calls.ts';
import type { ClusterView } from './status.ts';
import { loggerNumber } from './status-plans.ts';

export interface ZoneToVerify extends ZoneToRead {
  readonly replicas: readonly Uuid[];
  /** Whether it ended; else `length` is what was committed when its owner was asked. */
  readonly isOpen: boolean;
}

export interface VerifiedCopy {
  readonly zone: ZoneToVerify;
  readonly replica: Uuid;
  readonly finding: CopyFinding;
}

export function countOf(copies: readonly VerifiedCopy[], kind: CopyFinding['kind']): number {
  return copies.filter(({ finding }) => finding.kind === kind).length;
}

/** Name of a copy that is the same at each look. */
export const copyName = ({ zone: { shard, zone }, replica }: Pick<VerifiedCopy, 'zone' | 'replica'>): string =>
  `${shard}/${zone}/${replica}`;

/** Names of all listed copies. */
export function listedCopies(zones: readonly ZoneToVerify[]): ReadonlySet<string> {
  return new Set(zones.flatMap((zone) => zone.replicas.map((replica) => copyName({ zone, replica }))));
}

/** Zones of all shards, by shard and id. @throws KvError `connection-lost`, `timeout`, `protocol-error` */
export async function zonesToVerify(io: CliIo, view: ClusterView, timeoutMs: number): Promise<readonly ZoneToVerify[]> {
  const answer = view.gateways.find(({ ok }) => ok);
  if (answer?.ok !== true) return [];
  const cluster = uuid(answer.value.cluster);
  const sealed = (await sealedZones(io, view, timeoutMs)).map((zone) => ({ ...zone, isOpen: false }));
  // One that has ended since its owner was asked is listed as it ended.
  const ended = new Set(sealed.map(({ shard, zone }) => `${shard}/${zone}`));
  const open = openZones(view).filter(({ shard, zone }) => !ended.has(`${shard}/${zone}`));
  const zones = [...sealed, ...open].filter(({ length }) => length > 0);
  return zones
    .map(({ shard, zone, length, epoch: number, instance, replicas, isOpen }) => ({
      cluster,
      shard: shardId(shard),
      zone: zoneId(zone),
      epoch: epoch(number),
      instance: instanceId(instance),
      length,
      replicas: replicas.map(uuid),
      isOpen,
    }))
    .sort((a, b) => a.shard - b.shard || a.zone - b.zone);
}

/** As their owners tell, who write them. */
function openZones({ gateways }: ClusterView) {
  return gateways.flatMap((answer) => {
    if (!answer.ok) return [];
    const { gateway, instance, shards } = answer.value;
    const own = shards.filter(({ owner, role }) => owner === gateway && role === 'owner');
    return own.map(({ shard, openZone, committedLength, epoch: number, replicas }) => ({
      ...{ shard, zone: openZone, length: committedLength, epoch: number, instance, replicas, isOpen: true },
    }));
  });
}

export class CopyReading {
  readonly #io: CliIo;
  readonly #timeoutMs: number;
  readonly #pace: CopyPace;
  readonly #loggers = new Map<Uuid, Promise<LoggerReads | string>>();

  constructor(io: CliIo, timeoutMs: number, bytesPerSecond: number) {
    this.#io = io;
    this.#timeoutMs = timeoutMs;
    this.#pace = new CopyPace(bytesPerSecond);
  }

  /** `onRead` is told of bytes that came. */
  async zone(
    view: ClusterView,
    zone: ZoneToVerify,
    onRead: (bytes: number) => void = () => undefined,
  ): Promise<readonly VerifiedCopy[]> {
    const copy = async (replica: Uuid): Promise<VerifiedCopy> => {
      const finding = await this.#copy(view, zone, replica, onRead);
      return { zone, replica, finding };
    };
    return await Promise.all(zone.replicas.map(copy));
  }

  async #copy(
    view: ClusterView,
    zone: ZoneToVerify,
    replica: Uuid,
    onRead: (bytes: number) => void,
  ): Promise<CopyFinding> {
    const reads = await this.#readsOf(view, replica);
    if (typeof reads === 'string') return { kind: 'unreached', reason: reads };
    const { shard, zone: id } = zone;
    const { clock } = this.#io.environment;
    return await checkCopy(zone, replica, async ({ offset, length }) => {
      while (!this.#pace.isDue(clock.now())) await pause(clock, Math.max(1, this.#pace.dueMs - clock.now()));
      this.#pace.took(length, clock.now());
      const answer = await reads.read({ shard, zone: id, offset, length });
      onRead(length);
      return answer;
    });
  }

  /** A text: why it can't be read. One whose connection is lost is not tried again before `connectAnew`. */
  #readsOf(view: ClusterView, replica: Uuid): Promise<LoggerReads | string> {
    let reads = this.#loggers.get(replica);
    if (reads === undefined) this.#loggers.set(replica, (reads = this.#open(view, replica)));
    return reads;
  }

  async #open(view: ClusterView, replica: Uuid): Promise<LoggerReads | string> {
    const found = view.loggers.find((answer) => answer.ok && answer.value.status.logger === replica);
    if (found === undefined) return whyAway(view, replica);
    try {
      return await openReads(this.#io.environment, found.address, replica, this.#timeoutMs);
    } catch (error) {
      const known = operatingError(error);
      if (known === undefined) throw error;
      return known.message;
    }
  }

  /** Loggers that could not be reached, or whose connection was lost, are tried again. */
  async connectAnew(): Promise<void> {
    await this.close();
    this.#loggers.clear();
  }

  async close(): Promise<void> {
    for (const reads of await Promise.all(this.#loggers.values())) if (typeof reads !== 'string') reads.close();
  }
}

/** What its logger said, or that there is none of this UUID any more. */
function whyAway(view: ClusterView, replica: Uuid): string {
  const number = loggerNumber(view, replica);
  const answer = view.loggers.find((one) => String(one.number) === number);
  return answer?.ok === false ? answer.reason : 'no logger has this UUID any more';
}

/** Zones of which sound copies differ. */
export function differingZones(copies: readonly VerifiedCopy[]): readonly ZoneToVerify[] {
  const digests = new Map<ZoneToVerify, Set<string>>();
  for (const { zone, finding } of copies)
    if (finding.kind === 'sound') digests.set(zone, (digests.get(zone) ?? new Set()).add(finding.digest));
  return [...digests].flatMap(([zone, all]) => (all.size > 1 ? [zone] : []));
}
