/**
 * `bench`: how fast a running cluster is, seen through the SDK. Overwrites keys that begin with `bench:`, and no
 * others.
 */
import type { Clock } from '../env/clock.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { CliIo } from './io.ts';
import { withClient, type RequestOptions } from './kv-commands.ts';
import { Latencies, type LatencySummary } from './latencies.ts';
import { Progress } from './progress.ts';
import { formatCount, formatTable } from './table.ts';

export interface BenchOptions extends RequestOptions {
  readonly requests: number;
  readonly inFlight: number;
  readonly valueBytes: number;
  readonly keys: number;
}

/** @throws KvError of the first request that fails */
export async function bench(io: CliIo, options: BenchOptions): Promise<ExitCode> {
  const value = io.environment.random.bytes(options.valueBytes);
  const keyOf = (index: number): string => `bench:${index % options.keys}`;
  return await withClient(io, options, async (client) => {
    const puts = await measure(io, options, async (index) => void (await client.put(keyOf(index), value)));
    const gets = await measure(io, options, async (index) => void (await client.get(keyOf(index))));
    io.out.write(
      options.json === true
        ? `${JSON.stringify({ ...load(options), puts, gets })}\n`
        : `${textOf(options, puts, gets)}\n`,
    );
    return exitCodes.ok;
  });
}

function load({ requests, inFlight, valueBytes, keys }: BenchOptions): object {
  return { requests, inFlight, valueBytes, keys };
}

async function measure(
  io: CliIo,
  options: BenchOptions,
  request: (index: number) => Promise<void>,
): Promise<LatencySummary> {
  const { clock } = io.environment;
  const progress = new Progress(io.err, clock, 'requests');
  const latencies = new Latencies();
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < options.requests) {
      await timed(clock, latencies, request, next++);
      progress.update(++done, done / options.requests);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(options.inFlight, options.requests) }, worker));
  } finally {
    progress.finish();
  }
  return latencies.summary();
}

async function timed(
  clock: Clock,
  latencies: Latencies,
  request: (index: number) => Promise<void>,
  index: number,
): Promise<void> {
  const since = clock.now();
  latencies.begin(since);
  try {
    await request(index);
  } finally {
    latencies.end(since, clock.now());
  }
}

function textOf(options: BenchOptions, puts: LatencySummary, gets: LatencySummary): string {
  const right = 'right' as const;
  const columns = [
    { title: '' },
    { title: 'per second', align: right },
    { title: 'average ms', align: right },
    { title: 'p99 ms', align: right },
  ];
  const row = (name: string, { perSecond, averageMs, p99Ms }: LatencySummary): readonly string[] => [
    name,
    formatCount(perSecond),
    averageMs.toFixed(3),
    p99Ms.toFixed(3),
  ];
  const title = `${formatCount(options.requests)} requests each, ${options.inFlight} in flight, values of ${formatCount(options.valueBytes)} bytes, ${formatCount(options.keys)} keys`;
  return `${title}\n${formatTable(columns, [row('put', puts), row('get', gets)])}`;
}
