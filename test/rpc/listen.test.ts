import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../src/base/limits.ts';
import { NetworkError, type Connection, type Network, type NetworkErrorCode } from '../../src/env/network.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedNetwork } from '../../src/env/simulated/network.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { Listening, RpcDoor, type Door, type RpcGuests } from '../../src/rpc/listen.ts';
import { clientOptions, serverOptions } from '../../src/rpc/options.ts';
import { ask, clientHost, echo, Recorder, serverAddress, serverHost } from '../support/rpc-world.ts';

class EchoGuests extends Recorder implements RpcGuests {
  readonly #channels = new Set<RpcChannel>();

  constructor() {
    super({ onRequest: echo });
  }

  get connections(): number {
    return this.#channels.size;
  }

  admit(channel: RpcChannel): void {
    this.#channels.add(channel);
  }

  override onClose(channel: RpcChannel, reason: string, code: NetworkErrorCode | undefined): void {
    super.onClose(channel, reason, code);
    this.#channels.delete(channel);
  }
}

function world(connectionsMax?: number) {
  const clock = new SimulatedClock();
  const network = new SimulatedNetwork(clock, new SimulatedRandom(1));
  const lines: string[] = [];
  const listening = new Listening(
    {
      clock,
      network: network.host(serverHost),
      log: (level, event, fields) => lines.push(`${level} ${event} ${JSON.stringify(fields)}`),
    },
    connectionsMax,
  );
  const guests = new EchoGuests();
  const client = network.host(clientHost);
  return {
    clock,
    lines,
    listening,
    guests,
    door: new RpcDoor('guests', guests, { clock }, serverOptions()),
    connect: (address: string): Recorder => {
      const recorder = new Recorder();
      openChannel(client.connect(address), clock, clientOptions(), recorder);
      return recorder;
    },
    client,
    run: (ms: number) => clock.runUntil(clock.now() + ms),
  };
}

test('who connects gets a channel with the options and the handler of the door', async () => {
  const { clock, listening, door, client, guests, run } = world();
  assert.equal(await listening.listen(serverAddress, door), serverAddress);
  const outcomes: unknown[] = [];
  ask(openChannel(client.connect(serverAddress), clock, clientOptions(), new Recorder()), outcomes, 'echo', ['x']);
  await run(100);
  assert.deepEqual([outcomes, guests.connections], [[['x']], 1]);
});

test('a full door refuses, with one line a minute; another door of the node has room of its own', async () => {
  const { lines, listening, door, connect, guests, run, clock } = world(2);
  await listening.listen(serverAddress, door);
  const others = new EchoGuests();
  const second = await listening.listen(`${serverHost}:0`, new RpcDoor('others', others, { clock }, serverOptions()));
  const recorders = Array.from({ length: 12 }, () => connect(serverAddress));
  await run(100);
  assert.equal(guests.connections, 2);
  assert.equal(recorders.filter((recorder) => recorder.closeReason !== undefined).length, 10);
  assert.deepEqual(lines, ['warn connections refused: too many {"door":"guests","limit":2,"count":1}']);
  connect(second);
  await run(100);
  assert.equal(others.connections, 1);
  await run(60_000);
  assert.deepEqual(lines.slice(1), ['warn connections refused: too many {"door":"guests","limit":2,"count":9}']);
});

test('clients leave the reserve of descriptors to members, and are told why when they ask', async () => {
  const { clock, lines, client, run } = world();
  const [clients, members] = [new EchoGuests(), new EchoGuests()];
  const refuse = (channel: RpcChannel, id: number): void => channel.answerErrorText(id, 'no room');
  const network: Network = {
    listen: (address, onConnection) => client.listen(address, onConnection),
    connect: (address) => client.connect(address),
    get descriptors() {
      // With the one that is at the door, as a real network counts.
      return { max: 64, accepted: clients.connections + members.connections + 1 };
    },
  };
  const log = (level: string, event: string, fields: unknown): void =>
    void lines.push(`${level} ${event} ${JSON.stringify(fields)}`);
  const listening = new Listening({ clock, network, log });
  const inside = Object.assign(clients, { refuse });
  const clientDoor = new RpcDoor('clients', inside, { clock }, serverOptions(), 'clients');
  const clientPort = await listening.listen(`${clientHost}:0`, clientDoor);
  const memberPort = await listening.listen(
    `${clientHost}:0`,
    new RpcDoor('peers', members, { clock }, serverOptions()),
  );
  const outcomes: unknown[] = [];
  const connect = (port: string): Recorder => {
    const recorder = new Recorder();
    const channel = openChannel(client.connect(port), clock, clientOptions(), recorder);
    if (port === clientPort) ask(channel, outcomes, 'echo', ['x']);
    return recorder;
  };
  const recorders = Array.from({ length: 50 }, () => connect(clientPort));
  await run(5_000);
  assert.equal(clients.connections, 32);
  assert.equal(recorders.filter(({ closeReason }) => closeReason !== undefined).length, 18);
  const refused = outcomes.filter((outcome) => JSON.stringify(outcome) === '{"error":"no room"}');
  assert.equal(refused.length, limits.refusalsWaitingMax, 'the others are closed at once');
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? '',
    /^warn connections refused: too many .*"clients","limit":32,"reason":"descriptors used up/,
  );
  for (let count = 0; count < 9; count++) connect(memberPort);
  await run(100);
  assert.equal(members.connections, 8, 'members may have all but the last few');
  // One that asks nothing does not keep its place among those who are told.
  const quiet = new Recorder();
  openChannel(client.connect(clientPort), clock, clientOptions(), quiet);
  await run(2_000);
  assert.notEqual(quiet.closeReason, undefined);
});

test('a door of another protocol takes connections as they are, and has its own word for a refusal', async () => {
  const { listening, client, run } = world(1);
  const taken: Connection[] = [];
  const quiet = { onOpen: () => undefined, onData: () => undefined, onDrain: () => undefined };
  const door: Door = {
    name: 'lines',
    get connections() {
      return taken.length;
    },
    admit: (connection) => {
      taken.push(connection);
      connection.handle({ ...quiet, onClose: () => undefined });
    },
    refuse: (connection) => {
      connection.handle({ ...quiet, onClose: () => undefined });
      connection.write([Buffer.from('-ERR max number of clients reached\r\n')]);
      connection.end();
    },
  };
  await listening.listen(serverAddress, door);
  const received: string[] = [];
  for (let count = 0; count < 2; count++)
    client.connect(serverAddress).handle({
      ...quiet,
      onData: (bytes) => received.push(Buffer.from(bytes).toString()),
      onClose: () => received.push('closed'),
    });
  await run(100);
  assert.deepEqual([taken.length, received], [1, ['-ERR max number of clients reached\r\n', 'closed']]);
});

test('after close nobody comes in, those who are in stay', async () => {
  const { listening, door, connect, guests, run } = world();
  await listening.listen(serverAddress, door);
  connect(serverAddress);
  await run(100);
  await Promise.all([listening.close(), listening.close()]);
  const late = connect(serverAddress);
  await run(100);
  assert.equal(guests.connections, 1);
  assert.notEqual(late.closeReason, undefined);
});

test('an address that cannot be had is an operating error', async () => {
  const { listening, door, clock } = world();
  await listening.listen(serverAddress, door);
  await assert.rejects(listening.listen(serverAddress, door), { name: 'KvError', code: 'port-in-use' });
  await assert.rejects(listening.listen('10.0.0.9:1', door), { name: 'KvError', code: 'address-invalid' });
  const network: Network = {
    listen: () => Promise.reject(new NetworkError('permission', 'cannot listen at 10.0.0.2:80: EACCES')),
    connect: () => assert.fail('nobody connects'),
  };
  await assert.rejects(new Listening({ network, clock, log: () => undefined }).listen('10.0.0.2:80', door), {
    code: 'permission-denied',
    message: 'cannot listen at 10.0.0.2:80: EACCES',
  });
});
