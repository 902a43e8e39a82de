/**
 * `npm run bench:code -- [--against FOLDER] [--rounds N]`: processor time of a request in our own code alone: a whole
 * cluster and its client in one process, on the simulated network and disk. There are no sockets and no other process,
 * so it is steadier than `npm run bench`; and it says nothing of system calls and wakings, which only that sees. Work
 * beside it on the machine still counts, twice the time was seen: let nothing else run.
 *
 * `--against` names a built checkout, measured in turn. A round's ratio compares neighbours; the least of all rounds is
 * what the code costs when nobody disturbs it.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { silent } from '../src/base/log.ts';
import { MIB } from '../src/base/units.ts';
import { joinCluster } from '../src/coordinator/cluster-record.ts';
import { MemoryCoordinator } from '../src/coordinator/memory/memory.ts';
import { SimulatedClock } from '../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../src/env/simulated/files.ts';
import { SimulatedNetwork } from '../src/env/simulated/network.ts';
import { SimulatedRandom } from '../src/env/simulated/random.ts';
import { startGateway } from '../src/gateway/gateway.ts';
import { startLogger } from '../src/logger/logger.ts';
import { SimulatedProcess } from '../sim/world.ts';
import { connectClient } from '../sim/workload.ts';
import type { Client } from '../src/client/client.ts';
import { runMany } from './lib/load.ts';

const nodes = 3;
const keys = 5_000;
const valueBytes = 1_024;
const turnsMax = 100_000_000;

const cells = [
  { operation: 'put', inFlight: 16, count: 30_000 },
  { operation: 'put', inFlight: 256, count: 60_000 },
  { operation: 'get', inFlight: 64, count: 60_000 },
] as const;
type Cell = (typeof cells)[number];

/** The cluster, and what makes its time pass. */
class CodeCluster {
  readonly #clock = new SimulatedClock();
  readonly #random = new SimulatedRandom(1).fork('bench');
  readonly #network: SimulatedNetwork;
  readonly #coordinator: MemoryCoordinator;

  constructor() {
    const world = { delayMinMs: 0.02, delayMaxMs: 0.05, splitProbability: 0, joinProbability: 0 };
    this.#network = new SimulatedNetwork(this.#clock, this.#random.fork('network'), world);
    this.#coordinator = new MemoryCoordinator({
      clock: this.#clock,
      fate: () => ({ kind: 'sent', requestDelayMs: 1, answerDelayMs: 1 }),
      watchDelayMs: () => 1,
    });
  }

  /** Runs the cluster until the promise settles. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = promise.finally(() => {
      isSettled = true;
    });
    settled.catch(() => undefined);
    await this.#clock.runUntil(() => isSettled, turnsMax);
    return settled;
  }

  #process(host: string): SimulatedProcess {
    const disk = new SimulatedDisk({ random: this.#random.fork(`disk ${host}`), clock: this.#clock });
    Object.assign(disk.faults, { syncDelayMs: 1, syncDelaySpreadMs: 0.2, readDelayMs: 0.2 });
    return new SimulatedProcess({
      host,
      clock: this.#clock,
      network: this.#network,
      coordinator: this.#coordinator,
      disk,
      random: this.#random.fork(host),
      clockFault: { rate: 1, wallOffsetMs: 0 },
    });
  }

  async start(): Promise<Client> {
    const wanted = { shardCount: nodes, zoneSize: 64 * MIB };
    const cluster = await this.during(joinCluster(this.#coordinator.client('bench'), this.#random, wanted));
    const starts = Array.from({ length: nodes }, (_, id) => [
      startLogger(
        {
          id,
          folder: '/data',
          cluster: cluster.cluster,
          zoneSize: cluster.zoneSize,
          readAddress: `l${id}:1`,
          writeAddress: `l${id}:2`,
          device: { capacityBytes: 1_024 * MIB, alignment: 512, extentBytes: 4 * MIB, prefillBytes: MIB },
        },
        this.#world(`l${id}`),
      ),
      startGateway(
        {
          id,
          gatewayCount: nodes,
          folder: '/data',
          cluster,
          clientAddress: `g${id}:1`,
          peerAddress: `g${id}:2`,
          replicas: nodes,
          minReplicas: 1,
          valueCacheBytes: 64 * MIB,
          snapshotEveryBytes: 1_024 * MIB,
          loggerTimeoutMs: 2_000,
        },
        this.#world(`g${id}`),
      ),
    ]);
    await this.during(Promise.all(starts.flat()));
    const endpoints = Array.from({ length: nodes }, (_, id) => `g${id}:1`);
    const options = { timeoutMs: 30_000, direct: true };
    return this.during(connectClient(this.#process('client'), endpoints, options, cluster.cluster));
  }

  #world(host: string) {
    const { clock, network, random, files, coordinator } = this.#process(host);
    return { clock, network, random, files, coordinator, log: silent };
  }
}

async function request(client: Client, { operation, inFlight }: Cell, count: number): Promise<void> {
  const value = Buffer.alloc(valueBytes, 'v');
  await runMany(count, inFlight, (index) => {
    const key = `key-${index % keys}`;
    return operation === 'put' ? client.put(key, value) : client.get(key);
  });
}

/** Microseconds of processor time a request. */
async function measure(cell: Cell): Promise<number> {
  const cluster = new CodeCluster();
  const client = await cluster.start();
  await cluster.during(request(client, { operation: 'put', inFlight: 256, count: 60_000 }, keys));
  await cluster.during(request(client, cell, cell.count / 3));
  const before = process.cpuUsage();
  await cluster.during(request(client, cell, cell.count));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / cell.count;
}

/** In a process of its own, so that each begins with a fresh heap and cold code. */
function measureIn(root: string, cell: number): number {
  const script = path.join(root, 'dist', 'bench', 'code.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--cell', `${cell}`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script} ended with ${status}: ${stderr}`);
  return Number(stdout);
}

function compare(against: string | undefined, rounds: number): void {
  const own = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
  console.log('microseconds of processor time a request, least of all rounds');
  for (const [at, { operation, inFlight }] of cells.entries()) {
    const here: number[] = [];
    const there: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      if (against !== undefined) there.push(measureIn(path.resolve(against), at));
      here.push(measureIn(own, at));
    }
    const least = Math.min(...here);
    const other = Math.min(...there);
    const ratio = against === undefined ? '' : `   against ${other.toFixed(1)}, ratio ${(least / other).toFixed(3)}`;
    console.log(`${operation} ${String(inFlight).padStart(4)} in flight ${least.toFixed(1).padStart(7)}${ratio}`);
  }
}

const { values } = parseArgs({
  options: { against: { type: 'string' }, rounds: { type: 'string', default: '5' }, cell: { type: 'string' } },
});
const cell = cells[Number(values.cell ?? -1)];
const rounds = Number(values.rounds);
if (cell !== undefined) {
  console.log(await measure(cell));
  process.exit(0);
} else if (Number.isSafeInteger(rounds) && rounds >= 1 && rounds <= 1_000) {
  compare(values.against, rounds);
} else {
  console.error(`--rounds: found '${values.rounds}'; allowed: 1 to 1000`);
  process.exitCode = 2;
}
