/** `gateway <id>` and `logger <id>`: one node as one process, from the config file, until it is told to stop. */
import * as path from 'node:path';
import { KvError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { times } from '../base/times.ts';
import type { ClusterRecord } from '../coordinator/cluster-record.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { openCluster } from '../coordinator/open-cluster.ts';
import { BoundedLog } from '../env/bounded-log.ts';
import { startGateway } from '../gateway/gateway.ts';
import { startLogger } from '../logger/logger.ts';
import { addressesOf, placeOf, requireLoopback, type ClusterConfig } from './config.ts';
import { operatingError } from './errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { readConfig } from './find-cluster.ts';
import type { CliIo } from './io.ts';
import { textLog } from './text-log.ts';

export interface NodeOptions {
  readonly config: string;
  readonly insecure?: boolean | undefined;
  readonly verbose?: boolean | undefined;
}

interface RunningNode {
  /** For people: where it listens. */
  readonly serves: string;
  /** Called once, if the node can never again do all it is for (S17). */
  onFailed(callback: (error: Error) => void): void;
  /** Gives what it owns to the others, which go on. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

interface NodeWorld {
  readonly config: ClusterConfig;
  readonly cluster: ClusterRecord;
  readonly coordinator: Coordinator;
  readonly log: Log;
  readonly io: CliIo;
}

export type NodeKind = 'gateway' | 'logger';

/** Ends when the node was asked to stop and has. @throws KvError and the errors of `operatingError` */
export async function runNode(io: CliIo, kind: NodeKind, id: number, options: NodeOptions): Promise<ExitCode> {
  const stop = stopRequest(io);
  const bounded = new BoundedLog(io.environment.clock, textLog(io.err, io.environment.clock, options.verbose));
  const { log } = bounded;
  try {
    const config = await readConfig(io, options.config);
    checkId(config, kind, id);
    requireLoopback(
      addressesOf(config).map(({ address }) => address),
      options.insecure ?? false,
    );
    await io.environment.files.makeFolder(config.dir);
    const { coordinator, cluster } = await openCluster(io.environment, placeOf(config), log);
    try {
      const node = await startNode(kind, id, { config, cluster, coordinator, log, io });
      log('info', `${kind} serves`, { id, serves: node.serves, cluster: cluster.cluster });
      io.supervisor?.send({ kind: 'ready', serves: node.serves });
      restartAfterFailure(io, node, log, stop);
      const { why, isWhole } = await stop.requested;
      log('info', `${kind} stops`, { id, why });
      if (!isWhole) await node.leave();
      await node.close();
    } finally {
      await coordinator.close();
    }
    return stop.hasFailed() ? exitCodes.failed : exitCodes.ok;
  } catch (error) {
    const known = operatingError(error);
    if (known !== undefined) io.supervisor?.send({ kind: 'failed', code: known.code, message: known.message });
    throw error;
  } finally {
    bounded.close();
    stop.end();
  }
}

function checkId(config: ClusterConfig, kind: NodeKind, id: number): void {
  const count = kind === 'gateway' ? config.gateways.length : config.loggers.length;
  if (id < count) return;
  throw new KvError('unknown-id', `${config.file}: there is no ${kind} ${id}; allowed: 0 to ${count - 1}`);
}

function startNode(kind: NodeKind, id: number, world: NodeWorld): Promise<RunningNode> {
  return kind === 'gateway' ? gateway(id, world) : logger(id, world);
}

async function gateway(id: number, { config, cluster, coordinator, log, io }: NodeWorld): Promise<RunningNode> {
  const { peerAddress, clientAddress } = portsOf(config.gateways, id);
  const folder = path.join(config.dir, `gateway-${id}`);
  const { minReplicas, valueCacheBytes, snapshotEveryBytes, loggerTimeoutMs, loggerSlowMs, firstHandWaitMs } = config;
  const { repairDelayMs, repairBytesPerSecond, scrubBytesPerSecond, scrubEveryMs } = config;
  const { suspicionLeastMs, suspicionMostMs } = config;
  // A start waits for as many loggers as a zone shall have replicas: not for some that don't exist.
  const replicas = Math.min(config.replicas, config.loggers.length);
  const node = await startGateway(
    {
      id,
      gatewayCount: config.gateways.length,
      folder,
      cluster,
      clientAddress,
      peerAddress,
      replicas,
      minReplicas,
      valueCacheBytes,
      snapshotEveryBytes,
      loggerTimeoutMs,
      loggerSlowMs,
      firstHandWaitMs,
      repairDelayMs,
      repairBytesPerSecond,
      scrubBytesPerSecond,
      scrubEveryMs,
      suspicionLeastMs,
      suspicionMostMs,
    },
    { ...io.environment, coordinator, log },
  );
  return {
    serves: `clients ${node.clientAddress}, peers ${node.peerAddress}`,
    onFailed: () => undefined,
    leave: () => node.leave(),
    close: () => node.close(),
  };
}

async function logger(id: number, { config, cluster, coordinator, log, io }: NodeWorld): Promise<RunningNode> {
  const { readAddress, writeAddress } = portsOf(config.loggers, id);
  const folder = path.join(config.dir, `logger-${id}`);
  const node = await startLogger(
    {
      id,
      folder,
      cluster: cluster.cluster,
      zoneSize: cluster.zoneSize,
      readAddress,
      writeAddress,
      device: config.device,
    },
    { ...io.environment, coordinator, log },
  );
  return {
    serves: `reads ${node.readAddress}, writes ${node.writeAddress}`,
    onFailed: (callback) => node.onFailed(callback),
    leave: () => Promise.resolve(),
    close: () => node.close(),
  };
}

function portsOf<T extends { readonly id: number }>(list: readonly T[], id: number): T {
  const ports = list[id];
  if (ports === undefined) throw new KvError('unknown-id', `there is no node ${id}`);
  return ports;
}

/** Why a node stops. `isWhole`: the whole cluster does, and nobody is there to take anything over. */
interface Stop {
  readonly why: string;
  readonly isWhole: boolean;
}

interface StopRequest {
  readonly requested: Promise<Stop>;
  readonly hasFailed: () => boolean;
  readonly fail: (why: string) => void;
  readonly end: () => void;
}

/** A node that nobody would start again stays: it still answers reads. */
function restartAfterFailure(io: CliIo, node: RunningNode, log: Log, stop: StopRequest): void {
  node.onFailed((error) => {
    log('error', 'the device failed; only reads are answered until a restart', { reason: error.message });
    if (io.supervisor !== undefined)
      io.environment.clock.after(times.failedServeMs, () => stop.fail('the device failed'));
  });
}

/** Time in which the supervisor says that it stops, if it got the signal that this node got. */
const supervisorMs = 500;

/**
 * Who may end this node: its supervisor, or a signal. A supervised node leaves signals to its supervisor, which gets
 * them as well (a terminal and many init systems tell all processes) and stops the nodes in order. A SIGTERM that only
 * this node got ends it.
 */
function stopRequest(io: CliIo): StopRequest {
  const { supervisor } = io;
  let settle: (why: string, isWhole?: boolean) => void = () => undefined;
  let failed = false;
  const requested = new Promise<Stop>((resolve) => {
    settle = (why, isWhole = false) => resolve({ why, isWhole });
  });
  let isInOrder = false;
  supervisor?.onStop((why) => settle(why, true));
  supervisor?.onStopping(() => {
    isInOrder = true;
  });
  const end = io.onSignal((name) => {
    if (supervisor === undefined) settle(name);
    else if (name === 'SIGTERM') io.environment.clock.after(supervisorMs, () => (isInOrder ? undefined : settle(name)));
  });
  const fail = (why: string): void => {
    failed = true;
    settle(why);
  };
  return { requested, hasFailed: () => failed, fail, end };
}
