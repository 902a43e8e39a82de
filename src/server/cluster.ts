/** A whole cluster inside one process: for tests and for programs that bring their own store. */
import * as path from 'node:path';
import { silent, type Log } from '../base/log.ts';
import { clusterSettings } from '../base/settings.ts';
import type { ClusterRecord } from '../coordinator/cluster-record.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { joinFolder, openCluster } from '../coordinator/open-cluster.ts';
import { BoundedLog } from '../env/bounded-log.ts';
import type { Environment } from '../env/environment.ts';
import type { Address } from '../env/network.ts';
import { realEnvironment } from '../env/real/environment.ts';
import { startGateway } from '../gateway/gateway.ts';
import type { GatewayNode } from '../gateway/options.ts';
import { startLogger, type LoggerDeviceOptions, type LoggerNode } from '../logger/logger.ts';
import { checkClusterOptions } from './options.ts';

export interface ClusterOptions {
  /** Where everything is kept: `coordinator.sqlite`, `gateway-<id>`, `logger-<id>`. Made when missing. */
  readonly folder: string;
  /** 1..128. Default 1. */
  readonly gateways?: number;
  /** 1..128. Default 1. */
  readonly loggers?: number;
  /** Fixed for ever. Default: as many as gateways. */
  readonly shards?: number;
  /** Bytes; fixed for ever. Default 256 MiB. (Defaults and ranges of these settings: base/settings.ts.) */
  readonly zoneSize?: number;
  /** Copies of everything. Default 3, or all loggers if there are fewer. */
  readonly replicas?: number;
  /** Default 1. */
  readonly minReplicas?: number;
  /** Bytes of each gateway's value cache. Default 64 MiB. */
  readonly valueCacheBytes?: number;
  /** Default 64 MiB of a shard's log. */
  readonly snapshotEveryBytes?: number;
  /** Default 2,000. */
  readonly loggerTimeoutMs?: number;
  /** Default 500, at most `loggerTimeoutMs`: a replica that owes for so long what another has answered is left. */
  readonly loggerSlowMs?: number;
  /** Default 30,000; 0: for ever. */
  readonly firstHandWaitMs?: number;
  /** Default 600,000. */
  readonly repairDelayMs?: number;
  /** Default 16 MiB a second. */
  readonly repairBytesPerSecond?: number;
  /** Default 4 MiB a second; 0: copies are not scrubbed. */
  readonly scrubBytesPerSecond?: number;
  /** Default 86,400,000: a day. */
  readonly scrubEveryMs?: number;
  /** Defaults 200 and 500: bounds of the silence after which another gateway takes over. */
  readonly suspicionLeastMs?: number;
  readonly suspicionMostMs?: number;
  /** Device of each logger. Default: 64 GiB, writes of whole sectors of 512 bytes. */
  readonly device?: LoggerDeviceOptions;
  /**
   * Nodes listen at this host, on ports that are free. Default 127.0.0.1. Other machines need no password: keep it on
   * loopback.
   */
  readonly host?: string;
  /** Default: none. It gets a bounded number of lines: repeated ones are counted (`repeated`). */
  readonly log?: Log;
  /** Default: the real one. */
  readonly environment?: Environment;
  /** Default: `coordinator.sqlite` in the folder. One that is given is not closed. */
  readonly coordinator?: Coordinator;
}

export interface Cluster extends AsyncDisposable {
  readonly record: ClusterRecord;
  /** Client ports, for `connect`. */
  readonly endpoints: readonly Address[];
  readonly gateways: readonly GatewayNode[];
  readonly loggers: readonly LoggerNode[];
  /** Gateways first, then loggers. Idempotent. */
  close(): Promise<void>;
}

type World = Environment & { readonly coordinator: Coordinator; readonly log: Log };

/** What of a cluster runs so far; `close` undoes it in reverse. */
interface Parts {
  readonly loggers: LoggerNode[];
  readonly gateways: GatewayNode[];
}

/**
 * Starts the nodes and resolves when they listen; shards are served a moment later, and requests wait for that.
 * @throws KvError `bad-argument`, `settings-differ`, `coordinator-missing`, and the errors of `startLogger` and
 * `startGateway`
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  checkClusterOptions(options);
  const environment = options.environment ?? realEnvironment();
  await environment.files.makeFolder(options.folder);
  const bounded = new BoundedLog(environment.clock, options.log ?? silent);
  const { log } = bounded;
  const place = {
    dir: options.folder,
    file: path.join(options.folder, 'coordinator.sqlite'),
    shardCount: options.shards ?? options.gateways ?? 1,
    zoneSize: options.zoneSize ?? clusterSettings.zoneSize.default,
  };
  const { coordinator, cluster: record } =
    options.coordinator === undefined
      ? await openCluster(environment, place, log)
      : await joinFolder(environment, place, options.coordinator);
  const world: World = { ...environment, log, coordinator };
  const parts: Parts = { loggers: [], gateways: [] };
  const close = closing(parts, options.coordinator === undefined ? coordinator : undefined, bounded);
  try {
    await startNodes(parts, record, options, world);
    return {
      record,
      ...parts,
      endpoints: parts.gateways.map(({ clientAddress }) => clientAddress),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startNodes(parts: Parts, record: ClusterRecord, options: ClusterOptions, world: World): Promise<void> {
  const anyPort = `${options.host ?? '127.0.0.1'}:0`;
  const { folder, gateways = 1, loggers = 1 } = options;
  for (let id = 0; id < loggers; id += 1) {
    const identity = {
      id,
      folder: path.join(folder, `logger-${id}`),
      cluster: record.cluster,
      zoneSize: record.zoneSize,
    };
    parts.loggers.push(
      await startLogger(
        { ...identity, readAddress: anyPort, writeAddress: anyPort, device: options.device ?? defaultDevice },
        world,
      ),
    );
  }
  for (let id = 0; id < gateways; id += 1) {
    const identity = { id, gatewayCount: gateways, folder: path.join(folder, `gateway-${id}`), cluster: record };
    parts.gateways.push(
      await startGateway(
        { ...identity, clientAddress: anyPort, peerAddress: anyPort, ...gatewaySettings(options) },
        world,
      ),
    );
  }
}

function gatewaySettings(options: ClusterOptions) {
  const {
    replicas = clusterSettings.replicas.default,
    minReplicas = clusterSettings.minReplicas.default,
    valueCacheBytes = clusterSettings.valueCacheBytes.default,
    snapshotEveryBytes = clusterSettings.snapshotEveryBytes.default,
    loggerTimeoutMs = clusterSettings.loggerTimeoutMs.default,
    loggerSlowMs = clusterSettings.loggerSlowMs.default,
    firstHandWaitMs = clusterSettings.firstHandWaitMs.default,
    repairDelayMs = clusterSettings.repairDelayMs.default,
    repairBytesPerSecond = clusterSettings.repairBytesPerSecond.default,
    scrubBytesPerSecond = clusterSettings.scrubBytesPerSecond.default,
    scrubEveryMs = clusterSettings.scrubEveryMs.default,
    suspicionLeastMs = clusterSettings.suspicionLeastMs.default,
    suspicionMostMs = clusterSettings.suspicionMostMs.default,
  } = options;
  // A start waits for as many loggers as a zone shall have replicas: not for some that don't exist.
  const existing = Math.min(replicas, options.loggers ?? 1);
  const copies = { replicas: existing, minReplicas, repairDelayMs, repairBytesPerSecond };
  const times = { loggerTimeoutMs, loggerSlowMs, firstHandWaitMs, suspicionLeastMs, suspicionMostMs };
  return { valueCacheBytes, snapshotEveryBytes, ...copies, scrubBytesPerSecond, scrubEveryMs, ...times };
}

const defaultDevice: LoggerDeviceOptions = {
  capacityBytes: clusterSettings['device.capacityBytes'].default,
  alignment: clusterSettings['device.alignment'].default,
};

function closing(parts: Parts, coordinator: Coordinator | undefined, log: BoundedLog): () => Promise<void> {
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await Promise.all(parts.gateways.map((gateway) => gateway.close()));
    await Promise.all(parts.loggers.map((logger) => logger.close()));
    await coordinator?.close();
    log.close();
  };
  return () => (closed ??= close());
}
