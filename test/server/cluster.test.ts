import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import { startCluster } from '../../src/server/index.ts';

test('a cluster inside one process serves, is closed, and takes up its data again', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const options = {
    folder,
    gateways: 2,
    loggers: 2,
    zoneSize: 1024 * 1024,
    device: { capacityBytes: 64 * 1024 * 1024 },
  };
  let cluster = '';
  {
    await using running = await startCluster(options);
    cluster = running.record.cluster;
    assert.equal(running.endpoints.length, 2);
    await using kv = await connect(running.endpoints);
    await kv.put('greeting', 'hello');
    assert.equal((await kv.get('greeting'))?.text, 'hello');
  }
  await using again = await startCluster(options);
  assert.equal(again.record.cluster, cluster);
  await using kv = await connect(again.endpoints);
  assert.equal((await kv.get('greeting'))?.text, 'hello');
});

test('a setting that never changes cannot be changed; counts are checked', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const options = { folder, zoneSize: 1024 * 1024, device: { capacityBytes: 64 * 1024 * 1024 } };
  await (await startCluster(options)).close();
  await assert.rejects(startCluster({ ...options, shards: 2 }), { code: 'settings-differ' });
  await assert.rejects(startCluster({ ...options, gateways: 0 }), {
    code: 'bad-argument',
    message: 'gateways: found 0; allowed: 1 to 128',
  });
});

test('a folder in use is refused', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const options = { folder, zoneSize: 1024 * 1024, device: { capacityBytes: 64 * 1024 * 1024 } };
  await using running = await startCluster(options);
  await assert.rejects(startCluster(options), { code: 'folder-in-use' });
  assert.equal(running.loggers.length, 1);
});
