/**
 * The crash test: writers write through the SDK, all processes of the cluster are killed (-9) in the middle, started
 * again on the same data, and every acknowledged write is looked for through every gateway. A seed decides what is
 * written and when the kill comes (the machine decides how far the writers got by then).
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freeBasePort, RealCluster } from '../../bench/lib/real-cluster.ts';
import type { Client } from '../../src/client/index.ts';
import { connect, KvError } from '../../src/client/index.ts';
import { below } from '../../src/env/random.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { KeyHistory } from './history.ts';

export interface CrashOptions {
  readonly dir: string;
  readonly rounds: number;
  readonly seed: number;
  readonly writers: number;
  readonly keysPerWriter: number;
  /** The kill comes this long after the writers began, plus up to as much again. */
  readonly writeMs: number;
  readonly upArguments?: readonly string[];
}

export interface CrashRound {
  readonly round: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly notApplied: number;
  /** Keys read and found right, all gateways together. */
  readonly verified: number;
  /** What was found wrong. */
  readonly lost: readonly string[];
  /** Bytes of disk that the cluster's folder takes. */
  readonly diskBytes: number;
  /** From the start of `up` until all processes serve. */
  readonly restartMs: number;
}

/**
 * Of the clients, every second gives up soon, so that there are unknown outcomes; the others wait for the restart and
 * try again.
 */
const timeoutsMs = [60_000, 400] as const;
const deleteShare = 0.1;

/** Runs the rounds; `onRound` is told after each. The cluster is gone when it returns. */
export async function runCrashRounds(
  options: CrashOptions,
  onRound: (round: CrashRound) => void,
): Promise<readonly CrashRound[]> {
  const rounds: CrashRound[] = [];
  const basePort = await freeBasePort();
  const start = { dir: options.dir, basePort, upArguments: options.upArguments ?? [] };
  let cluster = await RealCluster.start(start);
  try {
    await using clients = await Clients.connect(cluster.endpoints);
    const writers = Array.from(
      { length: options.writers },
      (_, number) => new Writer(options, number, clients.of(number)),
    );
    const random = new SimulatedRandom(options.seed).fork('kills');
    for (let round = 1; round <= options.rounds; round++) {
      const writing = Promise.all(writers.map((writer) => writer.run()));
      // A failure is thrown where it is awaited, below: not as an unhandled one that would leave the processes behind.
      writing.catch(() => undefined);
      await sleep(options.writeMs + below(random, options.writeMs));
      await cluster.kill();
      const restartedMs = performance.now();
      cluster = await RealCluster.start(start);
      const restartMs = Math.round(performance.now() - restartedMs);
      for (const writer of writers) writer.stop();
      await writing;
      const result = {
        round,
        restartMs,
        ...countsOf(writers),
        ...(await verify(cluster.endpoints, writers)),
        diskBytes: await diskBytes(options.dir),
      };
      rounds.push(result);
      onRound(result);
    }
  } finally {
    await cluster.kill();
  }
  return rounds;
}

class Clients implements AsyncDisposable {
  readonly #clients: readonly Client[];

  constructor(clients: readonly Client[]) {
    this.#clients = clients;
  }

  static async connect(endpoints: readonly string[]): Promise<Clients> {
    return new Clients(
      await Promise.all(
        [0, 1, 2, 3].map((number) =>
          connect(endpoints, { timeoutMs: timeoutsMs[number % 2] ?? 1_000, connectTimeoutMs: 10_000 }),
        ),
      ),
    );
  }

  of(writer: number): Client {
    const client = this.#clients[writer % this.#clients.length];
    if (client === undefined) throw new Error('there are clients');
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close({ timeoutMs: 0 })));
  }
}

/** Writes its own keys, one write after another, until it is told to stop. */
class Writer {
  readonly histories: readonly KeyHistory[];
  acknowledged = 0;
  unknown = 0;
  notApplied = 0;
  readonly #client: Client;
  readonly #random: SimulatedRandom;
  #stopped = false;

  constructor(options: CrashOptions, number: number, client: Client) {
    this.#client = client;
    this.#random = new SimulatedRandom(options.seed).fork(`writer ${number}`);
    this.histories = Array.from(
      { length: options.keysPerWriter },
      (_, index) => new KeyHistory(options.seed, `${number * 2_048 + index}`),
    );
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    this.#stopped = false;
    this.acknowledged = this.unknown = this.notApplied = 0;
    while (!this.#stopped) await this.#writeOne();
  }

  async #writeOne(): Promise<void> {
    const history = this.histories[below(this.#random, this.histories.length)];
    if (history === undefined) return;
    const { sequence, value } = history.begin(this.#random.chance(deleteShare));
    try {
      if (value === undefined) await this.#client.delete(history.key);
      else await this.#client.put(history.key, value);
      history.acknowledged(sequence);
      this.acknowledged++;
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      if (!error.retryable) throw error;
      if (error.outcome === 'unknown') this.unknown++;
      else {
        history.notApplied(sequence);
        this.notApplied++;
      }
    }
  }
}

function countsOf(writers: readonly Writer[]): Pick<CrashRound, 'acknowledged' | 'unknown' | 'notApplied'> {
  const sum = (name: 'acknowledged' | 'unknown' | 'notApplied'): number =>
    writers.reduce((total, writer) => total + writer[name], 0);
  return { acknowledged: sum('acknowledged'), unknown: sum('unknown'), notApplied: sum('notApplied') };
}

/** Through every gateway, one after another: what the first has shown must be what the next ones show. */
async function verify(
  endpoints: readonly string[],
  writers: readonly Writer[],
): Promise<Pick<CrashRound, 'verified' | 'lost'>> {
  const histories = writers.flatMap((writer) => writer.histories);
  const lost: string[] = [];
  let verified = 0;
  for (const endpoint of endpoints) {
    await using client = await connect(endpoint, { direct: false, timeoutMs: 60_000 });
    const results = await client.getMany(histories.map((history) => history.key));
    for (const [index, history] of histories.entries()) {
      const result = results[index];
      if (result?.ok !== true) throw result?.error ?? new Error('a result per key');
      const complaint = history.check(result.entry?.text);
      if (complaint === undefined) verified++;
      else lost.push(`through ${endpoint}: ${complaint}`);
    }
  }
  return { verified, lost };
}

/** Bytes that the files of a folder take on the disk, not what their sizes say. */
async function diskBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true })) {
    const info = await stat(join(folder, name)).catch(() => undefined);
    if (info?.isFile() === true) bytes += info.blocks * 512;
  }
  return bytes;
}
