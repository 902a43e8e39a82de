/** A logger as a node: over TCP, on real files. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import { shardId, uuid, zoneId } from '../../src/base/ids.ts';
import { limits } from '../../src/base/limits.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { listMembers } from '../../src/coordinator/members.ts';
import { startLogger } from '../../src/logger/logger.ts';
import { LoggerClient } from '../../src/rpc/logger-client.ts';
import {
  connectTo,
  device,
  options,
  outcomes,
  sealed,
  value,
  withFolder,
  withLogger,
  world,
  zoneSize,
} from './support.ts';
import { testCluster, testInstance, testWriter, ZoneWriter } from './zone-writer.ts';

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KvError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('a logger over TCP', () => {
  test('appends, reads, confirms, seals, finishes and resets', async () => {
    await withFolder(async (folder) => {
      await withLogger(folder, async (client, node) => {
        const writer = new ZoneWriter();
        const items = [writer.filled(100), writer.filled(70_000), writer.filled(0)];
        assert.deepEqual(
          outcomes(await client.append(...items)),
          items.map((item) => zoneSize + item.offset),
        );
        const all = Buffer.concat(items.map((item) => item.bytes));
        const read = value(
          await client.read(
            { ...writer.place, offset: 0, length: all.length },
            { ...writer.place, offset: 64, length: 0 },
            { ...writer.place, offset: 1, length: all.length },
          ),
        );
        assert.deepEqual(
          read.map((item) =>
            item.kind === 'ok' ? Buffer.from(item.value).equals(all.subarray(0, item.value.length)) : item.code,
          ),
          [true, true, 'out-of-range'],
        );
        assert.deepEqual(value(await client.confirm(42, writer.place)), { number: 42, refusals: [undefined] });
        const { shard, zone } = writer;
        assert.deepEqual(value(await client.seal({ shard, zone, ...testWriter(2) })), {
          length: all.length,
          seen: 0,
          doubtful: false,
          tail: 'clean',
          process: node.instance,
          known: { fence: undefined, zones: [{ zone, ...testWriter(1) }] },
        });
        assert.deepEqual(value(await client.confirm(43, writer.place)), { number: 43, refusals: ['fenced'] });
        value(await client.finish(writer.shard, writer.zone, all.length));
        const [status] = value(
          await client.report(writer.shard, { shard: writer.shard, zone: writer.zone, length: all.length }),
        );
        assert.equal(status?.digest, createHash('sha256').update(all).digest('hex'));
        assert.equal(status.state, 'finished');
        assert.equal(status.batches, 3);
        value(await client.reset(writer.shard, writer.zone, status.copyId));
        assert.deepEqual(value(await client.report(undefined)), []);
      });
    });
  });

  test('S20 what a logger knows is told without a fence being raised', async () => {
    await withFolder(async (folder) => {
      await withLogger(folder, async (client) => {
        const writer = new ZoneWriter();
        const { shard, zone } = writer;
        assert.deepEqual(value(await client.testify(shard)), { fence: undefined, zones: [] });
        outcomes(await client.append(writer.filled(100)));
        const zones = [{ zone, ...testWriter(1) }];
        assert.deepEqual(value(await client.testify(shard)), { fence: undefined, zones });
        assert.deepEqual(value(await client.confirm(1, writer.place)), { number: 1, refusals: [undefined] });
        sealed(await client.seal({ shard, zone, ...testWriter(3) }));
        for (let asked = 0; asked < 2; asked += 1)
          assert.deepEqual(value(await client.testify(shard)), { fence: testWriter(3), zones });
      });
    });
  });

  test('S19 a Fill over the wire completes a shorter copy', async () => {
    await withFolder(async (folder) => {
      const writer = new ZoneWriter();
      const [first, second] = [writer.filled(100), writer.filled(70_000)];
      const by = testWriter(2);
      const { shard, zone } = writer;
      await withLogger(folder, async (client) => void outcomes(await client.append(first)));
      await withLogger(folder, async (client, node) => {
        const fill = { shard, zone, by, offset: second.offset, bytes: second.bytes };
        const unsealed = await client.fill(fill);
        assert.equal(unsealed.kind === 'refused' ? unsealed.code : unsealed.kind, 'unsealed');
        const seal = sealed(await client.seal({ shard, zone, ...by }));
        assert.deepEqual([seal.length, seal.process], [second.offset, node.instance]);
        assert.equal(value(await client.fill(fill)), writer.offset);
        const [read] = value(await client.read({ shard, zone, offset: 0, length: writer.offset }));
        assert.ok(read?.kind === 'ok');
        assert.ok(Buffer.from(read.value).equals(Buffer.concat([first.bytes, second.bytes])));
      });
    });
  });

  test('S16 a request that names another logger is refused', async () => {
    await withFolder(async (folder) => {
      await withLogger(folder, async (client) => {
        const other = new LoggerClient(uuid('e'.repeat(32)), { write: client.write, read: client.read_ });
        const writer = new ZoneWriter();
        const codes = await Promise.all([
          new Promise<string>((done) =>
            other.append([writer.filled(1)], (answer) => done(answer.kind === 'refused' ? answer.code : answer.kind)),
          ),
          new Promise<string>((done) =>
            other.confirm(1, [writer.place], (answer) => done(answer.kind === 'refused' ? answer.code : answer.kind)),
          ),
          new Promise<string>((done) =>
            other.seal({ ...writer.place, ...testWriter(5) }, (answer) =>
              done(answer.kind === 'refused' ? answer.code : answer.kind),
            ),
          ),
          new Promise<string>((done) =>
            other.fill({ ...writer.place, by: testWriter(5), offset: 0, bytes: Buffer.alloc(0) }, (answer) =>
              done(answer.kind === 'refused' ? answer.code : answer.kind),
            ),
          ),
          new Promise<string>((done) =>
            other.finish(writer.shard, writer.zone, 0, (answer) =>
              done(answer.kind === 'refused' ? answer.code : answer.kind),
            ),
          ),
          new Promise<string>((done) =>
            other.reset(writer.shard, writer.zone, '0'.repeat(16), (answer) =>
              done(answer.kind === 'refused' ? answer.code : answer.kind),
            ),
          ),
          new Promise<string>((done) =>
            other.read([{ ...writer.place, offset: 0, length: 1 }], (answer) =>
              done(answer.kind === 'refused' ? answer.code : answer.kind),
            ),
          ),
          new Promise<string>((done) =>
            other.probe(1, (answer) => done(answer.kind === 'refused' ? answer.code : answer.kind)),
          ),
          new Promise<string>((done) =>
            other.reportZones(undefined, [], (answer) => done(answer.kind === 'refused' ? answer.code : answer.kind)),
          ),
        ]);
        assert.deepEqual(codes, Array(9).fill('wrong-logger'));
        assert.deepEqual(value(await client.confirm(1, writer.place)).refusals, [undefined], 'no fence was set');
      });
    });
  });

  test('an emptied folder comes back as another logger; its members entry follows', async () => {
    await withFolder(async (folder) => {
      const coordinator = new MemoryCoordinator().client();
      const writer = new ZoneWriter();
      let before = '';
      await withLogger(
        folder,
        async (client, node) => {
          before = node.uuid;
          value(await client.append(writer.filled(10)));
        },
        { world: { coordinator } },
      );
      await withLogger(folder, async (_, node) => assert.equal(node.uuid, before), { world: { coordinator } });
      await rm(join(folder, 'device'));
      await withLogger(
        folder,
        async (client, node) => {
          assert.notEqual(node.uuid, before);
          assert.deepEqual(value(await client.report(undefined)), []);
          const { loggers, revision } = await listMembers(coordinator);
          assert.deepEqual(loggers, [
            {
              number: 0,
              uuid: node.uuid,
              instance: node.instance,
              readAddress: node.readAddress,
              writeAddress: node.writeAddress,
              revision,
            },
          ]);
        },
        { world: { coordinator } },
      );
    });
  });

  test('S16 a copy of a folder does not start while the original runs, under no number; later it may', async () => {
    await withFolder(async (folder) => {
      const coordinator = new MemoryCoordinator().client();
      const environment = { world: { coordinator } };
      const [original, copied] = [join(folder, 'original'), join(folder, 'copy')];
      await withLogger(original, async () => undefined, environment);
      await cp(original, copied, { recursive: true });
      await withLogger(
        original,
        async (client, node) => {
          for (const id of [0, 1]) {
            const started = startLogger(options(copied, { id }), world({ coordinator }));
            await assert.rejects(started, { code: 'logger-twice' });
          }
          assert.equal(value(await client.ping('read')).instance, node.instance);
          assert.equal((await listMembers(coordinator)).loggers[0]?.instance, node.instance);
        },
        environment,
      );
      await withLogger(copied, async () => undefined, { ...environment, options: { id: 1 } });
      assert.deepEqual(
        (await listMembers(coordinator)).loggers.map(({ number }) => number),
        [1],
      );
    });
  });

  test('S3, S4 fences, floors, finished lengths and what was acknowledged survive a restart', async () => {
    await withFolder(async (folder) => {
      const open = new ZoneWriter({ shard: 1, zone: 3 });
      const finished = new ZoneWriter({ shard: 2, zone: 8 });
      await withLogger(folder, async (client) => {
        outcomes(await client.append(open.filled(5_000), finished.filled(300), finished.filled(300)));
        open.committed = 64;
        outcomes(await client.append(open.filled(100)));
        value(await client.finish(finished.shard, finished.zone, finished.offset));
        sealed(await client.seal({ shard: shardId(9), zone: zoneId(1), ...testWriter(7) }));
      });
      for (let restart = 0; restart < 3; restart += 1) {
        await withLogger(folder, async (client) => {
          const zones = value(await client.report(undefined)).map(({ shard, state, length, seen }) => ({
            shard,
            state,
            length,
            seen,
          }));
          assert.deepEqual(zones, [
            { shard: 1, state: 'restarted', length: open.offset, seen: 64 },
            { shard: 2, state: 'finished', length: finished.offset, seen: finished.offset },
          ]);
          assert.deepEqual(
            value(await client.confirm(1, { shard: shardId(9), zone: zoneId(5), ...testWriter(6) })).refusals,
            ['fenced'],
          );
          assert.deepEqual(outcomes(await client.append(new ZoneWriter({ shard: 1, zone: 2, epoch: 9 }).filled(1))), [
            'retired-zone',
          ]);
        });
      }
    });
  });

  test('hello and ping say who answers, on both ports', async () => {
    await withFolder(async (folder) => {
      await withLogger(folder, async (client, node) => {
        for (const port of ['read', 'write'] as const) {
          assert.deepEqual(value(await client.hello(port)), {
            cluster: testCluster,
            logger: node.uuid,
            instance: node.instance,
            protocol: 1,
          });
          assert.deepEqual(value(await client.ping(port)), node.status());
        }
      });
    });
  });

  test('what is not understood is refused, and the connection goes on', async () => {
    await withFolder(async (folder) => {
      await withLogger(folder, async (client, node) => {
        const ask = (channel: typeof client.write, method: string, params: unknown): Promise<string> =>
          new Promise((done) =>
            channel.request(
              method,
              (out) => out.value(params),
              (failure) => done(failure?.kind === 'error' ? String(failure.error.value()) : String(failure?.kind)),
            ),
          );
        assert.match(await ask(client.write, 'Read', []), /unknown method/);
        assert.match(await ask(client.read_, 'Append', []), /unknown method/);
        assert.match(await ask(client.write, 'Append', []), /malformed/);
        assert.match(await ask(client.write, 'Append', [node.uuid, [[0, 1, 1, testInstance, 0]]]), /malformed/);
        assert.match(await ask(client.write, 'Seal', [node.uuid, -1, 1, 1, testInstance]), /malformed/);
        assert.match(await ask(client.write, 'Seal', [node.uuid, 0, 0, 1, testInstance]), /malformed/);
        assert.match(
          await ask(client.write, 'Append', [node.uuid, [[0, 1, 1, testInstance, 0, 'text']]]),
          /undefined|malformed/,
        );
        assert.match(
          await ask(client.write, 'Confirm', [
            node.uuid,
            1,
            Array.from({ length: limits.appendItemsMax + 1 }, () => [0, 1, 1, testInstance]),
          ]),
          /too-large/,
        );
        assert.match(
          await ask(client.read_, 'Read', [
            node.uuid,
            [
              [0, 1, 0, limits.readBytesMax],
              [0, 1, 0, 1],
            ],
          ]),
          /too-large/,
        );
        assert.equal(value(await client.ping('write')).state, 'ready');
      });
    });
  });

  test('a read of what is not in the cache goes through the thread pool and gives the same bytes', async () => {
    await withFolder(async (folder) => {
      const writer = new ZoneWriter();
      const items = Array.from({ length: 8 }, () => writer.filled(60_000));
      await withLogger(folder, async (client) => void outcomes(await client.append(...items)));
      await withLogger(folder, async (client) => {
        for (let round = 0; round < 2; round += 1) {
          const read = value(
            await client.read(
              ...items.map((item) => ({ ...writer.place, offset: item.offset, length: item.bytes.length })),
            ),
          );
          assert.deepEqual(
            read.map(
              (item, index) =>
                item.kind === 'ok' && Buffer.from(item.value).equals(items[index]?.bytes ?? Buffer.alloc(0)),
            ),
            items.map(() => true),
          );
        }
      });
    });
  });
});

describe('a logger that cannot start says why', () => {
  test('a folder in use, a folder of another cluster, other settings, a port in use', async () => {
    await withFolder(async (folder) => {
      await withLogger(folder, async (_, node) => {
        assert.equal(await codeOf(startLogger(options(folder), world())), 'folder-in-use');
        const elsewhere = join(folder, 'second');
        assert.equal(
          await codeOf(startLogger(options(elsewhere, { readAddress: node.readAddress }), world())),
          'port-in-use',
        );
        assert.equal(
          await codeOf(startLogger(options(elsewhere, { writeAddress: node.readAddress }), world())),
          'port-in-use',
        );
        assert.equal(
          await codeOf(startLogger(options(elsewhere, { writeAddress: 'nonsense' }), world())),
          'address-invalid',
        );
      });
      assert.equal(
        await codeOf(startLogger(options(folder, { cluster: uuid('a'.repeat(32)) }), world())),
        'wrong-cluster',
      );
      assert.equal(
        await codeOf(startLogger(options(folder, { device: { ...device, alignment: 512 } }), world())),
        'settings-differ',
      );
      assert.equal(await codeOf(startLogger(options(folder, { zoneSize: 2 * zoneSize }), world())), 'settings-differ');
      await withLogger(folder, async () => undefined);
    });
  });

  test('close is idempotent and lets the folder go', async () => {
    await withFolder(async (folder) => {
      const environment = world();
      const node = await startLogger(options(folder), environment);
      const client = connectTo(node, environment);
      value(await client.append(new ZoneWriter().filled(10)));
      await Promise.all([node.close(), node.close()]);
      assert.equal((await client.append(new ZoneWriter({ shard: 1 }).filled(10))).kind, 'lost');
      await withLogger(folder, async () => undefined);
    });
  });
});
