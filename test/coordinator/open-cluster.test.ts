import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { silent } from '../../src/base/log.ts';
import { joinFolder, openCluster } from '../../src/coordinator/open-cluster.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';

async function world(context: TestContext) {
  const dir = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(dir, { recursive: true }));
  const file = path.join(dir, 'coordinator.sqlite');
  const place = { dir, file, shardCount: 1, zoneSize: 65_536 };
  const open = async (): Promise<string> => {
    const { coordinator, cluster } = await openCluster(realEnvironment(), place, silent);
    await coordinator.close();
    return cluster.cluster;
  };
  const refused = async (pattern: RegExp): Promise<void> => {
    await assert.rejects(open(), { code: 'coordinator-missing', message: pattern });
  };
  const addData = async (name: string, content: string): Promise<void> => {
    await mkdir(path.join(dir, name), { recursive: true });
    await writeFile(path.join(dir, name, content), 'x');
  };
  return { dir, file, place, open, refused, addData };
}

test('an empty folder gets a cluster, and the same one afterwards', async (context) => {
  const { dir, open, addData } = await world(context);
  await mkdir(path.join(dir, 'logger-0'));
  await addData('gateway-0', 'lock');
  await addData('other', 'device');
  const first = await open();
  await addData('logger-0', 'device');
  assert.equal(await open(), first);
});

for (const [name, content] of [
  ['logger-3', 'device'],
  ['gateway-0', 'identity.json'],
] as const)
  test(`beside data of ${name} nothing is made in place of a lost coordinator, and the file put back works`, async (context) => {
    const { dir, file, open, refused, addData } = await world(context);
    const first = await open();
    await addData(name, content);
    await rename(file, `${file}.away`);
    const before = await readdir(dir);
    await refused(new RegExp(`coordinator.sqlite is not there, but ${name} has data of a cluster; put .* back`));
    assert.deepEqual(await readdir(dir), before, 'nothing is made');
    await rename(`${file}.away`, file);
    assert.equal(await open(), first);
  });

test('a coordinator without a cluster in it is no place for a new one beside data', async (context) => {
  const { file, place, open, refused, addData } = await world(context);
  await open();
  await rm(file);
  await addData('logger-0', 'device');
  const store = new MemoryCoordinator();
  await assert.rejects(joinFolder(realEnvironment(), place, store.client()), { code: 'coordinator-missing' });
  await rm(path.join(place.dir, 'logger-0'), { recursive: true });
  const { cluster } = await joinFolder(realEnvironment(), place, store.client());
  await addData('logger-0', 'device');
  assert.equal((await joinFolder(realEnvironment(), place, store.client())).cluster.cluster, cluster.cluster);
  assert.equal(existsSync(file), false);
  await refused(/is not there/);
});
