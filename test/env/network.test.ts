import assert from 'node:assert/strict';
import dns from 'node:dns';
import { after, test } from 'node:test';
import { formatAddress, parseAddress } from '../../src/env/address.ts';
import { type Connection, type Listener, type Network, type NetworkError } from '../../src/env/network.ts';
import { RealNetwork } from '../../src/env/real/network.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedNetwork } from '../../src/env/simulated/network.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';

/** A network under test, an address of it to listen at, and how to let things happen until `done`. */
interface Subject {
  readonly network: Network;
  run(done: () => boolean): Promise<void>;
}

const subjects = {
  real: () => ({
    network: new RealNetwork(),
    run: async (done) => {
      while (!done()) await new Promise((resolve) => setImmediate(resolve));
    },
  }),
  simulated: () => {
    const clock = new SimulatedClock();
    const network = new SimulatedNetwork(clock, new SimulatedRandom(7));
    return {
      network: network.host('127.0.0.1'),
      run: async (done) => {
        assert.ok(await clock.runUntil(done, 1_000_000), 'nothing is left to run');
      },
    };
  },
  'simulated, every piece cut or joined': () => {
    const clock = new SimulatedClock();
    const network = new SimulatedNetwork(clock, new SimulatedRandom(8), {
      splitProbability: 0.5,
      joinProbability: 0.8,
      pieceBytesMax: 3000,
      windowBytes: 10_000,
    });
    return {
      network: network.host('127.0.0.1'),
      run: async (done) => {
        assert.ok(await clock.runUntil(done, 1_000_000), 'nothing is left to run');
      },
    };
  },
} satisfies Readonly<Record<string, () => Subject>>;

/** What one side of a connection saw. */
class Side {
  readonly connection: Connection;
  readonly events: string[] = [];
  received = 0;
  readonly pieces: Uint8Array[] = [];
  error: NetworkError | undefined;

  constructor(connection: Connection, onData?: (bytes: Uint8Array) => void) {
    this.connection = connection;
    connection.handle({
      onOpen: () => this.events.push('open'),
      onData: (bytes) => {
        this.received += bytes.length;
        this.pieces.push(bytes);
        onData?.(bytes);
      },
      onDrain: () => this.events.push('drain'),
      onClose: (error) => {
        this.events.push('close');
        this.error = error;
      },
    });
  }

  get closed(): boolean {
    return this.events.includes('close');
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

interface Pair {
  readonly client: Side;
  readonly server: Side;
  readonly listener: Listener;
}

async function connected(
  { network, run }: Subject,
  onServerData?: (side: Side, bytes: Uint8Array) => void,
): Promise<Pair> {
  const accepted: Side[] = [];
  const listener = await network.listen('127.0.0.1:0', (connection) => {
    const side: Side = new Side(connection, (bytes) => onServerData?.(side, bytes));
    accepted.push(side);
  });
  const client = new Side(network.connect(listener.address));
  await run(() => client.events.includes('open') && (accepted[0]?.events.includes('open') ?? false));
  const server = accepted[0];
  assert.ok(server !== undefined);
  after(() => {
    client.connection.destroy();
    server.connection.destroy();
    return listener.close();
  });
  return { client, server, listener };
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
}

for (const [name, make] of Object.entries(subjects)) {
  test(`${name} network: bytes arrive in order both ways, also those written before the connection is open`, async () => {
    const subject = make();
    const accepted: Side[] = [];
    const listener = await subject.network.listen('127.0.0.1:0', (connection) => {
      const side = new Side(connection, (bytes) => connection.write([bytes]));
      accepted.push(side);
    });
    assert.match(listener.address, /^127\.0\.0\.1:[1-9]\d*$/);
    const sent = pattern(300_000);
    const client = new Side(subject.network.connect(listener.address));
    client.connection.write([sent.subarray(0, 10), sent.subarray(10, 11)]);
    for (let at = 11; at < sent.length; at += 5000)
      client.connection.write([sent.subarray(at, at + 2500), sent.subarray(at + 2500, at + 5000)]);
    await subject.run(() => client.received === sent.length);
    assert.ok(client.bytes.equals(sent));
    client.connection.end();
    await subject.run(() => client.closed && accepted[0]?.closed === true);
    assert.deepEqual([client.error, accepted[0]?.error], [undefined, undefined]);
    assert.deepEqual(
      client.events.filter((event) => event !== 'drain'),
      ['open', 'close'],
    );
    assert.deepEqual(
      accepted[0]?.events.filter((event) => event !== 'drain'),
      ['open', 'close'],
    );
    await listener.close();
    await listener.close();
  });

  test(`${name} network: end sends what waits, then closes both sides in order`, async () => {
    const subject = make();
    const { client, server } = await connected(subject);
    const sent = pattern(1_000_000);
    server.connection.write([sent]);
    server.connection.end();
    server.connection.write([Buffer.from('ignored')]);
    await subject.run(() => client.closed && server.closed);
    assert.ok(client.bytes.equals(sent));
    assert.equal(client.error, undefined);
    assert.equal(server.error, undefined);
  });

  test(`${name} network: destroy closes in a later turn, once, and the other side learns of it`, async () => {
    const subject = make();
    const { client, server } = await connected(subject);
    client.connection.destroy();
    client.connection.destroy();
    assert.equal(client.closed, false);
    assert.equal(client.connection.write([Buffer.from('ignored')]), true);
    await subject.run(() => client.closed && server.closed);
    assert.equal(client.events.filter((event) => event === 'close').length, 1);
    assert.equal(client.error, undefined);
    assert.ok(server.error === undefined || server.error.code === 'reset');
  });

  test(`${name} network: a receiver that pauses slows the sender down, and drain comes when it reads on`, async () => {
    const subject = make();
    const { client, server } = await connected(subject);
    server.connection.pause();
    let written = 0;
    // More than the system's own buffers take.
    for (; written < 64 && client.connection.waitingBytes < 1_000_000; written++)
      client.connection.write([pattern(1_000_000)]);
    assert.equal(client.connection.write([pattern(1)]), false);
    assert.ok(client.connection.waitingBytes > 0);
    const before = server.received;
    client.events.length = 0;
    server.connection.resume();
    await subject.run(() => server.received === written * 1_000_000 + 1 && client.events.includes('drain'));
    assert.ok(before < server.received);
    assert.equal(client.connection.waitingBytes, 0);
    assert.deepEqual(client.events, ['drain']);
    assert.equal(client.connection.write([pattern(1)]), true);
  });

  test(`${name} network: memory that was copied may be written again`, async () => {
    const subject = make();
    const { client, server } = await connected(subject);
    const sent: Buffer[] = [];
    let memory = Buffer.alloc(20_000);
    let reusedCount = 0;
    for (let round = 0; round < 500; round++) {
      memory.fill(round);
      sent.push(Buffer.from(memory));
      client.connection.write([memory.subarray(0, 7_000), memory.subarray(7_000)]);
      if (client.connection.hasCopied) reusedCount++;
      else memory = Buffer.alloc(20_000);
    }
    await subject.run(() => server.received === 500 * 20_000);
    assert.ok(server.bytes.equals(Buffer.concat(sent)));
    assert.ok(reusedCount > 0);
    await subject.run(() => client.connection.hasCopied);
  });

  test(`${name} network: input that was released is overwritten, and what follows is whole`, async () => {
    const subject = make();
    const copies: Uint8Array[] = [];
    const { client, server } = await connected(subject, (side, bytes) => {
      copies.push(new Uint8Array(bytes));
      side.connection.releaseInput();
    });
    const sent = pattern(1_000_000);
    for (let at = 0; at < sent.length; at += 10_000) {
      client.connection.write([sent.subarray(at, at + 10_000)]);
      await subject.run(() => server.received === at + 10_000);
    }
    assert.ok(Buffer.concat(copies).equals(sent));
    assert.ok(!server.bytes.equals(sent), 'the memory of early pieces was used again');
  });

  test(`${name} network: a connection to where nobody listens is refused`, async () => {
    const subject = make();
    const listener = await subject.network.listen('127.0.0.1:0', () => assert.fail('nobody connects'));
    await listener.close();
    const client = new Side(subject.network.connect(listener.address));
    client.connection.write([pattern(10)]);
    await subject.run(() => client.closed);
    assert.deepEqual(client.events, ['close']);
    assert.equal(client.error?.code, 'refused');
  });

  test(`${name} network: an address that is no address is an error of its own`, async () => {
    const subject = make();
    for (const address of ['', 'localhost', '127.0.0.1:', '127.0.0.1:65536', '::1:80', 'a b:1', '[::1]', ':80']) {
      await assert.rejects(
        subject.network.listen(address, () => undefined),
        { name: 'NetworkError', code: 'bad-address' },
        address,
      );
      const client = new Side(subject.network.connect(address));
      assert.equal(client.closed, false);
      await subject.run(() => client.closed);
      assert.equal(client.error?.code, 'bad-address', address);
    }
  });

  test(`${name} network: an address is listened at once`, async () => {
    const { network } = make();
    const listener = await network.listen('127.0.0.1:0', () => undefined);
    await assert.rejects(
      network.listen(listener.address, () => undefined),
      { name: 'NetworkError', code: 'address-in-use' },
    );
    await listener.close();
    const again = await network.listen(listener.address, () => undefined);
    assert.equal(again.address, listener.address);
    await again.close();
  });

  test(`${name} network: a listener that closes keeps its connections`, async () => {
    const subject = make();
    const { client, server, listener } = await connected(subject);
    await listener.close();
    client.connection.write([Buffer.from('still here')]);
    await subject.run(() => server.received === 10);
  });
}

test('real network: both sides read into slabs that small pieces share', async () => {
  const subject = subjects.real();
  const { client, server } = await connected(subject);
  for (let round = 1; round <= 4; round++) {
    client.connection.write([Buffer.alloc(100)]);
    await subject.run(() => server.received === 100 * round);
    server.connection.write([Buffer.alloc(100)]);
    await subject.run(() => client.received === 100 * round);
  }
  for (const { pieces } of [client, server]) assert.equal(new Set(pieces.map((piece) => piece.buffer)).size, 1);
});

test('addresses are read and written, IPv6 in brackets', () => {
  assert.deepEqual(parseAddress('10.0.0.1:80'), { host: '10.0.0.1', port: 80 });
  assert.deepEqual(parseAddress('[::1]:7001'), { host: '::1', port: 7001 });
  assert.deepEqual(parseAddress('node-1.example:65535'), { host: 'node-1.example', port: 65_535 });
  assert.equal(formatAddress('::1', 5), '[::1]:5');
  assert.equal(formatAddress('10.0.0.1', 5), '10.0.0.1:5');
});

// --- what only the simulated one can do ------------------------------------------------------------------------------

interface World {
  readonly clock: SimulatedClock;
  readonly network: SimulatedNetwork;
  readonly a: Network;
  readonly b: Network;
  readonly accepted: Side[];
}

async function world(seed = 1): Promise<World> {
  const clock = new SimulatedClock();
  const network = new SimulatedNetwork(clock, new SimulatedRandom(seed));
  const accepted: Side[] = [];
  const a = network.host('10.0.0.1');
  const b = network.host('10.0.0.2');
  await b.listen('10.0.0.2:7000', (connection) => accepted.push(new Side(connection)));
  return { clock, network, a, b, accepted };
}

async function joined(at: World): Promise<{ client: Side; server: Side }> {
  const client = new Side(at.a.connect('10.0.0.2:7000'));
  assert.ok(await at.clock.runUntil(() => client.events.includes('open') && at.accepted.length > 0));
  const server = at.accepted.at(-1);
  assert.ok(server !== undefined);
  return { client, server };
}

test('a partition holds data back silently and heals without loss', async () => {
  const at = await world();
  const { client, server } = await joined(at);
  at.network.partition('10.0.0.1', '10.0.0.2');
  client.connection.write([Buffer.from('to b')]);
  server.connection.write([Buffer.from('to a')]);
  await at.clock.runUntil(at.clock.now() + 60_000);
  assert.deepEqual([client.received, server.received, client.closed, server.closed], [0, 0, false, false]);
  at.network.heal('10.0.0.1', '10.0.0.2');
  await at.clock.runUntil(at.clock.now() + 100);
  assert.deepEqual([client.bytes.toString(), server.bytes.toString()], ['to a', 'to b']);
});

test('a path is blocked one way', async () => {
  const at = await world();
  const { client, server } = await joined(at);
  at.network.block('10.0.0.1', '10.0.0.2');
  client.connection.write([Buffer.from('to b')]);
  server.connection.write([Buffer.from('to a')]);
  client.connection.end();
  await at.clock.runUntil(at.clock.now() + 1000);
  assert.deepEqual([client.received, server.received, server.closed], [4, 0, false]);
  at.network.unblock('10.0.0.1', '10.0.0.2');
  await at.clock.runUntil(at.clock.now() + 100);
  assert.deepEqual([server.bytes.toString(), server.closed, client.closed], ['to b', true, true]);
});

test('a path is slow one way, for new connections too; what follows the end of it overtakes nothing', async () => {
  const at = await world();
  const { client, server } = await joined(at);
  at.network.slow('10.0.0.1', '10.0.0.2', 100);
  client.connection.write([Buffer.from('late ')]);
  server.connection.write([Buffer.from('soon')]);
  await at.clock.runUntil(at.clock.now() + 50);
  assert.deepEqual([server.received, client.bytes.toString()], [0, 'soon']);
  at.network.slow('10.0.0.1', '10.0.0.2', 0);
  client.connection.write([Buffer.from('later')]);
  const other = new Side(at.a.connect('10.0.0.2:7000'));
  await at.clock.runUntil(at.clock.now() + 20);
  assert.deepEqual([server.received, other.events[0]], [0, 'open']);
  await at.clock.runUntil(at.clock.now() + 50);
  assert.equal(server.bytes.toString(), 'late later');
});

test('a connection that is begun in a partition opens when it heals', async () => {
  const at = await world();
  at.network.partition('10.0.0.1', '10.0.0.2');
  const client = new Side(at.a.connect('10.0.0.2:7000'));
  const given = new Side(at.a.connect('10.0.0.2:7000'));
  await at.clock.runUntil(at.clock.now() + 1000);
  given.connection.destroy();
  assert.deepEqual(client.events, []);
  at.network.heal();
  await at.clock.runUntil(at.clock.now() + 100);
  assert.deepEqual([client.events, given.events, at.accepted.length], [['open'], ['close'], 1]);
});

test('cut resets both sides, refuse refuses new connections', async () => {
  const at = await world();
  const { client, server } = await joined(at);
  assert.equal(at.network.cut('10.0.0.1', '10.0.0.3'), 0);
  assert.equal(at.network.cut('10.0.0.1', '10.0.0.2'), 1);
  await at.clock.runUntil(at.clock.now() + 1);
  assert.deepEqual([client.error?.code, server.error?.code], ['reset', 'reset']);
  at.network.refuse('10.0.0.2:7000');
  const refused = new Side(at.a.connect('10.0.0.2:7000'));
  await at.clock.runUntil(at.clock.now() + 10);
  assert.equal(refused.error?.code, 'refused');
  at.network.refuse('10.0.0.2:7000', false);
  await joined(at);
  assert.equal(at.network.connectionEnds, 2);
});

test('a host that crashes is told nothing more, the others see resets', async () => {
  const at = await world();
  const { client, server } = await joined(at);
  const eventsBefore = [...server.events];
  at.network.crash('10.0.0.2');
  client.connection.write([Buffer.from('lost')]);
  await at.clock.runUntil(at.clock.now() + 10);
  assert.equal(client.error?.code, 'reset');
  assert.deepEqual([server.events, server.received], [eventsBefore, 0]);
  const refused = new Side(at.a.connect('10.0.0.2:7000'));
  await at.clock.runUntil(at.clock.now() + 10);
  assert.equal(refused.error?.code, 'refused');
});

test('of a host that vanishes silently the others learn when it is up again and they send', async () => {
  const at = await world();
  const { client } = await joined(at);
  at.network.crash('10.0.0.2', { silent: true });
  client.connection.write([Buffer.from('into the void')]);
  await at.clock.runUntil(at.clock.now() + 60_000);
  const unheard = new Side(at.a.connect('10.0.0.2:7000'));
  await at.clock.runUntil(at.clock.now() + 1000);
  assert.deepEqual([client.closed, unheard.events], [false, []]);
  at.network.host('10.0.0.2');
  client.connection.write([Buffer.from('again')]);
  await at.clock.runUntil(at.clock.now() + 10);
  assert.equal(client.error?.code, 'reset');
});

test('connections overtake one another, and the same seed gives the same run', async () => {
  const run = async (seed: number): Promise<string> => {
    const at = await world(seed);
    const clients = Array.from({ length: 10 }, () => new Side(at.a.connect('10.0.0.2:7000')));
    for (const [index, client] of clients.entries()) {
      for (let part = 0; part < 5; part++) client.connection.write([Buffer.from(`${index}.${part} `)]);
    }
    await at.clock.runUntil(100);
    return at.accepted.map((side) => side.bytes.toString()).join('|');
  };
  const first = await run(5);
  assert.equal(await run(5), first);
  assert.notEqual(await run(6), first);
  assert.notEqual(first, [...first.split('|')].sort().join('|'), 'accepted in another order than begun');
});

test('a name with two addresses that both refuse says so, and says no address', async (context) => {
  const listener = await new RealNetwork().listen('127.0.0.1:0', () => undefined);
  const { port } = parseAddress(listener.address);
  await listener.close();
  // What a machine with `::1 localhost` among its hosts answers.
  context.mock.method(dns, 'lookup', (_host: string, _options: object, callback: (...results: unknown[]) => void) =>
    callback(null, [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ]),
  );
  const error = await new Promise<NetworkError | undefined>((resolve) => {
    new RealNetwork().connect(`localhost:${port}`).handle({
      onOpen: () => assert.fail('nobody listens there'),
      onData: () => undefined,
      onDrain: () => undefined,
      onClose: resolve,
    });
  });
  assert.equal(error?.code, 'refused');
  // Where there is no IPv6 the other reason stands before it.
  assert.match(error.message, /(^|, )connection refused$/);
});
