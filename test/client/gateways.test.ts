import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { times } from '../../src/base/times.ts';
import type { Client } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/types.ts';
import { keyOfShard } from './keys.ts';
import { World } from './world.ts';

/** Endpoints by another name than the map has. */
function named(world: World): string[] {
  return world.cluster.gateways.map(({ number, address }) => {
    const name = `localhost:700${number}`;
    world.network.names.set(name, address);
    return name;
  });
}

async function clientByName(world: World, options: ClientOptions = {}): Promise<Client> {
  const client = await world.connect(options, named(world));
  await world.advance(20);
  return client;
}

function connections(world: World): number[] {
  return world.cluster.gateways.map((gateway) => gateway.connections);
}

test('endpoints by another name than the map has: one connection to each gateway stays', async () => {
  const world = await World.started();
  const client = await clientByName(world);
  assert.deepEqual(connections(world), [1, 1, 1]);
  assert.deepEqual(
    client.status().gateways.map(({ gateway, connected }) => [gateway, connected]),
    [
      [0, true],
      [1, true],
      [2, true],
    ],
  );
  for (const shard of [0, 1, 2]) await world.run(client.put(keyOfShard(shard), 'v'));
  assert.deepEqual(
    world.cluster.calls.map((call) => call.gateway),
    [0, 1, 2],
  );
});

test('the same with several connections to each gateway, and without a map to follow', async () => {
  const world = await World.started();
  await clientByName(world, { connectionsPerGateway: 2 });
  assert.deepEqual(connections(world), [2, 2, 2]);
  const proxied = await World.started(1);
  const [name = ''] = named(proxied);
  const [address = ''] = proxied.cluster.gateways.map((gateway) => gateway.address);
  const client = await proxied.connect({ direct: false }, [address, name]);
  await proxied.advance(20);
  assert.deepEqual(connections(proxied), [1]);
  await proxied.run(client.put('a', '1'));
});

test('requests under way are not lost when a second link to their gateway is given up', async () => {
  const world = await World.started();
  const client = await world.connect({}, named(world).slice(0, 1));
  const puts = [0, 1, 2].flatMap((shard) => Array.from({ length: 20 }, () => client.put(keyOfShard(shard), 'v')));
  await world.run(Promise.all(puts));
  assert.equal(world.cluster.calls.length, 60, 'none was sent again');
  assert.deepEqual(connections(world), [1, 1, 1]);
});

test('the address that was given up is tried again when its gateway is not reached any more', async () => {
  const world = await World.started();
  const client = await clientByName(world);
  const before = client.status().gateways.map(({ address }) => address);
  const gateway = world.cluster.gateways[1];
  const used = before.find((address) => address === gateway?.address || address === 'localhost:7001') ?? '';
  // The address in use answers nothing any more; the other one still leads to the gateway.
  world.network.silent.add(used);
  await gateway?.stop();
  await gateway?.start();
  await world.advance(times.reconnectMaxMs * 2);
  const after = client.status().gateways.find((connection) => connection.gateway === 1 && connection.connected);
  assert.ok(after !== undefined && after.address !== used);
  assert.deepEqual(connections(world), [1, 1, 1]);
  // When it is back, the one that serves stays.
  world.network.silent.delete(used);
  await world.advance(times.welcomeTimeoutMs);
  assert.deepEqual(connections(world), [1, 1, 1]);
  await world.run(client.put(keyOfShard(1), 'v'));
});

test('two processes of one gateway are not one: the new one is used while the old one still seems to be up', async () => {
  const world = await World.started(1);
  const client = await world.connect({}, ['gateway-0:7000', 'elsewhere:7000']);
  const [gateway] = world.cluster.gateways;
  assert.ok(gateway !== undefined);
  gateway.address = 'elsewhere:7000';
  gateway.instance = 'new';
  await gateway.start();
  await world.advance(times.reconnectMaxMs * 2);
  assert.deepEqual(
    client.status().gateways.map(({ gateway: number, connected }) => [number, connected]),
    [
      [0, true],
      [0, true],
    ],
  );
});

test('a gateway that was started elsewhere is found there when the link to its old address goes down', async () => {
  const world = await World.started();
  const client = await world.client();
  const [gateway] = world.cluster.gateways;
  assert.ok(gateway !== undefined);
  world.network.silent.add(gateway.address);
  gateway.address = 'elsewhere:7000';
  await gateway.start();
  world.cluster.map = { ...world.cluster.map, gateways: ['elsewhere:7000', 'gateway-1:7000', 'gateway-2:7000'] };
  world.cluster.changeMap([0, 1, 2]);
  await world.advance(20);
  let cut = true;
  world.cluster.script = (call) => (call.gateway === 0 && cut ? { kind: 'cut' } : undefined);
  const put = client.put(keyOfShard(0), 'v');
  await world.advance(5);
  cut = false;
  await world.run(put);
  await world.advance(20);
  const found = client.status().gateways.find(({ address }) => address === 'elsewhere:7000');
  assert.deepEqual([found?.gateway, found?.connected], [0, true]);
});

test('a closed client has no connection left, whatever name it had them by', async () => {
  const world = await World.started();
  const client = await clientByName(world);
  await world.run(client.close());
  await world.advance(times.reconnectMaxMs * 2);
  assert.deepEqual(connections(world), [0, 0, 0]);
  assert.deepEqual(client.status().gateways, []);
});

test('when no gateway answers, the reason of each endpoint is told, and its address once', async () => {
  const world = new World(2);
  world.network.silent.add('gateway-1:7000');
  const error = await world.failure(world.connecting({ connectTimeoutMs: 500 }));
  assert.equal(error.code, 'unavailable');
  assert.equal(error.message, 'no gateway answered: gateway-0:7000: connection refused; gateway-1:7000: no answer');
});

test('a gateway that was asked for a client id and leaves the map does not keep the client from asking another', async () => {
  const world = new World();
  world.cluster.nextClient = 0;
  await world.cluster.start();
  const client = await world.connect({}, 'gateway-0:7000');
  await world.advance(20);
  // Its next hello asks for an id, and is never answered.
  await world.cluster.gateways[1]?.stop();
  await world.advance(150);
  world.cluster.script = (call) => (call.gateway === 1 && call.method === 'hello' ? { kind: 'hang' } : undefined);
  await world.cluster.gateways[0]?.stop();
  await world.cluster.gateways[2]?.stop();
  await world.cluster.gateways[1]?.start();
  await world.advance(1_100);
  assert.equal(world.cluster.hellos.at(-1)?.wantsClientId, true);
  await world.cluster.gateways[0]?.start();
  world.cluster.map = { ...world.cluster.map, gateways: ['gateway-0:7000', '', ''], owners: [0, 0, 0], revision: 9 };
  world.cluster.nextClient = 7;
  await world.run(client.put('a', '1'));
  assert.equal(client.status().client, 7);
});
