/** S10: what a logger lost is given back to it by the others, so that it can stand for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import type { Cluster } from '../../src/server/index.ts';
import { patientClient, readAll, ThreeLoggers, writeAll } from './three-loggers.ts';

test('S10 a wiped logger gets all zones again, and then serves them alone', { timeout: 120_000 }, async (context) => {
  const loggers = await ThreeLoggers.in(context);
  {
    await using client = await connect((await loggers.start()).endpoints);
    await writeAll(client);
  }
  await loggers.wipe(2);
  await repaired(await loggers.start());
  await loggers.wipe(0, 1);
  await using client = await patientClient(await loggers.start());
  await readAll(client);
});

/** Waits until no shard lacks a copy, and the open zone has all replicas again. */
async function repaired(cluster: Cluster): Promise<void> {
  await using client = await patientClient(cluster);
  await client.put('one more', 'value');
  for (let tries = 0; tries < 600; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const shards = cluster.gateways.flatMap((gateway) => gateway.status().shards);
    const looked = tries > 30 && shards.every(({ role }) => role === 'owner');
    if (looked && shards.every(({ lackingCopies, replicas }) => lackingCopies === 0 && replicas.length === 3)) return;
  }
  assert.fail(JSON.stringify(cluster.gateways.map((gateway) => gateway.status().shards)));
}
