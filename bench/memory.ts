/**
 * `npm run bench:memory -- [KEYS ...]`: what keys cost a gateway in memory, and how long it takes to come back after
 * kill -9, for 10,000 and 1,000,000 keys of 20 bytes with values of 100 (the aim: at most 150 bytes a key beyond the
 * base; restart time independent of the number of keys).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../src/client/index.ts';
import { connect } from '../src/client/index.ts';
import { askGateway } from '../src/cli/node-calls.ts';
import { supervision } from '../src/cli/supervisor.ts';
import { shardOfKey } from '../src/core/slots.ts';
import { realEnvironment } from '../src/env/real/environment.ts';
import { runMany } from './lib/load.ts';
import { freeBasePort, RealCluster } from './lib/real-cluster.ts';

const inFlight = 512;
const valueBytes = 100;
const restarts = 5;

interface Row {
  readonly keys: number;
  readonly baseMiB: number;
  readonly loadedMiB: number;
  readonly bytesPerKey: number;
  readonly indexBytesPerKey: number;
  readonly restartMs: readonly number[];
}

const keyOf = (index: number): string => `key-${String(index).padStart(16, '0')}`;

function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}

/** The gateways' mean: each holds the whole index, as owner of one shard and standby of two. */
function gatewayBytes(cluster: RealCluster): number {
  const pids = [...cluster.processes].filter(([name]) => name.startsWith('gateway')).map(([, pid]) => pid);
  return pids.reduce((sum, pid) => sum + residentBytes(pid), 0) / pids.length;
}

async function load(client: Client, keys: number): Promise<void> {
  const value = Buffer.alloc(valueBytes, 'v');
  await runMany(keys, inFlight, (index) => client.put(keyOf(index), value));
}

/** The time from kill -9 of gateway 0 until a confirmed get of a key that it owns is answered again. */
async function restartMs(cluster: RealCluster, keys: number): Promise<number> {
  await using client = await connect(cluster.endpoints.slice(1), { timeoutMs: 60_000 });
  const owned = ownedKey(client, keys);
  const pid = cluster.processes.get('gateway 0') ?? 0;
  const began = performance.now();
  process.kill(pid, 'SIGKILL');
  for (;;) {
    const entry = await client.get(owned, { timeoutMs: 60_000 }).catch(() => undefined);
    if (entry !== undefined) return performance.now() - began;
    await sleep(2);
  }
}

/** A key whose shard gateway 0 owns. */
function ownedKey(client: Client, keys: number): string {
  const { owners, shards } = client.status();
  for (let index = 0; index < keys; index++) {
    const key = Buffer.from(keyOf(index));
    if (owners[shardOfKey(key, 0, key.length, shards)] === 0) return keyOf(index);
  }
  throw new Error('gateway 0 owns no key');
}

async function measure(keys: number): Promise<Row> {
  const dir = mkdtempSync(join(tmpdir(), 'kv-filelog-memory-'));
  const cluster = await RealCluster.start({ dir, basePort: await freeBasePort(), upArguments: ['--value-cache', '0'] });
  try {
    const client = await connect(cluster.endpoints, { timeoutMs: 60_000 });
    await load(client, 1_000);
    await sleep(1_000);
    const base = gatewayBytes(cluster);
    await load(client, keys);
    await client.close();
    await sleep(3_000);
    const indexBytes = await indexBytesOf(cluster);
    const loaded = gatewayBytes(cluster);
    const times: number[] = [];
    for (let round = 0; round < restarts; round++) {
      // Only who served for a while is started again after the shortest pause.
      await sleep(supervision.steadyMs + 500);
      times.push(await restartMs(cluster, keys));
    }
    const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);
    return {
      keys,
      baseMiB: mib(base),
      loadedMiB: mib(loaded),
      bytesPerKey: Math.round((loaded - base) / keys),
      indexBytesPerKey: Math.round(indexBytes / keys),
      restartMs: times,
    };
  } finally {
    await cluster.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Of one gateway, all shards together, as it reports itself. */
async function indexBytesOf(cluster: RealCluster): Promise<number> {
  const { shards } = await askGateway(realEnvironment(), cluster.endpoints[0] ?? '', 5_000);
  return shards.reduce((sum, shard) => sum + shard.indexBytes, 0);
}

const counts = process.argv.slice(2).map(Number);
for (const keys of counts.length === 0 ? [10_000, 1_000_000] : counts) {
  const row = await measure(keys);
  const sorted = [...row.restartMs].sort((a, b) => a - b);
  console.log(
    `${row.keys} keys: a gateway has ${row.baseMiB} MiB empty, ${row.loadedMiB} MiB loaded: ${row.bytesPerKey} bytes a key (index ${row.indexBytesPerKey}); ` +
      `back after kill -9 in ${sorted.map((ms) => ms.toFixed(0)).join(', ')} ms`,
  );
}
