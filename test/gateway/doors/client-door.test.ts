import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, epoch, instanceId, uuid, zoneId } from '../../../src/base/ids.ts';
import { limits } from '../../../src/base/limits.ts';
import type { HandOverWish } from '../../../src/codec/hand-over.ts';
import type { Field } from '../../../src/codec/fields.ts';
import { fieldOf } from '../../../src/codec/fields.ts';
import { leaseClientIds } from '../../../src/coordinator/client-ids.ts';
import { MemoryCoordinator } from '../../../src/coordinator/memory/memory.ts';
import type { ShardEvent } from '../../../src/core/shard/events.ts';
import type { Head } from '../../../src/core/shard/head/metadata.ts';
import { ClientDoor } from '../../../src/gateway/doors/client-door.ts';
import { Greeting } from '../../../src/gateway/doors/greeting.ts';
import { PeerDoor } from '../../../src/gateway/doors/peer-door.ts';
import { Requests } from '../../../src/gateway/doors/requests.ts';
import { Sessions } from '../../../src/gateway/doors/sessions.ts';
import { LeasedIds } from '../../../src/gateway/leased-ids.ts';
import { ClientIds, Numbering } from '../../../src/gateway/numbering.ts';
import { ReadBudget } from '../../../src/gateway/shards/read-budget.ts';
import { Router } from '../../../src/gateway/router.ts';
import { TestbedDoor } from '../../../src/gateway/doors/testbed-door.ts';
import { silent } from '../../../src/base/log.ts';
import { Listening, RpcDoor } from '../../../src/rpc/listen.ts';
import { openChannel } from '../../../src/rpc/channel.ts';
import type { RpcChannel } from '../../../src/rpc/channel-types.ts';
import { serverOptions } from '../../../src/rpc/options.ts';
import { gatewayStatus } from '../../support/gateway-status.ts';
import type { RpcWorld } from '../../support/rpc-world.ts';
import { ask, Recorder, rpcWorld } from '../../support/rpc-world.ts';

const address = '10.0.0.9:7000';
const cluster = 'c'.repeat(32);
const gatewayClient = 5;
const leasedCount = 9;
const self = { cluster: uuid(cluster), gateway: 0, node: uuid('a'.repeat(32)), instance: instanceId('b'.repeat(16)) };
const owner = { gateway: 1, node: uuid('d'.repeat(32)), instance: instanceId('d'.repeat(16)) };
const zone = zoneId(3);
const head: Head = {
  epoch: epoch(7),
  owner,
  openZone: { zone, epoch: epoch(7), instance: owner.instance, replicas: [], processes: [] },
  nextZone: zoneId(4),
  change: 9,
};
const key = Buffer.from('key');
const value = Buffer.from('value');

/** More than one answer takes. */
const sealed = Array.from({ length: limits.zonesListedMax + 2 }, (_, index) => ({
  zone: zoneId(index + 1),
  epoch: epoch(1),
  instance: owner.instance,
  length: 100,
  replicas: [owner.node],
  former: [],
}));

const peerHello = { role: 'gateway', protocolMin: 1, protocolMax: 1, cluster, ...owner };

interface Opened {
  readonly world: RpcWorld;
  readonly channel: RpcChannel;
  /** What the shard was given, in short. */
  readonly given: unknown[];
  asked(method: string, params: readonly unknown[]): Promise<unknown>;
}

/** A door before a shard that is served here, and a connection to it. */
async function openDoor(isPeer = false, isFull = false): Promise<Opened> {
  const world = await rpcWorld();
  const given: unknown[] = [];
  const dispatch = (_: unknown, event: ShardEvent): void => {
    if (event.event === 'write')
      given.push([event.operation, event.condition, event.client, event.number, event.firstIncomplete]);
    else if (event.event === 'read') given.push([event.wantsValue ? 'get' : 'has', String(event.key), event.stale]);
    else given.push(event.event);
  };
  const runner = { shardCount: 1, shard: () => ({ role: 'owner' as const }), dispatch };
  const router = new Router({
    runner,
    store: { ownerOf: () => 0 },
    peers: { channel: () => undefined },
    budget: new ReadBudget(world.clock),
    self: 0,
    clock: world.clock,
  });
  const numbering = new Numbering(clientId(gatewayClient), { take: () => assert.fail('nobody is forgotten') }, 1);
  const map = () => ({ revision: 1, shards: 1, owners: [0], gateways: ['here'] });
  const store = { shardCount: 1, shard: () => ({ head, headRevision: 1, zones: sealed }) };
  const greeting = new Greeting({
    clientWindow: 4_096,
    cluster,
    gateway: 0,
    node: 'a'.repeat(32),
    instance: 'b'.repeat(16),
    clientIds: new ClientIds(new MemoryCoordinator().client()),
    map,
    status: () => gatewayStatus,
    suspect: (shard, zone, logger) => given.push([shard, zone, logger]) > 0 && zone === 1,
    store,
  });
  const coordinator = new MemoryCoordinator().client();
  await leaseClientIds(coordinator, leasedCount);
  // The watch has told of the first of them only.
  const leased = new LeasedIds(coordinator, { clientIdsEnd: gatewayClient });
  const requests = new Requests(router, numbering, leased, !isPeer);
  const common = { sessions: new Sessions(map), requests, greeting };
  const onHandOver = (peer: string, wish: HandOverWish): void => void given.push([peer, wish]);
  const door = isPeer
    ? new PeerDoor({ ...common, runner, store, self, onHeartbeat: () => [], onHandOver })
    : new ClientDoor({ ...common, testbed: new TestbedDoor(router, numbering) });
  const room = new Listening({ ...world, network: world.network.host('10.0.0.9'), log: silent }, isFull ? 0 : 100);
  await room.listen(address, new RpcDoor('clients', door, world, serverOptions(), 'clients'));
  const channel = openChannel(world.client.connect(address), world.clock, serverOptions(), new Recorder());
  await world.run(10);
  const asked = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    const outcomes: unknown[] = [];
    ask(channel, outcomes, method, params);
    await world.run(1_000);
    return outcomes[0];
  };
  return { world, channel, given, asked };
}

function errorOf(outcome: unknown): unknown {
  assert.ok(typeof outcome === 'object' && outcome !== null && 'error' in outcome && Array.isArray(outcome.error));
  const members: readonly unknown[] = outcome.error;
  return members[0];
}

test('requests reach their shard with the terms that were sent', async () => {
  const { given, asked } = await openDoor();
  await asked('put', [key, value, 300, 0, 7, 9, 8]);
  await asked('delete', [key, -1, 7, 10, 8]);
  await asked('get', [key, 1]);
  await asked('has', [key]);
  assert.deepEqual(given, [
    ['put', 300, 7, 9, 8],
    ['delete', -1, 7, 10, 8],
    ['get', 'key', true],
    ['has', 'key', false],
  ]);
});

test('S15 a write without a client is numbered by the gateway', async () => {
  const { given, asked } = await openDoor();
  await asked('put', [key, value, -1, 0, 0, 0, 0]);
  await asked('delete', [key, 0, 0, 99, 98]);
  assert.deepEqual(given, [
    ['put', -1, gatewayClient, 1, 1],
    ['delete', 0, gatewayClient, 2, 1],
  ]);
});

test('S15 writes of ids that were never leased are refused, whatever the id; the watch may be behind the counter', async () => {
  for (const isPeer of [false, true]) {
    const { given, asked } = await openDoor(isPeer);
    if (isPeer) await asked('hello', [peerHello]);
    const put = (client: number): Promise<unknown> => asked('put', [key, value, -1, 0, client, 1, 1]);
    for (const client of [leasedCount + 1, 2 ** 47, 2 ** 48 - 1, 2 ** 48, 2 ** 53 - 1])
      assert.equal(errorOf(await put(client)), 'bad-argument');
    assert.equal(errorOf(await asked('delete', [key, -1, leasedCount + 1, 1, 1])), 'bad-argument');
    assert.deepEqual(given, []);
    for (const client of [1, gatewayClient, leasedCount]) await put(client);
    assert.deepEqual(
      given,
      [1, gatewayClient, leasedCount].map((client) => ['put', -1, client, 1, 1]),
    );
  }
});

test('what breaks a limit or the form is refused, and the shard hears nothing', async () => {
  const { given, asked } = await openDoor();
  const long = Buffer.alloc(limits.keyBytesMax + 1);
  const large = Buffer.alloc(limits.valueBytesMax + 1);
  const none = Buffer.alloc(0);
  for (const [method, params, code] of [
    ['put', [none, value, -1, 0, 7, 9, 8], 'key-empty'],
    ['put', [long, value, -1, 0, 7, 9, 8], 'key-too-long'],
    ['put', [key, large, -1, 0, 7, 9, 8], 'value-too-large'],
    ['put', [key, value, -1, 1, 7, 9, 8], 'bad-argument'],
    ['put', [key, value], 'bad-argument'],
    ['delete', [key, -1, 7, 8, 9], 'bad-argument'],
    ['delete', [none, -1, 7, 9, 8], 'key-empty'],
    ['get', [long, 0], 'key-too-long'],
    ['get', [key, 2], 'bad-argument'],
    ['has', [none], 'key-empty'],
    ['has', [], 'bad-argument'],
  ] as const)
    assert.equal(errorOf(await asked(method, params)), code);
  assert.deepEqual(given, []);
});

test('hello chooses the version, checks the cluster and hands out client ids', async () => {
  const { asked } = await openDoor();
  const welcome = async (hello: object): Promise<Field> => fieldOf(await asked('hello', [hello]), 'welcome');
  assert.equal((await welcome({})).at('protocol').integer(), 1);
  assert.equal((await welcome({ protocolMin: 1, protocolMax: 7, cluster, more: 1 })).at('client').integer(), 0);
  const first = (await welcome({ wantsClientId: true })).at('client').integer(1);
  const second = (await welcome({ wantsClientId: true })).at('client').integer(1);
  assert.notEqual(first, second);
});

test('a hello that can not be served is refused with the reason', async () => {
  const { asked } = await openDoor();
  for (const [hello, code] of [
    [{ protocolMin: 2, protocolMax: 3 }, 'protocol-version'],
    [{ protocolMax: 0 }, 'protocol-version'],
    [{ cluster: 'd'.repeat(32) }, 'wrong-cluster'],
    [{ protocolMin: 'one' }, 'bad-argument'],
    [{ wantsClientId: 1 }, 'bad-argument'],
    ['hello', 'bad-argument'],
  ] as const)
    assert.equal(errorOf(await asked('hello', [hello])), code);
});

test('who finds no room at the client port is told so in its own words', async () => {
  assert.equal(errorOf(await (await openDoor(false, true)).asked('hello', [{ role: 'client' }])), 'overloaded');
  const testbed = await (await openDoor(false, true)).asked('HandleRead', [[1, 5, '']]);
  assert.match(JSON.stringify(testbed), /^{"error":"kv-filelog: overloaded: /);
});

test('the peer port knows no methods of the testbed', async () => {
  const client = await openDoor();
  assert.deepEqual(await client.asked('nothing', []), {
    error: "rpclib: server could not find function 'nothing' with argument count 0.",
  });
  const peer = await openDoor(true);
  assert.equal(errorOf(await peer.asked('HandleWrite', [[2, 1, 'x']])), 'unknown-method');
});

test('status is answered in its form, on both ports', async () => {
  for (const isPeer of [false, true]) {
    const { asked } = await openDoor(isPeer);
    assert.deepEqual(await asked('status', []), gatewayStatus);
  }
});

test('S16 the peer port takes requests from gateways of this cluster only, after their hello', async () => {
  const put = [key, value, -1, 0, gatewayClient, 1, 1];
  const stranger = await openDoor(true);
  for (const [method, params] of [
    ['put', put],
    ['get', [key, 0]],
    ['has', [key]],
    ['delete', [key, -1, gatewayClient, 1, 1]],
  ] as const)
    assert.equal(errorOf(await stranger.asked(method, params)), 'protocol-error');
  await stranger.asked('hello', [{ role: 'client' }]);
  assert.equal(errorOf(await stranger.asked('put', put)), 'protocol-error', 'a client is no gateway');
  assert.deepEqual(stranger.given, []);
  for (const [hello, code] of [
    [{ ...peerHello, cluster: 'e'.repeat(32) }, 'wrong-cluster'],
    [{ ...peerHello, protocolMin: 2, protocolMax: 3 }, 'protocol-version'],
    [{ ...peerHello, gateway: 2 ** 50 }, 'bad-argument'],
    [{ ...peerHello, instance: 'x' }, 'bad-argument'],
  ] as const) {
    const other = await openDoor(true);
    assert.equal(errorOf(await other.asked('hello', [hello])), code);
    assert.ok(code === 'bad-argument' || !other.channel.isOpen, 'it is told, and the connection closed');
    if (other.channel.isOpen) assert.equal(errorOf(await other.asked('put', put)), 'protocol-error');
    assert.deepEqual(other.given, []);
  }
  const peer = await openDoor(true);
  assert.deepEqual(await peer.asked('hello', [peerHello]), {
    role: 'gateway',
    protocolMin: 1,
    protocolMax: 1,
    ...self,
  });
  await peer.asked('put', put);
  assert.deepEqual(peer.given, [['put', -1, gatewayClient, 1, 1]]);
});

test('S14 catch-up is believed from the owner of the shard in its epoch, and from nobody else', async () => {
  const told = (shard: number, of: number) => [
    shard,
    of,
    owner.instance,
    ...[zone, 64, 64, 64, -1, 0, 5],
    new Uint8Array(0),
  ];
  for (const [hello, shard, of, isBelieved] of [
    [peerHello, 0, 7, true],
    [undefined, 0, 7, false],
    [{ ...peerHello, instance: 'e'.repeat(16) }, 0, 7, false],
    [peerHello, 0, 6, false],
    [peerHello, 0, 8, false],
    [peerHello, 1, 7, false],
    [peerHello, 2 ** 40, 7, false],
  ] as const) {
    const { world, channel, given, asked } = await openDoor(true);
    if (hello !== undefined) await asked('hello', [hello]);
    channel.notify('HandleCatchup', (out) => out.value(told(shard, of)));
    await world.run(10);
    assert.deepEqual(given, isBelieved ? ['catch-up'] : []);
  }
});

test('sealed zones are listed in pages, on both ports', async () => {
  for (const isPeer of [false, true]) {
    const { asked } = await openDoor(isPeer);
    const page = async (from: number): Promise<unknown[]> => {
      const zones: unknown = await asked('zones', [0, from]);
      assert.ok(Array.isArray(zones));
      return Array.from<unknown>(zones);
    };
    const first = await page(0);
    const proven = { doubt: '', lostKeys: 0, lostUnknown: 0 };
    const writer = { epoch: 1, instance: owner.instance };
    assert.deepEqual(first[0], { zone: 1, length: 100, ...writer, replicas: [owner.node], ...proven });
    assert.deepEqual(
      [first.length, (await page(first.length + 1)).length, (await page(2 ** 50)).length],
      [4_096, 2, 0],
    );
    for (const params of [[1, 0], [-1, 0], [0], [2 ** 50, 0]])
      assert.equal(errorOf(await asked('zones', params)), 'bad-argument');
  }
});

test('`suspect` names a copy to the owner of its shard, on both ports', async () => {
  for (const isPeer of [false, true]) {
    const { asked, given } = await openDoor(isPeer);
    assert.equal(await asked('suspect', [0, 1, owner.node]), true);
    assert.deepEqual(given.at(-1), [0, 1, owner.node]);
    assert.equal(errorOf(await asked('suspect', [0, 2, owner.node])), 'not-owner');
    for (const params of [
      [1, 1, owner.node],
      [0, 0, owner.node],
      [0, 1, 'nobody'],
      [0, 1],
    ])
      assert.equal(errorOf(await asked('suspect', params)), 'bad-argument');
  }
});
