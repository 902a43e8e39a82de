/** S10: what a logger lost is given back to it by the others, so that it can stand for them. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import type { Cluster } from '../../src/server/index.ts';
import { startCluster } from '../../src/server/index.ts';

const MIB = 1024 * 1024;

test('S10 a wiped logger gets all zones again, and then serves them alone', { timeout: 120_000 }, async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  const coordinator = new MemoryCoordinator();
  let cluster: Cluster | undefined;
  context.after(async () => {
    await cluster?.close();
    await rm(folder, { recursive: true, force: true });
  });
  const start = async (): Promise<Cluster> =>
    (cluster = await startCluster({
      folder,
      loggers: 3,
      coordinator: coordinator.client(),
      environment: realEnvironment(),
      device: { capacityBytes: 64 * MIB },
      zoneSize: MIB,
      repairDelayMs: 0,
      firstHandWaitMs: 1_000,
    }));
  const wiped = async (...numbers: number[]): Promise<void> => {
    await cluster?.close();
    for (const number of numbers) await rm(path.join(folder, `logger-${number}`), { recursive: true });
  };

  const first = await start();
  await writeAll(first.endpoints);
  await wiped(2);
  await repaired(await start());
  await wiped(0, 1);
  await readAll((await start()).endpoints);
});

const valueOf = (key: number): Buffer => Buffer.alloc(100_000, key);
const keys = Array.from({ length: 40 }, (_, key) => key);

async function writeAll(endpoints: readonly string[]): Promise<void> {
  await using client = await connect(endpoints);
  for (const key of keys) await client.put(`key${key}`, valueOf(key));
}

async function readAll(endpoints: readonly string[]): Promise<void> {
  await using client = await connect(endpoints, { timeoutMs: 30_000 });
  for (const key of keys)
    assert.equal(valueOf(key).compare((await client.get(`key${key}`))?.value ?? Buffer.alloc(0)), 0, `key${key}`);
}

/** Waits until no shard lacks a copy, and the open zone has all replicas again. */
async function repaired(cluster: Cluster): Promise<void> {
  await using client = await connect(cluster.endpoints, { timeoutMs: 30_000 });
  await client.put('one more', 'value');
  for (let tries = 0; tries < 600; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const shards = cluster.gateways.flatMap((gateway) => gateway.status().shards);
    const looked = tries > 30 && shards.every(({ role }) => role === 'owner');
    if (looked && shards.every(({ lackingCopies, replicas }) => lackingCopies === 0 && replicas.length === 3)) return;
  }
  assert.fail(JSON.stringify(cluster.gateways.map((gateway) => gateway.status().shards)));
}
