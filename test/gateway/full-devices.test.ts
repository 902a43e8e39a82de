/** A reserve, so that deletes work on full devices, where puts are refused at once (docs/design.md). */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { startCluster } from '../../src/server/index.ts';

const MIB = 1024 * 1024;

test('deletes go on when the devices are full', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  const cluster = await startCluster({
    folder,
    loggers: 3,
    coordinator: new MemoryCoordinator().client(),
    environment: realEnvironment(),
    device: { capacityBytes: 24 * MIB, alignment: 512 },
    zoneSize: 4 * MIB,
  });
  context.after(async () => {
    await cluster.close();
    await rm(folder, { recursive: true, force: true });
  });
  await using client = await connect(cluster.endpoints, { timeoutMs: 5_000 });
  const keys: string[] = [];
  for (let full = 0, number = 0; full < 20; number++) {
    const size = full === 0 ? 100_000 : 400;
    await client.put(`key${number}`, Buffer.alloc(size)).then(
      () => keys.push(`key${number}`),
      async () => {
        full++;
        await new Promise((resolve) => setTimeout(resolve, 300));
      },
    );
  }
  const results = new Map<string, number>();
  const start = performance.now();
  for (const key of keys.slice(0, 40)) {
    const outcome = await client.delete(key).then(
      () => 'deleted',
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
    );
    results.set(outcome, (results.get(outcome) ?? 0) + 1);
    if (performance.now() - start > 40_000) break;
  }
  const shard = cluster.gateways[0]?.status().shards[0];
  assert.deepEqual(
    [...results.keys()],
    ['deleted'],
    `${JSON.stringify([...results])}; the open zone is ${shard?.openZone}`,
  );
});
