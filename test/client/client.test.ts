import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { limits } from '../../src/base/limits.ts';
import { keyOfShard } from './keys.ts';
import { World } from './world.ts';

test('put, get, has and delete give versions, and entries as bytes or text', async () => {
  const world = await World.started();
  const client = await world.client();
  const { version } = await world.run(client.put('color', 'blue'));
  const entry = await world.run(client.get('color'));
  assert.deepEqual([entry?.text, entry?.version, entry?.value.constructor], ['blue', version, Uint8Array]);
  assert.equal(await world.run(client.has(Buffer.from('color'))), true);
  const deleted = await world.run(client.delete('color'));
  assert.ok(deleted.existed && deleted.version > version);
  assert.equal(await world.run(client.get('color')), undefined);
  assert.equal(await world.run(client.has('color')), false);
  assert.deepEqual(await world.run(client.delete('color')), { existed: false, version: 0 });
  await world.run(client.close());
});

test('one endpoint is enough to find all gateways', async () => {
  const world = await World.started();
  const client = await world.connect({}, 'gateway-1:7000');
  await world.advance(10);
  await world.run(client.put(keyOfShard(2), 'v'));
  assert.equal(world.cluster.calls[0]?.gateway, 2);
  assert.equal(client.status().gateways.filter((gateway) => gateway.connected).length, 3);
});

test('with direct: false nobody but the endpoints is spoken to', async () => {
  const world = await World.started();
  const client = await world.connect({ direct: false }, 'gateway-1:7000');
  await world.advance(10);
  for (const shard of [0, 1, 2]) await world.run(client.put(keyOfShard(shard), 'v'));
  assert.deepEqual(
    world.cluster.calls.map((call) => call.gateway),
    [1, 1, 1],
  );
  assert.deepEqual(
    world.cluster.gateways.map((gateway) => gateway.connections),
    [0, 1, 0],
  );
});

test('a refused condition says what version there is', async () => {
  const world = await World.started();
  const client = await world.client();
  const { version } = await world.run(client.put('a', '1', { ifAbsent: true }));
  const error = await world.failure(client.put('a', '2', { ifAbsent: true }));
  assert.deepEqual([error.code, error.outcome, error.currentVersion], ['condition-failed', 'not-applied', version]);
  await world.run(client.put('a', '2', { ifVersion: version }));
  const gone = await world.failure(client.delete('b', { ifVersion: version }));
  assert.equal(gone.currentVersion, 0);
  await world.run(client.put('b', '1', { ifVersion: 0 }));
});

test('back-pressure: beyond requestsMax and bytesMax the answer is overloaded, at once and not applied', async () => {
  const world = await World.started();
  const client = await world.client({ requestsMax: 2, bytesMax: 20 * 1024 * 1024 });
  const puts = [client.put('a', Buffer.alloc(8 * 1024 * 1024)), client.put('b', Buffer.alloc(8 * 1024 * 1024))];
  const third = await world.failure(client.put('c', 'x'));
  assert.deepEqual([third.code, third.outcome, third.retryable], ['overloaded', 'not-applied', true]);
  await world.run(Promise.all(puts));
  const big = client.put('a', Buffer.alloc(15 * 1024 * 1024));
  const fourth = await world.failure(client.put('b', Buffer.alloc(6 * 1024 * 1024)));
  assert.match(fourth.message, /bytesMax/);
  await world.run(big);
  assert.deepEqual([client.status().requests, client.status().requestBytes], [0, 0]);
});

test('getMany and putMany give a result per key', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) =>
    call.key === 'bad' ? { kind: 'error', code: 'damaged', outcome: 'not-applied' } : undefined;
  const puts = await world.run(
    client.putMany([
      ['a', '1'],
      ['bad', '2'],
      ['', '3'],
      ['b', Buffer.from('4')],
    ]),
  );
  assert.deepEqual(
    puts.map((put) => (put.ok ? 'ok' : put.error.code)),
    ['ok', 'damaged', 'key-empty', 'ok'],
  );
  const gets = await world.run(client.getMany(['b', 'bad', 'none', 'a']));
  assert.deepEqual(
    gets.map((get) => (get.ok ? get.entry?.text : get.error.code)),
    ['4', 'damaged', undefined, '1'],
  );
  const many = await world.run(
    client.putMany(Array.from({ length: 3_000 }, (_, index) => [`m${index}`, String(index)] as const)),
  );
  assert.ok(many.length === 3_000 && many.every((put) => put.ok));
});

test('stale reads say so', async () => {
  const world = await World.started();
  const client = await world.client();
  await world.run(client.get('a', { consistency: 'stale' }));
  await world.run(client.get('a'));
  assert.deepEqual(
    world.cluster.calls.map((call) => call.mode),
    [1, 0],
  );
});

test('bad arguments are refused with a reason, before anything is sent', async () => {
  const world = await World.started();
  const client = await world.client();
  const codes = [];
  // What a caller without types may pass.
  const call = (method: (...parameters: never[]) => Promise<unknown>, ...parameters: unknown[]): Promise<unknown> =>
    Promise.resolve<unknown>(Reflect.apply(method, client, parameters));
  const calls = [
    () => client.put('', 'v'),
    () => client.put('k'.repeat(1_025), 'v'),
    () => client.put('k', Buffer.alloc(limits.valueBytesMax + 1)),
    () => client.put('\ud800', 'v'),
    () => client.get('k', { timeoutMs: 0 }),
    () => client.put('k', 'v', { ifVersion: -1 }),
    () => client.put('k', 'v', { ifVersion: 1, ifAbsent: true }),
    () => call(client.get.bind(client), 5),
    () => call(client.put.bind(client), 'k'),
  ];
  for (const start of calls) codes.push((await world.failure(start())).code);
  assert.deepEqual(codes, [
    'key-empty',
    'key-too-long',
    'value-too-large',
    'bad-argument',
    'bad-argument',
    'bad-argument',
    'bad-argument',
    'bad-argument',
    'bad-argument',
  ]);
  assert.equal(world.cluster.calls.length, 0);
});

test('a long value may be changed as soon as its promise has settled', async () => {
  const world = await World.started();
  const client = await world.client();
  const value = Buffer.alloc(100_000, 'a');
  const control = new AbortController();
  const put = client.put('k', value, { signal: control.signal });
  control.abort();
  value.fill('b');
  assert.equal((await world.failure(put)).outcome, 'unknown');
  await world.advance(10);
  assert.equal(world.cluster.store.get('k')?.value, 'a'.repeat(100_000));
});

test('connect fails with what to do: nobody there, an address that is none, another cluster', async () => {
  const world = new World();
  const nobody = await world.failure(world.connect({ connectTimeoutMs: 500 }));
  assert.equal(nobody.code, 'unavailable');
  assert.match(nobody.message, /gateway-0:7000: connection refused; gateway-1:7000: connection refused; gateway-2/);
  for (const endpoint of ['nonsense', 'host:0', 'host:99999', '', 'a b:1']) {
    assert.equal((await world.failure(world.connect({}, endpoint))).code, 'address-invalid', endpoint);
  }
  assert.equal((await world.failure(world.connect({}, []))).code, 'bad-argument');
  assert.equal((await world.failure(world.connect({ requestsMax: 0 }))).code, 'bad-argument');
  await world.cluster.start();
  world.cluster.script = (call) =>
    call.method === 'hello' ? { kind: 'error', code: 'protocol-version', outcome: 'not-applied' } : undefined;
  const before = world.clock.now();
  assert.equal((await world.failure(world.connect())).code, 'protocol-version');
  assert.ok(world.clock.now() - before < 1_000, 'a refusal by all is told at once');
  assert.equal(world.holds, 0);
});

test('a port of a logger, or of another program, is named as such, at once', async () => {
  const world = await World.started(1);
  const [address = ''] = world.cluster.gateways.map((gateway) => gateway.address);
  const welcome = { cluster: 'c'.repeat(32), logger: 'd'.repeat(32), instance: 'e'.repeat(16), protocol: 1 };
  world.cluster.script = () => ({ kind: 'answer', write: (out) => out.value(welcome) });
  const logger = await world.failure(world.connecting());
  assert.deepEqual([logger.code, logger.outcome], ['wrong-port', 'not-applied']);
  assert.equal(logger.message, `${address} is not the client port of a gateway: a logger listens there`);
  for (const greeting of ['HTTP/1.1 400 Bad Request\r\n\r\n', 'SSH-2.0-OpenSSH\r\n', '-ERR unknown command\r\n']) {
    const port = `other:${greeting.length}`;
    await world.network.listen(port, (connection) => {
      connection.handle({
        onOpen: () => undefined,
        onDrain: () => undefined,
        onClose: () => undefined,
        onData: () => void connection.write([Buffer.from(greeting)]),
      });
    });
    const other = await world.failure(world.connecting({}, port));
    assert.equal(other.code, 'wrong-port');
    assert.match(other.message, new RegExp(`^${port} is not the client port of a gateway: another program answers`));
  }
  assert.ok(world.clock.now() < 1_000);
});

test('one endpoint that is the wrong port does not keep connect from the others', async () => {
  const world = await World.started(2);
  world.cluster.script = (call) =>
    call.method === 'hello' && call.gateway === 0
      ? { kind: 'error', code: 'wrong-port', outcome: 'not-applied' }
      : undefined;
  const client = await world.client();
  await world.run(client.put('a', '1'));
  assert.match(client.status().gateways.find(({ connected }) => !connected)?.reason ?? '', /scripted/);
});

test('connect waits for a cluster that is starting', async () => {
  const world = new World();
  const connecting = world.connecting();
  await world.advance(3_000);
  await world.cluster.start();
  const client = await world.run(connecting);
  await world.run(client.put('a', '1'));
});

test('a silent address does not keep connect from the others', async () => {
  const world = await World.started();
  world.network.silent.add('gateway-0:7000');
  const client = await world.client();
  await world.run(client.put(keyOfShard(0), '1'));
  assert.ok(world.clock.now() < 100);
});

test('close waits for what is under way, refuses what comes later, and is idempotent', async () => {
  const world = await World.started();
  const client = await world.client();
  const put = client.put('a', '1');
  const closing = client.close();
  const late = await world.failure(client.put('b', '1'));
  assert.deepEqual([late.code, late.outcome], ['closed', 'not-applied']);
  await world.run(put);
  await world.run(closing);
  await world.run(client.close());
  assert.equal(client.status().state, 'closed');
  assert.equal(world.holds, 0);
  await world.advance(5_000);
  assert.deepEqual([...world.network.open], []);
  assert.equal(world.clock.idle, true, 'no timer is left');
});

test('close fails what does not settle in time: of a sent write the outcome is unknown', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = () => ({ kind: 'hang' });
  const put = world.failing(client.put('a', '1'));
  const before = world.clock.now();
  await world.run(client.close({ timeoutMs: 500 }));
  assert.deepEqual([(await world.run(put)).code, (await put).outcome], ['closed', 'unknown']);
  assert.ok(world.clock.now() - before < 600);
});

test('the process is held while requests are under way, and not longer', async () => {
  const world = await World.started();
  const client = await world.client();
  assert.equal(world.holds, 0);
  const puts = [client.put('a', '1'), client.put('b', '1')];
  assert.equal(world.holds, 1);
  await world.run(Promise.all(puts));
  assert.equal(world.holds, 0);
});
