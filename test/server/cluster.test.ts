import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import { KvError, startCluster, type Log } from '../../src/server/index.ts';

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

test('options that are misspelt or not allowed are refused before anything is started', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const options = { folder: path.join(folder, 'data') };
  const wrong: readonly (readonly [options: unknown, pattern: RegExp])[] = [
    [undefined, /must be|an object/],
    [{}, /folder: found undefined/],
    [{ ...options, replicsa: 1 }, /found unknown names "replicsa"; allowed: folder, gateways, /],
    [{ ...options, device: { capacity: 1 } }, /device: found unknown names "capacity"; allowed: capacityBytes, /],
    [{ ...options, device: 5 }, /device: found 5/],
    [{ ...options, loggers: '3' }, /loggers: found 3; allowed: 1 to 128/],
    [{ ...options, replicas: 0 }, /replicas: found 0; allowed: an integer from 1 to 128/],
    [{ ...options, minReplicas: 2 }, /minReplicas: found 2; allowed: at most the number of loggers \(1\)/],
    [{ ...options, loggerTimeoutMs: 1.5 }, /loggerTimeoutMs: found 1.5/],
    [{ ...options, host: 5 }, /host: found 5/],
  ];
  for (const [given, pattern] of wrong) {
    const starting: unknown = Reflect.apply(startCluster, undefined, [given]);
    assert.ok(starting instanceof Promise);
    await assert.rejects(
      starting,
      (error) => error instanceof KvError && error.code === 'bad-argument' && pattern.test(error.message),
    );
  }
  assert.equal(existsSync(options.folder), false);
});

test('a cluster with fewer loggers than replicas are wanted does not wait for more', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  const device = { capacityBytes: 64 * 1024 * 1024 };
  const log: Log = (_level, event, fields) => void lines.push(`${event} ${JSON.stringify(fields)}`);
  await using running = await startCluster({ folder, zoneSize: 1024 * 1024, device, log });
  await using kv = await connect(running.endpoints);
  await kv.put('greeting', 'hello');
  assert.deepEqual(
    lines.filter((line) => /of [23] loggers/.test(line)),
    [],
  );
});
