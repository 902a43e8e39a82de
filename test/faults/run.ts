/** One run of a row of the promise table: a cluster of real processes, clients, the fault, the verdict. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keysOf } from '../../bench/lib/outage.ts';
import { freeBasePort, RealCluster } from '../../bench/lib/real-cluster.ts';
import { connect, type Client } from '../../src/client/index.ts';
import { Load } from './load.ts';
import type { Row, Stage } from './rows.ts';
import { complaintsOf, longestGapMs, lostKeys } from './verdict.ts';

const keyCount = 50;
const lanes = 8;
const beforeMs = 1_000;
const afterMs = 3_000;
/** No restart and no wait for a first-hand answer takes so long: a call that does is a fault. */
const callMsMax = 60_000;

export interface RunResult {
  readonly writeGapMs: number;
  readonly readGapMs: number;
  readonly calls: number;
  readonly lost: readonly string[];
  readonly complaints: readonly string[];
}

/** @throws Error the cluster did not start, or a client was told what no fault explains */
export async function runRow(row: Row, seed: number): Promise<RunResult> {
  const folder = await mkdtemp(join(tmpdir(), 'kv-filelog-faults-'));
  const theatre = new Theatre(join(folder, 'data'), await freeBasePort());
  try {
    await theatre.start();
    await using client = await connect(theatre.endpoints, { timeoutMs: callMsMax });
    return await judgedRun(row, seed, theatre, client, join(folder, 'history.jsonl'));
  } finally {
    await theatre.end();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function judgedRun(row: Row, seed: number, theatre: Theatre, client: Client, file: string): Promise<RunResult> {
  const load = new Load(keyCount);
  await load.readAll(client);
  await theatre.take(load, client.status().owners[0] ?? 0);
  const concerned = new Set(row.concerns === 'all' ? load.keys : keysOf(client, keyCount, theatre.owner));
  load.start(client, lanes, seed);
  await sleep(beforeMs);
  const fromMs = performance.now();
  await row.fault(theatre);
  await sleep(afterMs);
  await load.stop();
  // Calls that wait when the lanes are told to stop end when they are served: their gap counts to its end.
  const toMs = performance.now();
  await load.readAll(client);
  const { events } = load;
  return {
    writeGapMs: longestGapMs(events, concerned, 'write', fromMs, toMs),
    readGapMs: longestGapMs(events, concerned, 'read', fromMs, toMs),
    calls: events.filter(({ type }) => type === 'invoke').length,
    lost: lostKeys(events, load.keys),
    complaints: complaintsOf(events, file),
  };
}

class Theatre implements Stage {
  readonly #dir: string;
  readonly #basePort: number;
  #cluster: RealCluster | undefined;
  #load: Load | undefined;
  /** Client that knows the owner's address alone. */
  #believer: Client | undefined;
  #owner = 0;

  constructor(dir: string, basePort: number) {
    this.#dir = dir;
    this.#basePort = basePort;
  }

  get owner(): number {
    return this.#owner;
  }

  get endpoints(): readonly string[] {
    return this.#cluster?.endpoints ?? [];
  }

  async take(load: Load, owner: number): Promise<void> {
    this.#load = load;
    this.#owner = owner;
    this.#believer = await connect(this.endpoints[owner] ?? '', { direct: false, timeoutMs: callMsMax });
  }

  async start(): Promise<void> {
    const upArguments = ['--no-restart', '--zone-size', '16MiB'];
    this.#cluster = await RealCluster.start({ dir: this.#dir, basePort: this.#basePort, upArguments });
  }

  async killAll(): Promise<void> {
    await this.#cluster?.kill();
  }

  async end(): Promise<void> {
    await this.#believer?.close({ timeoutMs: 0 });
    await this.killAll();
  }

  signal(kind: 'gateway' | 'logger', number: number, signal: NodeJS.Signals): void {
    const pid = this.#cluster?.processes.get(`${kind} ${number}`);
    if (pid === undefined) throw new Error(`${kind} ${number} does not run`);
    process.kill(pid, signal);
  }

  async askOwner(): Promise<void> {
    if (this.#believer !== undefined) await this.#load?.readAll(this.#believer);
  }
}
