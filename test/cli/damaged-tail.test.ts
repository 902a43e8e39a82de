/** S9: one flipped bit in the last record of a cluster with one logger, from the disk to what clients are told. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { connect } from '../../src/client/index.ts';
import { startCluster, type Cluster } from '../../src/server/index.ts';
import { runCommand, type CommandResult } from './fake-io.ts';

const sizes = { zoneSize: 1024 * 1024, device: { capacityBytes: 64 * 1024 * 1024 } };

/** What a crash leaves in `data` after three writes, one bit of the last one's value flipped. */
async function crashed(folder: string, data: string): Promise<void> {
  const first = path.join(folder, 'first');
  const running = await startCluster({ folder: first, ...sizes });
  const kv = await connect(running.endpoints);
  await kv.put('before', 'whole');
  await kv.put('last', 'older');
  await kv.put('last', 'acked');
  await cp(first, data, { recursive: true });
  await kv.close();
  await running.close();
  const device = path.join(data, 'logger-0', 'device');
  const bytes = await readFile(device);
  const at = bytes.lastIndexOf('acked');
  assert.ok(at > 0);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(device, bytes);
}

test('S9 a key whose newest record was damaged on its only replica is damaged until it is written again', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const data = path.join(folder, 'data');
  await crashed(folder, data);
  const lines: string[] = [];
  const log = (level: string, event: string, fields: object = {}): void =>
    void lines.push(`${level} ${event} ${JSON.stringify(fields)}`);
  const start = (): Promise<Cluster> => startCluster({ folder: data, ...sizes, log });
  const run = (cluster: Cluster, ...argv: readonly string[]): Promise<CommandResult> =>
    runCommand(folder, argv, { variables: { KV_FILELOG_ENDPOINTS: cluster.endpoints.join(',') } });
  {
    await using cluster = await start();
    await using kv = await connect(cluster.endpoints);
    await assert.rejects(kv.get('last'), { code: 'damaged', outcome: 'not-applied' });
    await assert.rejects(kv.has('last'), { code: 'damaged' });
    await assert.rejects(kv.put('last', 'x', { ifAbsent: true }), { code: 'damaged', outcome: 'not-applied' });
    assert.equal((await kv.get('before'))?.text, 'whole');
    assert.equal(await kv.get('other'), undefined);
    assert.match(lines.join('\n'), /^error zone cut: .*"damagedKeys":1,"keys":"\\"last\\"","unknownRecords":0/m);
    assert.equal((await run(cluster, 'get', 'last')).code, exitCodes.wrong);
    const zones = await run(cluster, 'zones');
    assert.match(zones.out, /doubt[\s\S]* cut/);
    assert.match(zones.err, /cut at \d+, since every copy was damaged behind it: 1 keys were damaged, and 0 records/);
    assert.match((await run(cluster, 'zones', '--json')).out, /"inDoubt":\[\{.*"doubt":"cut","lostKeys":1/);
    assert.match((await run(cluster, 'status')).out, /1 \(1 in doubt\)/);
    assert.match((await run(cluster, 'status', '--json')).out, /"doubtfulZones":1/);
  }
  const inspected = await runCommand(folder, ['inspect', 'data/logger-0']);
  assert.match(inspected.out, /behind the end[\s\S]* 1 records/);
  {
    await using cluster = await start();
    await using kv = await connect(cluster.endpoints);
    await assert.rejects(kv.get('last'), { code: 'damaged' });
    await kv.put('last', 'newest');
    assert.equal((await kv.get('last'))?.text, 'newest');
  }
  await using cluster = await start();
  await using kv = await connect(cluster.endpoints);
  assert.equal((await kv.get('last'))?.text, 'newest');
});
