/** `up`: a whole cluster on this machine, each node a process of its own, supervised until Ctrl-C. */
import * as path from 'node:path';
import { KvError } from '../base/errors.ts';
import { silent } from '../base/log.ts';
import { joinCluster, type ClusterRecord } from '../coordinator/cluster-record.ts';
import { openSqliteCoordinator } from '../coordinator/sqlite/sqlite.ts';
import type { FolderLock } from '../env/files.ts';
import { lockFolder } from '../env/folder-lock.ts';
import { NetworkError } from '../env/network.ts';
import { addressesOf, formatConfig, parseConfig, parseContent, type ClusterConfig } from './config.ts';
import { operatingError } from './errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { configName, defaultFolder } from './find-cluster.ts';
import type { CliIo } from './io.ts';
import { askGateway } from './node-calls.ts';
import { readProcesses, writeProcesses } from './processes-file.ts';
import { Supervisor, type Program, type Spawn } from './supervisor.ts';
import { readText, writeText } from './text-files.ts';
import { UpReport } from './up-report.ts';
import { changedConfig, newConfig, type UpSettings } from './up-plan.ts';

export interface UpOptions extends UpSettings {
  readonly dir?: string | undefined;
  /** False: what dies stays dead. */
  readonly restart: boolean;
  readonly json?: boolean | undefined;
}

/** How long the nodes of a supervisor that was killed may take to notice and to give their ports back. */
const leftoverWaitMs = 5_000;
const portRetryMs = 100;
/** After a crash of everything, take-overs wait some seconds for all loggers of a zone. */
const shardWaitMs = 30_000;
const shardPollMs = 50;
/** A second signal within this time is the same Ctrl-C, told twice (npm passes on what the terminal sent to all). */
const sameSignalMs = 500;

/**
 * Runs until a signal. @throws KvError `folder-in-use`, `port-in-use`, `settings-differ`, `config-invalid` and what
 * keeps a node from serving
 */
export async function runUp(io: CliIo, spawn: Spawn, options: UpOptions): Promise<ExitCode> {
  const dir = path.resolve(io.folder, options.dir ?? defaultFolder);
  const lock = await lockCluster(io, dir);
  try {
    const report = new UpReport(io, dir, options.json ?? false);
    const config = await prepareConfig(io, path.join(dir, configName), options, report);
    await freePorts(io, config, dir);
    const cluster = await createCluster(io, config);
    return await supervise(io, spawn, { config, cluster, dir, options, report });
  } finally {
    await lock.release();
  }
}

async function lockCluster(io: CliIo, dir: string): Promise<FolderLock> {
  try {
    return await lockFolder(io.environment.files, dir);
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== 'folder-in-use') throw error;
    const holder = await readProcesses(io.environment.files, dir);
    const who = holder === undefined ? '' : ` (pid ${holder.supervisor})`;
    throw new KvError(
      'folder-in-use',
      `${dir}: another \`up\`${who} runs the cluster in this folder; stop it, or use another --dir`,
      {
        cause: error,
      },
    );
  }
}

async function prepareConfig(io: CliIo, file: string, options: UpOptions, report: UpReport): Promise<ClusterConfig> {
  const { files } = io.environment;
  const text = await readText(files, file);
  const wanted =
    text === undefined ? newConfig(options) : changedConfig(options, parseConfig(text, file), parseContent(text, file));
  if (wanted === undefined) return parseConfig(text ?? '', file);
  const fresh = formatConfig(wanted);
  const config = parseConfig(fresh, file);
  await writeText(files, file, fresh);
  if (text !== undefined) report.configChanged(file);
  return config;
}

/** Makes sure that all ports are free before anything starts, so that the error names them all. */
async function freePorts(io: CliIo, config: ClusterConfig, dir: string): Promise<void> {
  const leftovers = (await readProcesses(io.environment.files, dir))?.processes.some(({ pid }) => pid !== 0) ?? false;
  const { clock } = io.environment;
  const start = clock.now();
  for (;;) {
    const taken = await takenPorts(io, config);
    if (taken.length === 0) return;
    if (!leftovers || clock.now() - start > leftoverWaitMs) {
      throw new KvError(
        'port-in-use',
        `${taken.join(', ')}: in use by another process; allowed: other ports with --base-port (and another --dir)`,
      );
    }
    await new Promise<void>((resolve) => clock.after(portRetryMs, resolve));
  }
}

async function takenPorts(io: CliIo, config: ClusterConfig): Promise<readonly string[]> {
  const taken: string[] = [];
  for (const { address, what } of addressesOf(config)) {
    try {
      const listener = await io.environment.network.listen(address, (connection) => connection.destroy());
      await listener.close();
    } catch (error) {
      if (!(error instanceof NetworkError) || error.code !== 'address-in-use') throw error;
      taken.push(`${address} (${what})`);
    }
  }
  return taken;
}

/** The cluster's record, made here before any node starts, so that a mistake is told once and at once. */
async function createCluster(io: CliIo, config: ClusterConfig): Promise<ClusterRecord> {
  const coordinator = await openSqliteCoordinator({
    file: config.coordinator.file,
    clock: io.environment.clock,
    log: silent,
  });
  try {
    return await joinCluster(coordinator, io.environment.random, {
      shardCount: config.shards,
      zoneSize: config.zoneSize,
    });
  } finally {
    await coordinator.close();
  }
}

export function programsOf(config: ClusterConfig, dir: string): readonly Program[] {
  const program = (kind: 'gateway' | 'logger', id: number): Program => ({
    name: `${kind} ${id}`,
    args: [kind, String(id), '--config', config.file],
    log: path.join(dir, `${kind}-${id}.log`),
    // Gateways first: they still need the loggers for what they finish.
    stopGroup: kind === 'gateway' ? 0 : 1,
  });
  return [
    ...config.loggers.map(({ id }) => program('logger', id)),
    ...config.gateways.map(({ id }) => program('gateway', id)),
  ];
}

interface Supervision {
  readonly config: ClusterConfig;
  readonly cluster: ClusterRecord;
  readonly dir: string;
  readonly options: UpOptions;
  readonly report: UpReport;
}

async function supervise(
  io: CliIo,
  spawn: Spawn,
  { config, cluster, dir, options, report }: Supervision,
): Promise<ExitCode> {
  const { clock, files } = io.environment;
  const start = clock.now();
  const stop = new StopRequest(io, () => supervisor.killAll());
  const record = processesRecorder(io, dir, () => supervisor.status());
  const supervisor = new Supervisor({
    programs: programsOf(config, dir),
    spawn,
    clock,
    restart: options.restart,
    onEvent: (event) => {
      report.event(event);
      record();
    },
  });
  try {
    report.starting(config);
    const served = supervisor.start().then(() => unservedShards(io, config));
    const missing = await Promise.race([served, stop.requested.then(() => undefined)]);
    if (missing !== undefined) report.ready(config, cluster, supervisor.status(), clock.now() - start);
    if (missing !== undefined && missing.length > 0) report.unserved(missing);
    await stop.requested;
    report.stopping();
    await supervisor.stop();
    report.stopped(dir);
  } finally {
    stop.end();
    await supervisor.stop();
    await writeProcesses(files, dir, { supervisor: 0, processes: supervisor.status() });
  }
  return exitCodes.ok;
}

/** Waits until each shard has an owner that serves; those that have none after `shardWaitMs`. */
async function unservedShards(io: CliIo, config: ClusterConfig): Promise<readonly number[]> {
  const { clock } = io.environment;
  const start = clock.now();
  for (;;) {
    const served = new Set(
      (await Promise.all(config.gateways.map(({ clientAddress }) => shardsServedBy(io, clientAddress)))).flat(),
    );
    const missing = Array.from({ length: config.shards }, (_, shard) => shard).filter((shard) => !served.has(shard));
    if (missing.length === 0 || clock.now() - start > shardWaitMs) return missing;
    await new Promise<void>((resolve) => clock.after(shardPollMs, resolve));
  }
}

async function shardsServedBy(io: CliIo, address: string): Promise<readonly number[]> {
  try {
    const { gateway, shards } = await askGateway(io.environment, address, shardWaitMs);
    return shards.filter(({ owner, role }) => owner === gateway && role === 'owner').map(({ shard }) => shard);
  } catch (error) {
    if (operatingError(error) === undefined) throw error;
    return [];
  }
}

/** Writes DIR/processes.json after changes, one write at a time, the newest state last. */
function processesRecorder(io: CliIo, dir: string, status: () => ReturnType<Supervisor['status']>): () => void {
  let isWriting = false;
  let isStale = false;
  const write = async (): Promise<void> => {
    isWriting = true;
    while (isStale) {
      isStale = false;
      await writeProcesses(io.environment.files, dir, { supervisor: io.pid, processes: status() });
    }
    isWriting = false;
  };
  return () => {
    isStale = true;
    if (!isWriting)
      write().catch((error: unknown) =>
        io.err.write(`kv-filelog: ${dir}: cannot write processes.json: ${String(error)}\n`),
      );
  };
}

/** The first signal asks to stop; the next one, when it is not the same Ctrl-C told twice, kills. */
class StopRequest {
  readonly requested: Promise<void>;
  readonly end: () => void;

  constructor(io: CliIo, kill: () => void) {
    let firstAt: number | undefined;
    let request: () => void = () => undefined;
    this.requested = new Promise((resolve) => {
      request = resolve;
    });
    this.end = io.onSignal(() => {
      const now = io.environment.clock.now();
      if (firstAt === undefined) {
        firstAt = now;
        request();
      } else if (now - firstAt > sameSignalMs) {
        kill();
      }
    });
  }
}
