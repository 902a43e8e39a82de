/** S10: bits that flip in one logger's file under a running cluster are served from the others, and healed. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import type { Cluster } from '../../src/server/index.ts';
import { flipBits } from '../support/flip-bits.ts';
import { patientClient, readAll, ThreeLoggers, valueOf, writeAll } from './three-loggers.ts';

test('S10 damage that a read meets is repaired from another copy', { timeout: 180_000 }, async (context) => {
  const logs: string[] = [];
  const loggers = await ThreeLoggers.in(context, {
    valueCacheBytes: 0,
    log: (level, event) => void logs.push(`${level} ${event}`),
  });
  const first = await loggers.start();
  {
    await using client = await connect(first.endpoints);
    await writeAll(client);
    // The last zones end, so that all keys lie in sealed ones.
    for (let more = 0; more < 12; more++) await client.put('more', valueOf(more));
  }
  const before = copiesAt(first, 1);
  const rotten = await flipBits(path.join(loggers.folder, 'logger-1', 'device'), before);
  assert.ok(rotten.size >= 3, `${rotten.size} zones have wrong bits`);
  await readUntil(first, () => isHealed(first, before, rotten));
  assert.ok(logs.includes('error copy damaged'));

  await loggers.wipe(0, 2);
  await using client = await patientClient(await loggers.start());
  await readAll(client);
});

/** Names of the copies that a logger holds of zones that ended. */
function copiesAt(cluster: Cluster, logger: number): Map<string, string> {
  const ended = cluster.loggers[logger]?.zones().filter(({ state }) => state === 'finished') ?? [];
  return new Map(ended.map(({ shard, zone, copyId }) => [`${shard}/${zone}`, copyId]));
}

function isHealed(cluster: Cluster, before: ReadonlyMap<string, string>, rotten: ReadonlySet<string>): boolean {
  const now = copiesAt(cluster, 1);
  const lines = cluster.gateways.flatMap((gateway) => gateway.status().shards);
  const isWhole = lines.every(({ lackingCopies, damagedCopies }) => lackingCopies === 0 && damagedCopies === 0);
  return isWhole && [...rotten].every((name) => now.has(name) && now.get(name) !== before.get(name));
}

/** Reads all keys again and again, each right, until `goal` holds. */
async function readUntil(cluster: Cluster, goal: () => boolean): Promise<void> {
  await using client = await patientClient(cluster);
  for (let round = 0; round < 400 && !goal(); round++) {
    await readAll(client);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(goal(), JSON.stringify(cluster.gateways.map((gateway) => gateway.status().shards)));
}
