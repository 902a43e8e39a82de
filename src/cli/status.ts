/** `status`: the cluster as its gateways, loggers and `up` see it. */
import { KvError } from '../base/errors.ts';
import type { LoggerStatus } from '../codec/logger-protocol.ts';
import type { GatewayLine, GatewayStatus, ShardLine } from '../codec/node-status.ts';
import type { Address } from '../env/network.ts';
import { operatingError } from './errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { ClusterConfig } from './config.ts';
import { findCluster, type FoundCluster } from './find-cluster.ts';
import { programName, type CliIo } from './io.ts';
import type { RequestOptions } from './kv-commands.ts';
import { askGateway, askLogger, type LoggerView } from './node-calls.ts';
import { readProcesses } from './processes-file.ts';
import { scrubText } from './scrub-text.ts';
import { lineOf, loggerNumber, planOf, waitsOf } from './status-plans.ts';
import type { ProgramStatus } from './supervisor.ts';
import { formatBytes, formatCount, formatTable } from './table.ts';

/** A node's answer, or why there is none. */
export type Asked<T> =
  | { readonly address: Address; readonly ok: true; readonly value: T }
  | { readonly address: Address; readonly ok: false; readonly reason: string };

/** Number of a node in the config, as `up`, `inspect` and the folders have it; undefined: nobody knows it. */
interface Numbered {
  readonly number: number | undefined;
}

export interface ClusterView {
  /** In the order of their numbers. */
  readonly gateways: readonly (Asked<GatewayStatus> & Numbered)[];
  readonly loggers: readonly (Asked<LoggerView> & { readonly number: number })[];
  readonly processes: readonly ProgramStatus[];
}

/**
 * Exit code 1 when a node does not answer that is not a lost logger, or a shard has no owner. @throws KvError
 * `unavailable` when no gateway answers
 */
export async function status(io: CliIo, options: RequestOptions): Promise<ExitCode> {
  const view = await viewCluster(io, await findCluster(io, options), options.timeout);
  const shards = shardsOf(view);
  io.out.write(
    options.json === true ? `${JSON.stringify(jsonOf(view, shards))}\n` : `${textOf(view, shards, programName(io))}\n`,
  );
  const loggers = view.loggers.filter(({ number }) => lineOf(view, number)?.standing !== 'lost');
  const isWhole = [...view.gateways, ...loggers].every(({ ok }) => ok) && shards.every(({ owner }) => owner >= 0);
  return isWhole ? exitCodes.ok : exitCodes.failed;
}

/** Asks every gateway and logger known, all at once. @throws KvError `unavailable` when no gateway answers */
export async function viewCluster(
  io: CliIo,
  { endpoints, config }: FoundCluster,
  timeoutMs: number,
): Promise<ClusterView> {
  const { environment } = io;
  const gateways = await Promise.all(
    endpoints.map((address) => asked(address, askGateway(environment, address, timeoutMs))),
  );
  const first = gateways.find((answer) => answer.ok);
  if (first === undefined || !first.ok) {
    throw new KvError(
      'unavailable',
      `no gateway answers: ${gateways.map((answer) => (answer.ok ? '' : answer.reason)).join('; ')}`,
    );
  }
  const known = first.value;
  const others = known.gateways
    .map(({ clientAddress }) => clientAddress)
    .filter((address) => !endpoints.includes(address));
  const more = await Promise.all(others.map((address) => asked(address, askGateway(environment, address, timeoutMs))));
  const listed = config?.loggers.map(({ id, readAddress }) => ({ number: id, readAddress })) ?? known.loggers;
  const loggers = await Promise.all(
    listed.map(async ({ number, readAddress }) => ({
      number,
      ...(await asked(readAddress, askLogger(environment, readAddress, timeoutMs))),
    })),
  );
  const processes = config === undefined ? undefined : await readProcesses(environment.files, config.dir);
  return {
    gateways: [...gateways, ...more]
      .map((answer) => ({ number: gatewayNumber(answer, known, config), ...answer }))
      .sort(byNumber),
    loggers: loggers.sort(byNumber),
    processes: processes?.processes ?? [],
  };
}

/** As the gateway itself says; of one that does not answer as another one, or the config, has its address. */
function gatewayNumber(
  answer: Asked<GatewayStatus>,
  known: GatewayStatus,
  config: ClusterConfig | undefined,
): number | undefined {
  if (answer.ok) return answer.value.gateway;
  const line = known.gateways.find(({ clientAddress }) => clientAddress === answer.address);
  return line?.number ?? config?.gateways.find(({ clientAddress }) => clientAddress === answer.address)?.id;
}

function byNumber(a: Numbered, b: Numbered): number {
  return (a.number ?? Number.MAX_SAFE_INTEGER) - (b.number ?? Number.MAX_SAFE_INTEGER);
}

async function asked<T>(address: Address, answer: Promise<T>): Promise<Asked<T>> {
  try {
    return { address, ok: true, value: await answer };
  } catch (error) {
    const known = operatingError(error);
    if (known === undefined) throw error;
    return { address, ok: false, reason: known.message };
  }
}

/** Each shard as its owner sees it; as anybody does when the owner does not answer. */
function shardsOf({ gateways }: ClusterView): readonly ShardLine[] {
  const views = gateways.flatMap((answer) => (answer.ok ? [answer.value] : []));
  const best = new Map<number, ShardLine>();
  for (const view of views) {
    for (const shard of view.shards)
      if (!best.has(shard.shard) || shard.owner === view.gateway) best.set(shard.shard, shard);
  }
  return [...best.values()].sort((a, b) => a.shard - b.shard);
}

function jsonOf(view: ClusterView, shards: readonly ShardLine[]): object {
  const some = view.gateways.find((answer) => answer.ok);
  return {
    cluster: some?.ok === true ? some.value.cluster : undefined,
    zoneSize: some?.ok === true ? some.value.zoneSize : undefined,
    gateways: view.gateways.map((answer) =>
      answer.ok
        ? {
            address: answer.address,
            ok: true,
            gateway: answer.value.gateway,
            node: answer.value.node,
            connections: answer.value.connections,
            peers: answer.value.gateways,
          }
        : answer,
    ),
    loggers: view.loggers.map((answer) =>
      answer.ok
        ? { number: answer.number, address: answer.address, ok: true, ...answer.value.status, ...planIn(view, answer) }
        : { ...answer, ...planIn(view, answer) },
    ),
    shards,
    processes: view.processes,
  };
}

/** `standing`, and in how many zones it is listed; of one that no gateway knows nothing. */
function planIn(view: ClusterView, { number }: { readonly number: number }): object {
  const line = lineOf(view, number);
  return line === undefined ? {} : { standing: line.standing, listedZones: line.listedZones };
}

function textOf(view: ClusterView, shards: readonly ShardLine[], name: string): string {
  const some = view.gateways.find((answer) => answer.ok);
  const head =
    some?.ok === true
      ? `cluster ${some.value.cluster}, zones of ${formatBytes(some.value.zoneSize)}, ${formatCount(totalKeys(shards))} keys`
      : '';
  const tables = [head, gatewayTable(view), loggerTable(view), shardTable(view, shards)];
  return [...tables, ...waitsOf(view, shards, name)].join('\n\n');
}

function totalKeys(shards: readonly ShardLine[]): number {
  return shards.reduce((sum, { keys }) => sum + keys, 0);
}

function processOf(view: ClusterView, name: string): readonly [pid: string, restarts: string] {
  const found = view.processes.find((process) => process.name === name);
  return found === undefined ? ['', ''] : [found.pid === 0 ? found.state : String(found.pid), String(found.restarts)];
}

function gatewayTable(view: ClusterView): string {
  const columns = [
    { title: 'gateway' },
    { title: 'clients' },
    { title: 'pid', align: 'right' as const },
    { title: 'restarts', align: 'right' as const },
    { title: 'connections', align: 'right' as const },
    { title: 'suspected' },
    { title: 'state' },
  ];
  const rows = view.gateways.map((answer) => {
    const number = answer.number ?? '?';
    const process = processOf(view, `gateway ${number}`);
    return [
      number,
      answer.address,
      ...process,
      answer.ok ? answer.value.connections : '',
      suspicionsOf(view, answer.number),
      answer.ok ? 'serves' : answer.reason,
    ];
  });
  return formatTable(columns, rows);
}

/** By all others together: "2, 1 wrongly". */
function suspicionsOf({ gateways }: ClusterView, number: number | undefined): string {
  const lines = gateways.flatMap((answer) => (answer.ok ? answer.value.gateways : []));
  const about = lines.filter((line) => line.number === number);
  const sum = (of: (line: GatewayLine) => number): number => about.reduce((total, line) => total + of(line), 0);
  const [times, wrongly] = [sum(({ suspicions }) => suspicions), sum(({ falseSuspicions }) => falseSuspicions)];
  return wrongly === 0 ? String(times) : `${times}, ${wrongly} wrongly`;
}

function loggerTable(view: ClusterView): string {
  const right = 'right' as const;
  const columns = [
    { title: 'logger' },
    { title: 'reads' },
    { title: 'pid', align: right },
    { title: 'restarts', align: right },
    { title: 'zones', align: right },
    { title: 'occupied', align: right },
    { title: 'capacity', align: right },
    { title: 'state' },
  ];
  const rows = view.loggers.map((answer) => {
    const { number, address } = answer;
    const process = processOf(view, `logger ${number}`);
    const plan = planOf(lineOf(view, number));
    if (!answer.ok) return [number, address, ...process, '', '', '', joined(plan, answer.reason)];
    const { zones, deviceOccupied, deviceCapacity } = answer.value.status;
    const sizes = [formatBytes(deviceOccupied), formatBytes(deviceCapacity)];
    return [number, address, ...process, zones, ...sizes, joined(plan, stateOf(answer.value.status))];
  });
  return formatTable(columns, rows);
}

function joined(...words: readonly string[]): string {
  return words.filter((word) => word !== '').join(', ');
}

/** A logger that takes nothing more still answers: for people it is not `ready`. */
function stateOf({ state, full }: LoggerStatus): string {
  return state === 'ready' && full ? 'full' : state;
}

function shardTable(view: ClusterView, shards: readonly ShardLine[]): string {
  const right = 'right' as const;
  const columns = [
    { title: 'shard', align: right },
    { title: 'owner' },
    { title: 'state' },
    { title: 'epoch', align: right },
    { title: 'open zone', align: right },
    { title: 'committed', align: right },
    { title: 'replicas' },
    { title: 'sealed', align: right },
    { title: 'keys', align: right },
    { title: 'scrubbed' },
  ];
  const rows = shards.map((shard) => [
    shard.shard,
    shard.owner < 0 ? 'nobody' : `gateway ${shard.owner}`,
    [shard.step, shard.changing, shard.full ? 'full' : '', repairIn(shard)].filter((word) => word !== '').join(', '),
    shard.epoch,
    shard.openZone,
    formatBytes(shard.committedLength),
    shard.replicas.map((uuid) => loggerNumber(view, uuid)).join(' '),
    shard.doubtfulZones === 0 ? shard.sealedZones : `${shard.sealedZones} (${shard.doubtfulZones} in doubt)`,
    formatCount(shard.keys),
    shard.owner < 0 ? '' : scrubText(shard.scrub),
  ]);
  return formatTable(columns, rows);
}

/** A logger's number, or the beginning of its UUID when it is none of those asked. */
export function loggerName(view: Pick<ClusterView, 'loggers'>, uuid: string): string {
  const found = view.loggers.find((answer) => answer.ok && answer.value.status.logger === uuid);
  return found === undefined ? uuid.slice(0, 8) : String(found.number);
}

/** Copies that zones lack, and the one that is being made. */
function repairIn({ lackingCopies, copying, damagedCopies }: ShardLine): string {
  const damaged = damagedCopies === 0 ? [] : [`${copiesText(damagedCopies)} of zones damaged`];
  const lacking = lackingCopies === 0 ? [] : [`lacks ${copiesText(lackingCopies)} of zones`];
  const now = lackingCopies === 0 || copying === '' ? [] : [`copying ${copying}`];
  return [...damaged, ...lacking, ...now].join(', ');
}

function copiesText(count: number): string {
  return `${count} ${count === 1 ? 'copy' : 'copies'}`;
}
