import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fill, Load } from '../../bench/lib/outage.ts';
import { freeBasePort, RealCluster } from '../../bench/lib/real-cluster.ts';
import { connect } from '../../src/client/index.ts';

const keys = Array.from({ length: 60 }, (_, index) => `key${index}`);

/** Ends a node as an operator does, and waits until its supervisor has started it again. */
async function restart(cluster: RealCluster, name: string): Promise<void> {
  const pid = cluster.processes.get(name) ?? 0;
  process.kill(pid, 'SIGTERM');
  for (let look = 0; look < 300 && cluster.processes.get(name) === pid; look += 1) await sleep(100);
  assert.notEqual(cluster.processes.get(name), pid, `${name} is started again`);
  await sleep(2_000);
}

test(
  'all processes are restarted in turn under load: no call fails, nothing is lost',
  { timeout: 180_000 },
  async (context) => {
    const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-rolling-'));
    context.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
    const cluster = await RealCluster.start({ dir: join(dir, 'data'), basePort: await freeBasePort() });
    context.after(() => cluster.kill());
    await using client = await connect(cluster.endpoints);
    await fill(client, keys.length);
    const load = new Load(client, keys, 4);
    await sleep(500);
    load.count();
    for (const kind of ['gateway', 'logger'])
      for (const number of [0, 1, 2]) await restart(cluster, `${kind} ${number}`);
    await load.stop();
    assert.deepEqual([load.errors, await load.lost()], [[], []]);
    assert.ok(load.writes.count > 0 && load.reads.count > 0);
    context.diagnostic(
      `longest pause: writes ${load.writes.gapMs.toFixed(0)} ms, reads ${load.reads.gapMs.toFixed(0)} ms`,
    );
  },
);
