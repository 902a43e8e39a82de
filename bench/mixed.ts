/**
 * `node dist/bench/mixed.js [--rounds N] [--seconds N] [--in-flight N] [--large BYTES] [--every MS] [--base-port N]`:
 * large beside small. Puts of 1 KiB in a closed loop, with and without a writer of large values beside them, in turn on
 * one cluster: to keys of other shards than the large ones', and to keys of the same shard. Aim: the p99 beside the
 * writer is at most 5 times what it is without.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Client } from '../src/client/index.ts';
import { connect } from '../src/client/index.ts';
import { shardOfKey } from '../src/core/slots.ts';
import { cpuSeconds, cpuSince } from './lib/cpu.ts';
import type { LoadResult } from './lib/load.ts';
import { runLoad } from './lib/load.ts';
import { freeBasePort, RealCluster } from './lib/real-cluster.ts';

const valueBytes = 1_024;
const keyCount = 3_000;
const warmUpMs = 500;
const compileMs = 5_000;

interface Options {
  readonly rounds: number;
  readonly measuredMs: number;
  readonly inFlight: number;
  readonly largeBytes: number;
  readonly everyMs: number;
}

/** Writer in a thread of its own, so that its copies are not the small puts' latency. */
interface WriterData {
  readonly endpoints: readonly string[];
  readonly key: string;
  readonly bytes: number;
  readonly everyMs: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      'in-flight': { type: 'string', default: '64' },
      large: { type: 'string', default: String(16 * 1024 * 1024) },
      every: { type: 'string', default: '200' },
      'base-port': { type: 'string' },
    },
  });
  const options = {
    rounds: Number(values.rounds),
    measuredMs: 1_000 * Number(values.seconds),
    inFlight: Number(values['in-flight']),
    largeBytes: Number(values.large),
    everyMs: Number(values.every),
  };
  const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-mixed-'));
  try {
    const basePort = values['base-port'] === undefined ? await freeBasePort() : Number(values['base-port']);
    const cluster = await RealCluster.start({ dir, basePort });
    try {
      await measure(cluster, options);
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function measure(cluster: RealCluster, options: Options): Promise<void> {
  await using client = await connect(cluster.endpoints);
  const { shards } = client.status();
  const shardOf = (key: string): number => shardOfKey(Buffer.from(key), 0, Buffer.byteLength(key), shards);
  const keys = Array.from({ length: keyCount }, (_, index) => `small-${index}`);
  const large = 'large';
  const places = {
    'other shards': keys.filter((key) => shardOf(key) !== shardOf(large)),
    'same shard': keys.filter((key) => shardOf(key) === shardOf(large)),
  };
  await put(client, keys, { ...options, measuredMs: compileMs });
  console.log('keys          large     ops/s   p50 ms   p99 ms   max ms   large puts, ms each   CPU seconds');
  const results = new Map<string, LoadResult[]>();
  for (let round = 0; round < options.rounds; round++)
    for (const [place, placeKeys] of Object.entries(places))
      for (const beside of [false, true]) {
        const name = `${place.padEnd(13)} ${beside ? 'yes' : 'no '}`;
        const writer = beside ? new LargeWriter(cluster.endpoints, large, options) : undefined;
        await writer?.started;
        const before = cpuSeconds(cluster.processes);
        const result = await put(client, placeKeys, options);
        const cpu = Object.values(cpuSince(before, cpuSeconds(cluster.processes)));
        const took = (await writer?.stop()) ?? [];
        console.log(line(name, result), tookText(took), cpu.map((seconds) => seconds.toFixed(1)).join(' '));
        results.set(name, [...(results.get(name) ?? []), result]);
      }
  for (const place of Object.keys(places)) {
    const [without, beside] = ['no ', 'yes'].map((one) => median(results.get(`${place.padEnd(13)} ${one}`) ?? []));
    if (without === undefined || beside === undefined) continue;
    const ratio = (beside.p99Ms / without.p99Ms).toFixed(1);
    const p99s = `${without.p99Ms.toFixed(1)} -> ${beside.p99Ms.toFixed(1)} ms`;
    console.log(`${place}: p99 ${p99s}, ${ratio} times; medians of ${options.rounds} rounds`);
  }
}

function put(client: Client, keys: readonly string[], { inFlight, measuredMs }: Options): Promise<LoadResult> {
  const value = Buffer.alloc(valueBytes, 'x');
  const request = (index: number): Promise<unknown> => client.put(keys[index % keys.length] ?? '', value);
  return runLoad({ inFlight, warmUpMs, measuredMs, request });
}

function line(name: string, { perSecond, p50Ms, p99Ms, maxMs }: LoadResult): string {
  const numbers = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1).padStart(8));
  return `${name.padEnd(20)} ${perSecond.toFixed(0).padStart(8)} ${numbers.join(' ')}`;
}

function tookText(took: readonly number[]): string {
  const mean = took.reduce((sum, ms) => sum + ms, 0) / took.length;
  return (took.length === 0 ? '-' : `${took.length}, ${mean.toFixed(0)}`).padStart(21);
}

/** The one whose p99 is in the middle. */
function median(results: readonly LoadResult[]): LoadResult | undefined {
  return results.toSorted((a, b) => a.p99Ms - b.p99Ms)[Math.floor(results.length / 2)];
}

class LargeWriter {
  readonly started: Promise<void>;
  readonly #worker: Worker;
  readonly #took: number[] = [];
  readonly #ended: Promise<void>;

  constructor(endpoints: readonly string[], key: string, { largeBytes, everyMs }: Options) {
    const data: WriterData = { endpoints, key, bytes: largeBytes, everyMs };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    this.#worker = worker;
    this.started = new Promise((resolve, reject) => {
      worker.on('message', (tookMs: number) => {
        this.#took.push(tookMs);
        resolve();
      });
      worker.once('error', reject);
    });
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()));
  }

  /** Times that the large puts took, milliseconds. */
  async stop(): Promise<readonly number[]> {
    this.#worker.postMessage('stop');
    await this.#ended;
    return this.#took;
  }
}

/** One put every `everyMs`, or as soon as the one before is answered. */
async function writeLarge({ endpoints, key, bytes, everyMs }: WriterData): Promise<void> {
  let stopped = false;
  parentPort?.once('message', () => {
    stopped = true;
  });
  await using client = await connect(endpoints, { timeoutMs: 60_000 });
  const value = Buffer.alloc(bytes, 'L');
  while (!stopped) {
    const beganMs = performance.now();
    await client.put(key, value);
    const tookMs = performance.now() - beganMs;
    parentPort?.postMessage(tookMs);
    await sleep(Math.max(0, everyMs - tookMs));
  }
}

if (isMainThread) await main();
else await writeLarge(workerData as WriterData); // What `LargeWriter` gave it.
