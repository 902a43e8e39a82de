/**
 * View of the inside: whether all is served, whether all is still, and what the logs hold at the end.
 */
import type { Uuid } from '../src/base/ids.ts';
import { openChannel } from '../src/rpc/channel.ts';
import type { RpcChannel } from '../src/rpc/channel-types.ts';
import { LoggerClient } from '../src/rpc/logger-client.ts';
import { clientOptions } from '../src/rpc/options.ts';
import type { Coordinator } from '../src/coordinator/coordinator.ts';
import { checkDamaged } from './check/lost-keys.ts';
import { CommittedLog, piecesOf, placeOf } from './check/logs.ts';
import type { ZoneToCheck } from './check/logs.ts';
import type { CleanRounds } from './check/scrubs.ts';
import { checkStale } from './check/stale.ts';
import { MetadataWatch } from './check/metadata.ts';
import { Violation } from './check/violation.ts';
import type { SimulatedCluster } from './cluster.ts';
import type { HistoryEvent } from './history.ts';
import type { SimulatedProcess } from './world.ts';

export class Inspection {
  /** Keys that logs name lost, once they were checked. */
  readonly lostKeys = new Set<string>();
  readonly #cluster: SimulatedCluster;
  readonly #mayDisksFail: boolean;
  readonly #coordinator: Coordinator;
  readonly #metadata: MetadataWatch;
  #process: SimulatedProcess | undefined;
  readonly #channels: RpcChannel[] = [];

  /** `mayDisksFail`: a value that no disk gives just now is `damaged`, though its key is not lost. */
  constructor(cluster: SimulatedCluster, onViolation: (violation: Violation) => void, mayDisksFail: boolean) {
    this.#cluster = cluster;
    this.#mayDisksFail = mayDisksFail;
    this.#coordinator = cluster.coordinator.client('check');
    this.#metadata = new MetadataWatch(this.#coordinator, cluster, onViolation, (shard, head, sealed) => {
      const closed = sealed.map(({ zone, length, replicas }) => `${zone}@${length}x${replicas.length}`).join();
      cluster.transcript.note('metadata', `shard ${shard}`, {
        epoch: head.epoch,
        gateway: head.owner.gateway,
        open: head.openZone.zone,
        replicas: head.openZone.replicas.length,
        sealed: closed === '' ? undefined : closed,
      });
    });
  }

  /** True when every node is up that is not gone for good, and every shard has an owner that knows it. */
  get isServing(): boolean {
    if (!this.#cluster.allUp) return false;
    const owned = new Set<number>();
    for (const gateway of this.#cluster.gateways) {
      for (const { shard, role } of gateway.status().shards) {
        if (role === 'owner' && this.#metadata.head(shard)?.owner.instance === gateway.instance) owned.add(shard);
      }
    }
    return owned.size === this.#cluster.plan.cluster.shards;
  }

  /** True when nothing is queued, no zone is being changed and every standby has applied the whole log. */
  get isStill(): boolean {
    if (!this.isServing) return false;
    const sizes = new Map<number, number>();
    for (const gateway of this.#cluster.gateways) {
      for (const line of gateway.status().shards) {
        if (line.queued > 0 || line.lag > 0 || line.changing !== '' || line.role === 'taking') return false;
        if (line.role === 'owner') sizes.set(line.shard, line.keys);
      }
    }
    return this.#cluster.gateways.every((gateway) =>
      gateway.status().shards.every(({ shard, keys }) => keys === sizes.get(shard)),
    );
  }

  /**
   * Zones that fewer loggers hold than are wanted and there. A copy that rotted cannot be made whole, so a logger with
   * one is no place for it; nor is one all of whose places are taken. Those that drain, or are lost, hold nothing.
   */
  get lackingZones(): readonly string[] {
    const { plan, loggers, reversals } = this.#cluster;
    const lacking: string[] = [];
    const leaving = this.#metadata.leaving;
    const takesNone = new Set(loggers.filter(({ zonesLeft }) => zonesLeft === 0).map(({ uuid }) => uuid));
    for (const shard of this.#metadata.shards) {
      const head = this.#metadata.head(shard);
      const open = head === undefined ? [] : [{ ...head.openZone, length: 1 }];
      for (const { zone, length, replicas } of [...this.#metadata.zones(shard), ...open]) {
        const isUseless = (logger: Uuid): boolean =>
          !replicas.includes(logger) && (takesNone.has(logger) || reversals.isRotten(logger, shard, zone));
        const there = loggers.map(({ uuid }) => uuid).filter((logger) => !isUseless(logger) && !leaving.has(logger));
        const copies = there.filter((logger) => replicas.includes(logger)).length;
        if (length > 0 && copies < Math.min(plan.cluster.replicas, there.length))
          lacking.push(`shard ${shard} zone ${zone} has ${copies} copies at ${there.length} loggers`);
      }
    }
    return lacking;
  }

  describe(): string {
    const down = this.#cluster.nodes.filter((node) => !node.isUp && !node.isGone).map(({ host }) => `${host} is down`);
    const shards = this.#cluster.gateways.flatMap((gateway) => {
      const { gateway: id, shards: lines } = gateway.status();
      return lines.map(
        (line) =>
          `gateway${id} shard ${line.shard}: ${line.role} ${line.step} queued ${line.queued} lag ${line.lag} keys ${line.keys} ${line.changing}`,
      );
    });
    return [...down, ...shards].join('; ');
  }

  /** Whether every shard's scrub has gone round without damage since the first call (check/scrubs.ts). */
  isScrubbed(rounds: CleanRounds): boolean {
    const { gateways, plan } = this.#cluster;
    return rounds.isEverywhere(
      plan.cluster.shards,
      gateways.map((gateway) => gateway.status()),
    );
  }

  /** `isScrubbed`: copies that rotted must have been made anew. @throws Violation */
  async checkLogs(events: readonly HistoryEvent[], isScrubbed: boolean): Promise<void> {
    const { record, plan, reversals } = this.#cluster;
    const log = new CommittedLog(plan.cluster.zoneSize, plan.cluster.shards);
    this.#process = this.#cluster.clientProcess(0, 'check-logs');
    const readers = await this.#openReaders(this.#process);
    for (const shard of this.#metadata.shards) {
      const zones: ZoneToCheck[] = this.#metadata
        .zones(shard)
        .map((zone) => ({ ...placeOf(record.cluster, shard, zone), ...zone, isOpen: false }));
      const head = this.#metadata.head(shard);
      const committed = Math.max(
        0,
        ...this.#cluster.gateways.flatMap((gateway) =>
          gateway
            .status()
            // An owner that has not seen its change yet speaks of the zone before.
            .shards.filter(
              (line) => line.shard === shard && line.role === 'owner' && line.openZone === head?.openZone.zone,
            )
            .map((line) => line.committedLength),
        ),
      );
      if (head !== undefined && committed > 0) {
        zones.push({
          ...placeOf(record.cluster, shard, head.openZone),
          length: committed,
          replicas: head.openZone.replicas,
          isOpen: true,
        });
      }
      const read = zones.map((zone) => {
        const sound = reversals.soundCopies(shard, zone);
        const isDemanded = (logger: Uuid): boolean => sound.includes(logger) || readers.has(logger);
        return { ...zone, replicas: isScrubbed && !zone.isOpen ? zone.replicas.filter(isDemanded) : sound };
      });
      await log.read(read, (logger, zone) => readZone(readers.get(logger), logger, zone));
    }
    log.checkAcknowledged(events);
    log.checkRefused(events);
    for (const key of log.lost.keys()) this.lostKeys.add(key);
    if (!this.#mayDisksFail) checkDamaged(events, log.lost);
    this.#cluster.coverage.count('stale read of what is older', checkStale(events, log));
  }

  async #openReaders(process: SimulatedProcess): Promise<Map<Uuid, LoggerClient>> {
    const readers = new Map<Uuid, LoggerClient>();
    for (const logger of this.#cluster.loggers) {
      const read = await openReader(process, logger.readAddress);
      this.#channels.push(read);
      readers.set(logger.uuid, new LoggerClient(logger.uuid, { read, write: undefined }));
    }
    return readers;
  }

  close(): void {
    for (const channel of this.#channels) channel.close('the check is done');
    void this.#coordinator.close();
  }
}

async function readZone(reader: LoggerClient | undefined, logger: Uuid, zone: ZoneToCheck): Promise<Uint8Array> {
  if (reader === undefined)
    throw new Violation(`S10 shard ${zone.shard} zone ${zone.zone} lists logger ${logger}, which is not there`);
  const pieces: Uint8Array[] = [];
  for (const piece of piecesOf(zone.length)) {
    const answers = await new Promise<Parameters<Parameters<LoggerClient['read']>[1]>[0]>((resolve) => {
      reader.read([{ shard: zone.shard, zone: zone.zone, ...piece }], resolve);
    });
    const answer = answers.kind === 'ok' ? answers.value[0] : undefined;
    if (answer?.kind !== 'ok') {
      throw new Violation(
        `S10 logger ${logger} does not give [0, ${zone.length}) of shard ${zone.shard} zone ${zone.zone}: ${answer?.kind === 'refused' ? answer.code : answers.kind}`,
      );
    }
    pieces.push(answer.value);
  }
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}

function openReader(process: SimulatedProcess, address: string): Promise<RpcChannel> {
  return new Promise((resolve, reject) => {
    openChannel(process.network.connect(address), process.clock, clientOptions(), {
      onOpen: resolve,
      onClose: (_channel, reason) => reject(new Error(`the check lost its connection with ${address}: ${reason}`)),
      onRequest: () => undefined,
      onNotice: () => undefined,
      onDrain: () => undefined,
    });
  });
}
