/** Many reads of large values: their readers get them, and nobody else is kept waiting, least of all by who is gone. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { describe, test } from 'node:test';
import type { Client } from '../../src/client/index.ts';
import { connect } from '../../src/client/index.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { clientOptions } from '../../src/rpc/options.ts';
import { startCluster } from '../../src/server/index.ts';
import type { Cluster } from '../../src/server/index.ts';

const MIB = 1024 * 1024;

async function started(context: TestContext, loggers: number, gateways = 1): Promise<Cluster> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  const cluster = await startCluster({
    folder,
    loggers,
    gateways,
    coordinator: new MemoryCoordinator().client(),
    environment: realEnvironment(),
    device: { capacityBytes: 1024 * MIB, alignment: 512 },
  });
  context.after(async () => {
    await cluster.close();
    await rm(folder, { recursive: true, force: true });
  });
  return cluster;
}

function bareChannel(endpoint: string): Promise<RpcChannel> {
  const { network, clock } = realEnvironment();
  return new Promise((resolve) => {
    openChannel(network.connect(endpoint), clock, clientOptions(), {
      onOpen: resolve,
      onClose: () => undefined,
      onRequest: () => undefined,
      onNotice: () => undefined,
      onDrain: () => undefined,
    });
  });
}

/** Asks for `key` so many times; gives the outcomes that have come. */
function askFor(channel: RpcChannel, key: string, count: number): string[] {
  const outcomes: string[] = [];
  for (let number = 0; number < count; number++) {
    channel.request(
      'get',
      (out) => {
        out.array(2);
        out.binary(Buffer.from(key));
        out.integer(0);
      },
      (failure) => outcomes.push(failure === undefined ? 'ok' : failure.kind),
    );
  }
  channel.flush();
  return outcomes;
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

async function tookMs(work: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work;
  return performance.now() - start;
}

describe('1,000 reads of an 8 MiB value', () => {
  async function prepared(context: TestContext): Promise<{ readonly client: Client; readonly greedy: RpcChannel }> {
    const cluster = await started(context, 1);
    const client = await connect(cluster.endpoints, { timeoutMs: 60_000 });
    context.after(() => client.close());
    await client.put('large', Buffer.alloc(8 * MIB, 1));
    await client.put('other', Buffer.alloc(5 * MIB, 2));
    const greedy = await bareChannel(cluster.endpoints[0] ?? '');
    context.after(() => greedy.close('done'));
    return { client, greedy };
  }

  test('by a client that is gone delay nobody', async (context) => {
    const { client, greedy } = await prepared(context);
    askFor(greedy, 'large', 1_000);
    await pause(200);
    greedy.close('gone');
    const each = [client.get('other'), client.put('small', 'x'), client.get('small')].map(tookMs);
    for (const took of await Promise.all(each)) assert.ok(took < 2_000, `${took.toFixed(0)} ms`);
  });

  test('by a client that reads them are answered in turn with those of others', async (context) => {
    const { client, greedy } = await prepared(context);
    const outcomes = askFor(greedy, 'large', 1_000);
    await pause(200);
    for (let round = 0; round < 3; round++) {
      assert.ok((await tookMs(client.get('other'))) < 2_000);
      assert.ok((await tookMs(client.put('small', 'x'))) < 2_000);
    }
    assert.ok(greedy.isOpen);
    assert.ok(outcomes.every((outcome) => outcome === 'ok'));
  });
});

for (const { name, size, keys, reads } of [
  { name: 'one hot value of 3 MiB, 60 readers', size: 3 * MIB, keys: 1, reads: 60 },
  { name: '12 values of 16 MiB', size: 16 * MIB, keys: 12, reads: 12 },
]) {
  test(`${name}: all are read, and no connection is cut`, async (context) => {
    const cluster = await started(context, 1);
    await using client = await connect(cluster.endpoints, { timeoutMs: 60_000 });
    for (let key = 0; key < keys; key++)
      await client.put(`key${key}`, Buffer.alloc(size, key + 1), { timeoutMs: 60_000 });
    await client.get('key0');
    const results = await Promise.allSettled(
      Array.from({ length: reads }, (_, read) => client.get(`key${read % keys}`)),
    );
    const failed = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    assert.equal(
      failed.length,
      0,
      `${failed.length} of ${reads} failed, ${client.status().resends} resends: ${failed[0]}`,
    );
    assert.equal(client.status().resends, 0, 'the connection was not cut');
  });
}

test('reads of a large value through a gateway that does not own it: all are answered', async (context) => {
  const cluster = await started(context, 1, 2);
  await using client = await connect(cluster.endpoints, { timeoutMs: 30_000 });
  await client.put('large', Buffer.alloc(3 * MIB, 1));
  const outcomes = await Promise.all(
    cluster.endpoints.map(async (endpoint) => {
      const channel = await bareChannel(endpoint);
      const came = askFor(channel, 'large', 60);
      for (const end = performance.now() + 20_000; came.length < 60 && performance.now() < end; ) await pause(20);
      assert.ok(channel.isOpen);
      channel.close('done');
      return came;
    }),
  );
  for (const came of outcomes) assert.deepEqual(came, Array(60).fill('ok'));
});
