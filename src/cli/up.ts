/** `up`: a whole cluster on this machine, each node a process of its own, supervised until Ctrl-C. */
import * as path from 'node:path';
import { KvError } from '../base/errors.ts';
import { silent } from '../base/log.ts';
import type { ClusterRecord } from '../coordinator/cluster-record.ts';
import { openCluster } from '../coordinator/open-cluster.ts';
import { pause } from '../env/clock.ts';
import type { FolderLock } from '../env/files.ts';
import { lockFolder } from '../env/folder-lock.ts';
import { NetworkError } from '../env/network.ts';
import { addressesOf, formatConfig, parseConfig, parseContent, placeOf, type ClusterConfig } from './config.ts';
import { operatingError } from './errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { configName, defaultFolder } from './find-cluster.ts';
import type { CliIo } from './io.ts';
import { askGateway } from './node-calls.ts';

import { ProcessesRecorder, readProcesses } from './processes-file.ts';
import { Supervisor, type Program, type ProgramStatus, type Spawn, type SupervisorEvent } from './supervisor.ts';
import { readText, writeText } from './text-files.ts';
import { FirstStart } from './up-ready.ts';
import { UpReport } from './up-report.ts';
import { StopRequest } from './up-stop.ts';
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
/**
 * Runs until a signal. @throws KvError `folder-in-use`, `port-in-use`, `settings-differ`, `config-invalid`,
 * `coordinator-missing`, and what keeps all gateways, or all loggers, from serving
 */
export async function runUp(io: CliIo, spawn: Spawn, options: UpOptions): Promise<ExitCode> {
  const dir = path.resolve(io.folder, options.dir ?? defaultFolder);
  // From here on: as the first process of a container it would be deaf to signals that nobody listens to.
  const stop = new StopRequest(io);
  try {
    const lock = await lockCluster(io, dir);
    try {
      const report = new UpReport(io, dir, options.json ?? false);
      const plan = await prepare(io, dir, options, report, stop);
      if (plan !== undefined) await supervise(io, spawn, { ...plan, dir, options, report, stop });
      report.stopped(dir);
      return exitCodes.ok;
    } finally {
      await lock.release();
    }
  } finally {
    stop.end();
  }
}

interface Plan {
  readonly config: ClusterConfig;
  readonly cluster: ClusterRecord;
}

/** Undefined: it was asked to stop meanwhile. */
async function prepare(
  io: CliIo,
  dir: string,
  options: UpOptions,
  report: UpReport,
  stop: StopRequest,
): Promise<Plan | undefined> {
  const { config, isNew } = await prepareConfig(io, path.join(dir, configName), options, report);
  await freePorts(io, config, { dir, isNew, stop });
  if (stop.isRequested) return undefined;
  const cluster = await createCluster(io, config);
  return stop.isRequested ? undefined : { config, cluster };
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

async function prepareConfig(
  io: CliIo,
  file: string,
  options: UpOptions,
  report: UpReport,
): Promise<{ readonly config: ClusterConfig; readonly isNew: boolean }> {
  const { files } = io.environment;
  const text = await readText(files, file);
  const isNew = text === undefined;
  const wanted = isNew ? newConfig(options) : changedConfig(options, parseConfig(text, file), parseContent(text, file));
  if (wanted === undefined) return { config: parseConfig(text ?? '', file), isNew };
  const fresh = formatConfig(wanted);
  const config = parseConfig(fresh, file);
  await writeText(files, file, fresh);
  if (!isNew) report.configChanged(file);
  return { config, isNew };
}

interface PortsOptions {
  readonly dir: string;
  readonly isNew: boolean;
  readonly stop: StopRequest;
}

/**
 * Waits until all ports are free, so that the error names those that are not before anything starts. A cluster that
 * exists starts without the nodes whose ports are taken, as long as a gateway and a logger are left.
 */
async function freePorts(io: CliIo, config: ClusterConfig, { dir, isNew, stop }: PortsOptions): Promise<void> {
  const leftovers = (await readProcesses(io.environment.files, dir))?.processes.some(({ pid }) => pid !== 0) ?? false;
  const { clock } = io.environment;
  const start = clock.now();
  while (!stop.isRequested) {
    const taken = await takenPorts(io, config);
    if (taken.length === 0) return;
    if (!leftovers || clock.now() - start > leftoverWaitMs) {
      if (!isNew && leavesEnough(config, taken)) return;
      const list = taken.map(({ address, what }) => `${address} (${what})`).join(', ');
      throw new KvError(
        'port-in-use',
        `${list}: in use by another process; allowed: other ports with --base-port (and another --dir)`,
      );
    }
    await pause(clock, portRetryMs);
  }
}

type Port = ReturnType<typeof addressesOf>[number];

function leavesEnough(config: ClusterConfig, taken: readonly Port[]): boolean {
  const nodes = [...new Set(taken.map(({ place }) => place))];
  const countOf = (kind: 'gateways' | 'loggers'): number =>
    nodes.filter((place) => place.startsWith(`$.${kind}`)).length;
  return countOf('gateways') < config.gateways.length && countOf('loggers') < config.loggers.length;
}

async function takenPorts(io: CliIo, config: ClusterConfig): Promise<readonly Port[]> {
  const taken: Port[] = [];
  for (const port of addressesOf(config)) {
    try {
      const listener = await io.environment.network.listen(port.address, (connection) => connection.destroy());
      await listener.close();
    } catch (error) {
      if (!(error instanceof NetworkError) || error.code !== 'address-in-use') throw error;
      taken.push(port);
    }
  }
  return taken;
}

/** The cluster's record, made here before any node starts, so that a mistake is told once and at once. */
async function createCluster(io: CliIo, config: ClusterConfig): Promise<ClusterRecord> {
  const { coordinator, cluster } = await openCluster(io.environment, placeOf(config), silent);
  await coordinator.close();
  return cluster;
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

interface Supervision extends Plan {
  readonly dir: string;
  readonly options: UpOptions;
  readonly report: UpReport;
  readonly stop: StopRequest;
}

/** Runs the processes until it is asked to stop and they have. @throws KvError why they are of no use */
async function supervise(io: CliIo, spawn: Spawn, { config, cluster, dir, options, report, stop }: Supervision) {
  const { clock, files } = io.environment;
  const start = clock.now();
  const programs = programsOf(config, dir);
  const starting = new FirstStart(clock, () => supervisor.status());
  const content = () => ({ supervisor: isOver ? 0 : io.pid, processes: supervisor.status() });
  const record = new ProcessesRecorder({ files, clock, dir, content, onTrouble: (why) => report.fileTrouble(why) });
  const onEvent = (event: SupervisorEvent): void => {
    report.event(event);
    record.changed();
    starting.look();
  };
  let isOver = false;
  const supervisor = new Supervisor({ programs, spawn, clock, restart: options.restart, onEvent });
  stop.onKill(() => supervisor.killAll());
  try {
    report.starting(config);
    supervisor.start();
    const served = starting.over.then(() => unservedShards(io, config, () => supervisor.status()));
    const unserved = await Promise.race([served, stop.requested.then(() => undefined)]);
    if (unserved !== undefined) report.ready(config, cluster, supervisor.status(), clock.now() - start);
    if (unserved !== undefined && unserved.length > 0) report.unserved(unserved);
    await stop.requested;
    report.stopping();
  } finally {
    await supervisor.stop();
    isOver = true;
    await record.finish();
  }
}

/** Waits until each shard has an owner that serves; those that have none after `shardWaitMs`. */
async function unservedShards(
  io: CliIo,
  config: ClusterConfig,
  statuses: () => readonly ProgramStatus[],
): Promise<readonly number[]> {
  const { clock } = io.environment;
  const start = clock.now();
  for (;;) {
    // Behind the address of a gateway that could not start another program may listen, and answer nothing.
    const serving = new Set(statuses().flatMap(({ name, state }) => (state === 'serving' ? [name] : [])));
    const asked = config.gateways.filter(({ id }) => serving.has(`gateway ${id}`));
    const lists = await Promise.all(asked.map(({ clientAddress }) => shardsServedBy(io, clientAddress)));
    const served = new Set(lists.flat());
    const missing = Array.from({ length: config.shards }, (_, shard) => shard).filter((shard) => !served.has(shard));
    if (missing.length === 0 || clock.now() - start > shardWaitMs) return missing;
    await pause(clock, shardPollMs);
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
