/**
 * Messages of the right form with hostile numbers, at the client port and at the peer port: they are answered, and the
 * cluster goes on, the once-only table and the standbys included.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { connect } from '../../src/client/index.ts';
import type { MessageReader } from '../../src/codec/message-reader.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { shardOfKey } from '../../src/core/slots.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { clientOptions } from '../../src/rpc/options.ts';
import type { Cluster } from '../../src/server/index.ts';
import { startCluster } from '../../src/server/index.ts';
import { seededRandom } from '../core/index/index-support.ts';
import type { SeededRandom } from '../core/index/index-support.ts';
import { drawNumber } from '../support/hostile-numbers.ts';

const environment = realEnvironment();

async function start(context: TestContext): Promise<Cluster> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  const coordinator = new MemoryCoordinator().client();
  const device = { capacityBytes: 64 * MIB, alignment: 512 };
  const sizes = { gateways: 2, loggers: 2, shards: 2, zoneSize: MIB };
  const cluster = await startCluster({ folder, ...sizes, device, coordinator, environment });
  context.after(async () => {
    await cluster.close();
    await rm(folder, { recursive: true, force: true });
  });
  return cluster;
}

function open(address: string): RpcChannel {
  return openChannel(environment.network.connect(address), environment.clock, clientOptions(), {
    onOpen: () => undefined,
    onClose: () => undefined,
    onRequest: () => undefined,
    onNotice: () => undefined,
    onDrain: () => undefined,
  });
}

/** The result of a request, or its error; undefined when the connection closed. */
function asked(channel: RpcChannel, method: string, params: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve) => {
    channel.request(
      method,
      (out) => out.value(params),
      (failure, result?: MessageReader) => {
        // What the testbed reads is raw bytes in a string.
        if (result !== undefined) resolve(method === 'HandleRead' ? result.binary() : result.value());
        else resolve(failure?.kind === 'error' ? failure.error.value() : undefined);
      },
    );
  });
}

/** A request of clients; `clients` are ids that were given out. */
function request(random: SeededRandom, clients: readonly number[]): readonly [string, readonly unknown[]] {
  const number = (...honest: readonly number[]): number => drawNumber(random, ...honest);
  const key = Buffer.from(`hostile${random.below(5)}`);
  const identity = [number(0, ...clients), number(1, 2, 3), number(1)];
  switch (random.below(7)) {
    case 0:
      return ['put', [key, Buffer.alloc(random.below(50)), number(-1, 0), number(0), ...identity]];
    case 1:
      return ['delete', [key, number(-1, 0), ...identity]];
    case 2:
      return ['get', [key, number(0, 1)]];
    case 3:
      return ['has', [key]];
    case 4:
      return ['hello', [{ protocolMin: number(1), protocolMax: number(1) }]];
    case 5:
      return ['HandleWrite', [[number(2, 3), number(5), 'x']]];
    default:
      return ['HandleRead', [[number(1), number(5), '']]];
  }
}

/** The cluster writes and reads, by clients old and new. */
async function works(cluster: Cluster, round: number): Promise<void> {
  await using client = await connect(cluster.endpoints, { timeoutMs: 10_000 });
  for (let key = 0; key < 8; key++) {
    await client.put(`good${key}`, `round ${round}`);
    assert.equal((await client.get(`good${key}`))?.text, `round ${round}`);
  }
}

for (const seed of [1, 2]) {
  test(`client port and peer port answer requests with hostile numbers, and the cluster goes on (seed ${seed})`, async (context) => {
    const cluster = await start(context);
    await works(cluster, 0);
    const [first, second] = cluster.gateways;
    assert.ok(first !== undefined && second !== undefined);
    const channels = cluster.gateways.flatMap(({ clientAddress, peerAddress }) => [
      open(clientAddress),
      open(peerAddress),
    ]);
    const [clientPort, , , peerPort] = channels;
    assert.ok(clientPort !== undefined && peerPort !== undefined);
    const { node, instance } = { node: first.uuid, instance: first.instance };
    const self = { role: 'gateway', cluster: cluster.record.cluster, gateway: 0, node, instance };
    await asked(peerPort, 'hello', [{ ...self, protocolMin: 1, protocolMax: 1 }]);
    const welcome = await asked(clientPort, 'hello', [{ wantsClientId: true }]);
    assert.ok(typeof welcome === 'object' && welcome !== null && 'client' in welcome);
    const random = seededRandom(seed);
    const pool = [Number(welcome.client), 1];
    for (let round = 1; round <= 1_000; round++) {
      const all = channels.map((channel) => asked(channel, ...request(random, pool)));
      for (const outcome of await Promise.all(all)) assert.notEqual(outcome, undefined, 'the connection stays');
      if (round % 500 === 0) await works(cluster, round);
    }
    for (const channel of channels) channel.close('done');
  });
}

test('S14 catch-up with hostile numbers, from who owns the shard, keeps no standby from following', async (context) => {
  const cluster = await start(context);
  await works(cluster, 0);
  const [first, second] = cluster.gateways;
  assert.ok(first !== undefined && second !== undefined);
  const shards = first.status().shards.filter(({ owner }) => owner === 0);
  const [mine] = shards;
  assert.ok(mine !== undefined);
  const { node, instance } = { node: first.uuid, instance: first.instance };
  const hello = { role: 'gateway', cluster: cluster.record.cluster, gateway: 0, node, instance };
  const random = seededRandom(3);
  const number = (...honest: readonly number[]): number => drawNumber(random, ...honest);
  let channel = open(second.peerAddress);
  for (let round = 0; round < 600; round++) {
    if (!channel.isOpen) channel = open(second.peerAddress);
    await asked(channel, 'hello', [{ ...hello, protocolMin: 1, protocolMax: 1 }]);
    const { committedLength: at, openZone, epoch } = mine;
    const told = [
      mine.shard,
      number(epoch),
      instance,
      number(openZone, openZone + 1),
      number(at, at + 512),
      number(at, at + 1_024, 900_000),
      number(at, at + 576),
      number(-1, openZone),
      number(0, at),
      number(Date.now()),
      Buffer.alloc(random.below(3) * 40, random.below(256)),
    ];
    channel.notify('HandleCatchup', (out) => out.value(told));
    // A hello after it, so that one that is malformed has closed the connection.
    await asked(channel, 'map', []);
  }
  channel.close('done');
  await works(cluster, 1);
  const reader = open(second.clientAddress);
  const key = Array.from({ length: 8 }, (_, index) => Buffer.from(`good${index}`)).find(
    (one) => shardOfKey(one, 0, one.length, 2) === mine.shard,
  );
  assert.ok(key !== undefined);
  for (let round = 2; ; round++) {
    await works(cluster, round);
    const answer = await asked(reader, 'get', [key, 1]);
    assert.ok(Array.isArray(answer));
    const value: unknown = answer[2];
    // Within the deadline of the test: once a second the owner says how far it is.
    if (value instanceof Uint8Array && Buffer.from(value).toString() === `round ${round}`) break;
  }
  reader.close('done');
});
