import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { Link, type LinkOptions } from '../../src/rpc/link.ts';
import { serverOptions } from '../../src/rpc/options.ts';
import {
  ask,
  clientHost,
  echo,
  newest,
  Recorder,
  type RpcWorld,
  rpcWorld,
  serverAddress,
  serverHost,
} from '../support/rpc-world.ts';

interface Watched {
  readonly link: Link;
  readonly events: string[];
}

function linkOf(world: RpcWorld, options: Partial<LinkOptions> = {}): Watched {
  const events: string[] = [];
  const link = new Link({
    network: world.client,
    clock: world.clock,
    random: new SimulatedRandom('link'),
    address: serverAddress,
    onUp: () => events.push('up'),
    onDown: (reason) => events.push(`down: ${reason}`),
    onFailure: (reason) => events.push(`failure: ${reason}`),
    ...options,
  });
  return { link, events };
}

test('a link comes up, carries requests, and closes for good', async () => {
  const world = await rpcWorld({ onRequest: echo });
  const { link, events } = linkOf(world);
  assert.equal(link.channel, undefined);
  await world.run(10);
  assert.deepEqual(events, ['up']);
  assert.ok(link.channel !== undefined);
  const outcomes: unknown[] = [];
  ask(link.channel, outcomes, 'echo', [1]);
  await world.run(10);
  assert.deepEqual(outcomes, [[1]]);
  link.close();
  link.close();
  assert.equal(link.channel, undefined);
  await world.run(10_000);
  assert.deepEqual(events, ['up', 'down: closed by this side']);
  assert.equal(world.accepted.length, 1);
  assert.equal(world.network.connectionEnds, 0);
});

test('a link that was cut comes back', async () => {
  const world = await rpcWorld();
  const { link, events } = linkOf(world);
  await world.run(10);
  world.network.cut(clientHost, serverHost);
  await world.run(5);
  assert.equal(link.channel, undefined);
  assert.match(link.lastFailure ?? '', /reset/);
  await world.run(100);
  assert.deepEqual(
    events.map((event) => event.slice(0, 4)),
    ['up', 'down', 'up'],
  );
  assert.equal(link.lastFailure, undefined);
});

test('attempts back off exponentially with jitter, and a success resets that', async () => {
  const world = await rpcWorld();
  world.network.refuse(serverAddress);
  const times: number[] = [];
  const { link, events } = linkOf(world, {
    reconnectMinMs: 20,
    reconnectMaxMs: 1000,
    onFailure: () => times.push(world.clock.now()),
  });
  await world.run(20_000);
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  for (const [index, pause] of pauses.entries()) {
    const step = Math.min(1000, 20 * 2 ** index);
    assert.ok(pause >= step / 2 && pause <= step + 2, `pause ${index} is ${pause} of ${step}`);
  }
  assert.ok(pauses.length > 20 && pauses.length < 50);
  assert.ok(new Set(pauses.map(Math.round)).size > 10, 'jitter');
  world.network.refuse(serverAddress, false);
  await world.run(1010);
  assert.deepEqual(events, ['up']);
  world.network.refuse(serverAddress);
  times.length = 0;
  world.network.cut(clientHost);
  const cutAt = world.clock.now();
  await world.run(100);
  assert.ok((times[0] ?? Number.POSITIVE_INFINITY) - cutAt <= 25, 'the first attempt after a success comes soon');
  link.close();
});

test('hurry tries again at once', async () => {
  const world = await rpcWorld();
  world.network.refuse(serverAddress);
  const { link, events } = linkOf(world, { reconnectMinMs: 10_000, reconnectMaxMs: 10_000 });
  await world.run(10);
  world.network.refuse(serverAddress, false);
  link.hurry();
  link.hurry();
  await world.run(10);
  assert.equal(events.at(-1), 'up');
  link.hurry();
  await world.run(10);
  assert.equal(world.accepted.length, 1);
  link.close();
});

test('a connection that does not come about within its time is given up and tried again', async () => {
  const world = await rpcWorld();
  world.network.partition(clientHost, serverHost);
  const { link, events } = linkOf(world, { connectTimeoutMs: 500 });
  await world.run(490);
  assert.deepEqual(events, []);
  await world.run(20);
  assert.deepEqual(events, ['failure: no connection within 500 ms']);
  world.network.heal();
  await world.run(1000);
  assert.equal(events.at(-1), 'up');
  link.close();
});

test('the handshake comes before the link is up, and may refuse', async () => {
  const world = await rpcWorld({ onRequest: echo });
  let attempts = 0;
  const { link, events } = linkOf(world, {
    handshake: (channel, done) => {
      attempts++;
      channel.request(
        'hello',
        (out) => out.value([attempts]),
        (failure, result) => {
          assert.equal(link.channel, undefined);
          result?.array();
          const number = failure === undefined ? result?.integer() : undefined;
          done(number === 3 ? undefined : `not welcome at attempt ${number}`);
          done();
          done('late');
        },
      );
    },
  });
  await world.run(300);
  assert.deepEqual(events, ['failure: not welcome at attempt 1', 'failure: not welcome at attempt 2', 'up']);
  assert.ok(link.channel?.isOpen);
  link.close();
});

test('a handshake that is not answered in time is given up', async () => {
  const world = await rpcWorld();
  const { link, events } = linkOf(world, { connectTimeoutMs: 300, handshake: () => undefined });
  await world.run(310);
  assert.deepEqual(events, ['failure: no connection within 300 ms']);
  link.close();
  await world.run(100);
  assert.equal(world.network.connectionEnds, 0);
  assert.equal(events.length, 1);
});

test('retarget goes elsewhere at once', async () => {
  const world = await rpcWorld();
  const other = new Recorder();
  const accepted: RpcChannel[] = [];
  await world.network
    .host('10.0.0.3')
    .listen('10.0.0.3:7000', (connection) =>
      accepted.push(openChannel(connection, world.clock, serverOptions(), other)),
    );
  const { link, events } = linkOf(world);
  await world.run(10);
  link.retarget('10.0.0.3:7000');
  link.retarget('10.0.0.3:7000');
  assert.equal(link.channel, undefined);
  await world.run(10);
  assert.deepEqual([link.address, accepted.length, world.accepted.length], ['10.0.0.3:7000', 1, 1]);
  assert.deepEqual(events, ['up', 'down: the other side is now looked for at 10.0.0.3:7000', 'up']);
  assert.equal(newest(world).isOpen, false);
  link.close();
  link.retarget(serverAddress);
  await world.run(1000);
  assert.equal(world.accepted.length, 1);
});

test('a link closed while it connects says nothing and leaves nothing', async () => {
  const world = await rpcWorld();
  const { link, events } = linkOf(world);
  link.close();
  await world.run(1000);
  assert.deepEqual(events, []);
  assert.equal(world.network.connectionEnds, 0);
  assert.equal(world.clock.waiting, 0);
});

test('what the other side asks goes to the handler, and is refused without one', async () => {
  const world = await rpcWorld();
  const plain = linkOf(world);
  await world.run(10);
  const outcomes: unknown[] = [];
  ask(newest(world), outcomes, 'who', []);
  await world.run(10);
  plain.link.close();
  const notices: string[] = [];
  const handling = linkOf(world, {
    handler: { onRequest: echo, onNotice: (_channel, method) => notices.push(method) },
  });
  await world.run(10);
  ask(newest(world), outcomes, 'who', ['me']);
  newest(world).notify('news', (out) => out.array(0));
  await world.run(10);
  assert.deepEqual([outcomes, notices], [[{ error: "unknown method 'who'" }, ['me']], ['news']]);
  handling.link.close();
});
