import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { fill, keysOf, runOutage } from '../../bench/lib/outage.ts';
import { freeBasePort, RealCluster } from '../../bench/lib/real-cluster.ts';
import { connect } from '../../src/client/index.ts';

/** Three gateways and three loggers that nobody starts again. */
async function startCluster(context: TestContext): Promise<RealCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-take-over-'));
  context.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  const options = { dir: join(dir, 'data'), basePort: await freeBasePort(), upArguments: ['--no-restart'] };
  const cluster = await RealCluster.start(options);
  context.after(() => cluster.kill());
  return cluster;
}

test(
  'an owner is killed for good: the others take its shards over, nothing is lost, no caller sees an error',
  { timeout: 120_000 },
  async (context) => {
    const cluster = await startCluster(context);
    const load = { keys: 60, lanes: 4, beforeMs: 500, afterMs: 3_000 };
    const { writes, reads, errors, lost } = await runOutage({ cluster, signal: 'SIGKILL', ...load });
    assert.deepEqual([errors, lost], [[], []]);
    assert.ok(writes > 0 && reads > 0, `${writes} writes and ${reads} reads after the kill`);
  },
);

test(
  'an owner that stood still, and was replaced, gives no stale answer when it goes on',
  { timeout: 120_000 },
  async (context) => {
    const cluster = await startCluster(context);
    await using client = await connect(cluster.endpoints);
    await fill(client, 60);
    const owner = client.status().owners[0] ?? 0;
    const pid = cluster.processes.get(`gateway ${owner}`) ?? 0;
    await using believer = await connect([cluster.endpoints[owner] ?? ''], { direct: false });
    const keys = keysOf(client, 60, owner);
    assert.ok(keys.length > 0);
    for (const key of keys) assert.equal((await believer.get(key))?.text, '0');
    process.kill(pid, 'SIGSTOP');
    for (const key of keys) await client.put(key, 'new');
    // Asked after the write was acknowledged, and read by the old owner in its old belief.
    const answers = keys.map((key) => believer.get(key));
    process.kill(pid, 'SIGCONT');
    assert.deepEqual(
      (await Promise.all(answers)).map((entry) => entry?.text),
      keys.map(() => 'new'),
    );
    assert.notEqual(client.status().owners[0], owner);
  },
);
