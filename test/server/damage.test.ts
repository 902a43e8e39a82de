/** S10: bits that flip in one logger's file under a running cluster are served from the others, and healed. */
import assert from 'node:assert/strict';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import type { Cluster } from '../../src/server/index.ts';
import { startCluster } from '../../src/server/index.ts';

const MIB = 1024 * 1024;
const magic = Buffer.from('KVB1', 'latin1');
const keys = Array.from({ length: 40 }, (_, key) => key);
const valueOf = (key: number): Buffer => Buffer.alloc(100_000, key);

/** Bytes of a batch in which a bit flips, from its start: of a value, of a record's head, of a key. */
const places: readonly ((batch: Buffer) => number)[] = [
  () => 50_000,
  (batch) => batch.indexOf('key') - 6,
  (batch) => batch.indexOf('key') + 1,
];

test('S10 damage that a read meets is repaired from another copy', { timeout: 180_000 }, async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  const coordinator = new MemoryCoordinator();
  const logs: string[] = [];
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
      valueCacheBytes: 0,
      repairDelayMs: 0,
      firstHandWaitMs: 1_000,
      log: (level, event) => void logs.push(`${level} ${event}`),
    }));

  const first = await start();
  {
    await using client = await connect(first.endpoints);
    for (const key of keys) await client.put(`key${key}`, valueOf(key));
    // The last zones end, so that all keys lie in sealed ones.
    for (let more = 0; more < 12; more++) await client.put('more', valueOf(more));
  }
  const before = copiesAt(first, 1);
  const rotten = await flipBits(path.join(folder, 'logger-1', 'device'), before);
  assert.ok(rotten.size >= 3, `${rotten.size} zones have wrong bits`);
  await readUntil(first, () => isHealed(first, before, rotten));
  assert.ok(logs.includes('error copy damaged'));

  await first.close();
  for (const number of [0, 2]) await rm(path.join(folder, `logger-${number}`), { recursive: true });
  await using client = await connect((await start()).endpoints, { timeoutMs: 30_000 });
  for (const key of keys)
    assert.equal(valueOf(key).compare((await client.get(`key${key}`))?.value ?? Buffer.alloc(0)), 0, `key${key}`);
});

/** Names of the copies that a logger holds of zones that ended. */
function copiesAt(cluster: Cluster, logger: number): Map<string, string> {
  const ended = cluster.loggers[logger]?.zones().filter(({ state }) => state === 'finished') ?? [];
  return new Map(ended.map(({ shard, zone, copyId }) => [`${shard}/${zone}`, copyId]));
}

/** One wrong bit in a batch of a value of each zone that ended; gives the zones. */
async function flipBits(file: string, ended: ReadonlyMap<string, string>): Promise<Set<string>> {
  const device = await open(file, 'r+');
  try {
    const bytes = await device.readFile();
    const rotten = new Set<string>();
    for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
      const name = `${bytes.readUInt32LE(at + 24)}/${bytes.readUIntLE(at + 28, 6)}`;
      const length = bytes.readUInt32LE(at + 16);
      if (!ended.has(name) || rotten.has(name) || length < 100_000 || !bytes.subarray(at, at + 4_096).includes('key'))
        continue;
      const place = places[rotten.size % places.length];
      assert.ok(place);
      const wrong = at + place(bytes.subarray(at, at + length));
      await device.write(Buffer.of(bytes.readUInt8(wrong) ^ 4), 0, 1, wrong);
      rotten.add(name);
    }
    return rotten;
  } finally {
    await device.close();
  }
}

function isHealed(cluster: Cluster, before: ReadonlyMap<string, string>, rotten: ReadonlySet<string>): boolean {
  const now = copiesAt(cluster, 1);
  const lines = cluster.gateways.flatMap((gateway) => gateway.status().shards);
  const isWhole = lines.every(({ lackingCopies, damagedCopies }) => lackingCopies === 0 && damagedCopies === 0);
  return isWhole && [...rotten].every((name) => now.has(name) && now.get(name) !== before.get(name));
}

/** Reads all keys again and again, each right, until `goal` holds. */
async function readUntil(cluster: Cluster, goal: () => boolean): Promise<void> {
  await using client = await connect(cluster.endpoints, { timeoutMs: 30_000 });
  for (let round = 0; round < 400 && !goal(); round++) {
    for (const key of keys)
      assert.equal(valueOf(key).compare((await client.get(`key${key}`))?.value ?? Buffer.alloc(0)), 0, `key${key}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(goal(), JSON.stringify(cluster.gateways.map((gateway) => gateway.status().shards)));
}
