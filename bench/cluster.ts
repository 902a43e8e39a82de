/**
 * The cluster's benchmark: puts and confirmed gets through the SDK against three gateways and three loggers as
 * processes of their own, in a closed loop. Everything runs on this machine, so the client's CPU time counts too.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '../src/client/index.ts';
import { connect } from '../src/client/index.ts';
import type { CpuSeconds } from './lib/cpu.ts';
import { byKind, cpuSeconds, cpuSince } from './lib/cpu.ts';
import type { LoadResult } from './lib/load.ts';
import { runLoad } from './lib/load.ts';
import { freeBasePort, RealCluster } from './lib/real-cluster.ts';

export interface BenchOptions {
  /** Client ports of a cluster that runs; empty: one is started. */
  readonly endpoints: readonly string[];
  readonly sizes: readonly number[];
  readonly inFlight: readonly number[];
  readonly warmUpMs: number;
  /** Before the cells of an operation: 64 in flight for so long, so that all processes have compiled their code. */
  readonly compileMs: number;
  readonly measuredMs: number;
  readonly keys: number;
  readonly connectionsPerGateway: number;
  /** Clients in this process that the requests in flight are spread over. */
  readonly clients: number;
  readonly operations: readonly Operation[];
  /** Further arguments of `up`. */
  readonly upArguments: readonly string[];
}

/** `get-uncached`: the gateways have no value cache, each value is read from a logger. */
export type Operation = 'put' | 'get' | 'get-uncached';

export interface Cell extends LoadResult {
  readonly operation: Operation;
  readonly valueBytes: number;
  readonly inFlight: number;
  /** CPU seconds while measuring, by kind of process. */
  readonly cpu: CpuSeconds;
  /** Of all processes together, per request. */
  readonly cpuMicrosPerRequest: number;
}

export interface BenchResult {
  readonly machine: { readonly cpu: string; readonly cpus: number; readonly node: string };
  readonly cells: readonly Cell[];
}

export async function runBench(options: BenchOptions, onCell: (cell: Cell) => void): Promise<BenchResult> {
  const cells: Cell[] = [];
  const add = (cell: Cell): void => {
    cells.push(cell);
    onCell(cell);
  };
  if (options.endpoints.length > 0) {
    await runCells(
      options,
      options.endpoints,
      new Map(),
      options.operations.filter((operation) => operation !== 'get-uncached'),
      add,
    );
  } else {
    await onOwnCluster(options, add);
  }
  const [first] = cpus();
  return { machine: { cpu: first?.model ?? 'unknown', cpus: cpus().length, node: process.version }, cells };
}

async function onOwnCluster(options: BenchOptions, onCell: (cell: Cell) => void): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-bench-'));
  const basePort = await freeBasePort();
  try {
    const phases = [
      { operations: options.operations.filter((operation) => operation !== 'get-uncached'), upArguments: [] },
      {
        operations: options.operations.filter((operation) => operation === 'get-uncached'),
        upArguments: ['--value-cache', '0'],
      },
    ];
    for (const { operations, upArguments } of phases) {
      if (operations.length === 0) continue;
      const cluster = await RealCluster.start({ dir, basePort, upArguments: [...options.upArguments, ...upArguments] });
      try {
        await runCells(options, cluster.endpoints, cluster.processes, operations, onCell);
      } finally {
        await cluster.stop();
      }
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function runCells(
  options: BenchOptions,
  endpoints: readonly string[],
  processes: ReadonlyMap<string, number>,
  operations: readonly Operation[],
  onCell: (cell: Cell) => void,
): Promise<void> {
  const { connectionsPerGateway } = options;
  const clients = await Promise.all(
    Array.from({ length: options.clients }, () => connect(endpoints, { connectionsPerGateway })),
  );
  try {
    for (const valueBytes of options.sizes) {
      const keys = Array.from({ length: options.keys }, (_, index) => `bench-${valueBytes}-${index}`);
      const value = Buffer.alloc(valueBytes, 'x');
      if (operations.some((operation) => operation !== 'put')) await fill(clients, keys, value);
      for (const operation of operations) {
        const request = requestOf(operation, clients, keys, value);
        // Fresh processes run at half their speed until their code is compiled, which a cell with one request in flight
        // would take minutes for.
        if (valueBytes === options.sizes[0])
          await runLoad({ inFlight: 64, warmUpMs: 0, measuredMs: options.compileMs, request });
        for (const inFlight of options.inFlight)
          onCell(await measure(options, { operation, valueBytes, inFlight }, processes, request));
      }
    }
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

async function fill(clients: readonly Client[], keys: readonly string[], value: Uint8Array): Promise<void> {
  const results = await clients[0]?.putMany(keys.map((key) => [key, value] as const));
  for (const result of results ?? []) if (!result.ok) throw result.error;
}

function requestOf(
  operation: Operation,
  clients: readonly Client[],
  keys: readonly string[],
  value: Uint8Array,
): (index: number) => Promise<unknown> {
  // A large stride spreads what is in flight over all shards and keys.
  const at = (index: number): string => keys[(index * 7_919) % keys.length] ?? '';
  const clientAt = (index: number): Client => {
    const client = clients[index % clients.length];
    if (client === undefined) throw new Error('there are clients');
    return client;
  };
  if (operation === 'put') return (index) => clientAt(index).put(at(index), value);
  return async (index) => {
    const entry = await clientAt(index).get(at(index));
    if (entry?.value.length !== value.length)
      throw new Error(`${at(index)} has ${entry?.value.length ?? 'no'} bytes instead of ${value.length}`);
  };
}

async function measure(
  options: BenchOptions,
  what: Pick<Cell, 'operation' | 'valueBytes' | 'inFlight'>,
  processes: ReadonlyMap<string, number>,
  request: (index: number) => Promise<unknown>,
): Promise<Cell> {
  const all = new Map([...processes, ['client', process.pid]]);
  let before: CpuSeconds = {};
  let cpu: CpuSeconds = {};
  const { warmUpMs, measuredMs } = options;
  const result = await runLoad({
    inFlight: what.inFlight,
    warmUpMs,
    measuredMs,
    request,
    onMeasure: (begins) => {
      if (begins) before = cpuSeconds(all);
      else cpu = byKind(cpuSince(before, cpuSeconds(all)));
    },
  });
  const cpuTotal = Object.values(cpu).reduce((sum, seconds) => sum + seconds, 0);
  return { ...what, ...result, cpu, cpuMicrosPerRequest: result.count === 0 ? 0 : (cpuTotal * 1e6) / result.count };
}
