import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { limits } from '../../src/base/limits.ts';
import type { Act, Call } from './fake-gateway.ts';
import { keyOfShard } from './keys.ts';
import { World } from './world.ts';

const hang: Act = { kind: 'hang' };

/** Acts for the first call of each method, then serves. */
function once(act: Act, method = 'put'): (call: Call) => Act | undefined {
  let done = false;
  return (call) => {
    if (done || call.method !== method) return undefined;
    done = true;
    return act;
  };
}

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

test('each request goes straight to the owner of its shard', async () => {
  const world = await World.started();
  const client = await world.client();
  for (const shard of [0, 1, 2]) await world.run(client.put(keyOfShard(shard), 'v'));
  assert.deepEqual(world.cluster.calls.map((call) => call.gateway), [0, 1, 2]);
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
  assert.deepEqual(world.cluster.calls.map((call) => call.gateway), [1, 1, 1]);
  assert.deepEqual(world.cluster.gateways.map((gateway) => gateway.connections), [0, 1, 0]);
});

test('a changed map is followed at once', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.changeMap([2, 1, 2]);
  await world.advance(5);
  await world.run(client.put(keyOfShard(0), 'v'));
  assert.equal(world.cluster.calls[0]?.gateway, 2);
  assert.equal(client.status().mapRevision, 2);
});

test('an older map does not replace a newer one', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.gateways[0]?.notifyAll('map', [{ ...world.cluster.map, revision: 1, owners: [1, 1, 1] }]);
  await world.advance(5);
  await world.run(client.put(keyOfShard(0), 'v'));
  assert.equal(world.cluster.calls[0]?.gateway, 0);
});

test('a shard without an owner, or whose owner is not reached, is asked for through any gateway', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.changeMap([-1, 1, 2]);
  await world.advance(5);
  await world.run(client.put(keyOfShard(0), 'v'));
  assert.equal(world.cluster.calls.length, 1);
});

test('a gateway that dies with a write in its hands: another gets it with the same number, and it is applied once (S15)', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = once({ kind: 'apply-and-cut' });
  const { version } = await world.run(client.put(keyOfShard(0), 'v'));
  const [first, second] = world.cluster.calls;
  assert.equal(second?.number, first?.number);
  assert.equal(second?.client, first?.client);
  assert.notEqual(second?.gateway, first?.gateway);
  assert.equal(world.cluster.store.get(keyOfShard(0))?.version, version);
  assert.deepEqual([...world.cluster.applied.values()], [1]);
});

test('the links to a gateway that comes back are made again', async () => {
  const world = await World.started();
  const client = await world.client();
  await world.cluster.gateways[0]?.stop();
  await world.advance(500);
  assert.deepEqual(client.status().gateways.map((gateway) => gateway.connected), [false, true, true]);
  assert.match(client.status().gateways[0]?.reason ?? '', /refused/);
  await world.cluster.gateways[0]?.start();
  await world.advance(limits.reconnectMaxMs * 2);
  assert.deepEqual(client.status().gateways.map((gateway) => gateway.connected), [true, true, true]);
  await world.run(client.put(keyOfShard(0), 'v'));
  assert.equal(world.cluster.calls[0]?.gateway, 0);
});

test('all gateways away: requests wait, and are sent when one is back', async () => {
  const world = await World.started();
  const client = await world.client();
  for (const gateway of world.cluster.gateways) await gateway.stop();
  await world.advance(100);
  const put = client.put('a', '1');
  const get = client.get('b');
  await world.advance(2_000);
  assert.equal(world.cluster.calls.length, 0);
  await world.cluster.gateways[1]?.start();
  await world.run(put);
  assert.equal(await world.run(get), undefined);
});

test('failures that may pass are tried again until they have passed', async () => {
  const world = await World.started();
  const client = await world.client();
  for (const code of ['unavailable', 'overloaded', 'not-owner', 'timeout'] as const) {
    let left = 5;
    world.cluster.script = () => (left-- > 0 ? { kind: 'error', code, outcome: 'not-applied' } : undefined);
    await world.run(client.put(code, 'v'));
    left = 5;
    assert.equal((await world.run(client.get(code)))?.text, 'v');
  }
  assert.deepEqual(new Set(world.cluster.applied.values()), new Set([1]));
});

test('after a failure every second attempt goes to another gateway', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => (call.gateway === 0 ? { kind: 'error', code: 'unavailable', outcome: 'not-applied' } : undefined);
  await world.run(client.put(keyOfShard(0), 'v'));
  assert.equal(world.cluster.calls.length, 2);
  assert.notEqual(world.cluster.calls[1]?.gateway, 0);
});

test('failures that will not pass are told at once', async () => {
  const world = await World.started();
  const client = await world.client();
  for (const code of ['disk-full', 'damaged', 'internal', 'request-superseded'] as const) {
    world.cluster.script = once({ kind: 'error', code, outcome: 'not-applied' });
    const error = await world.failure(client.put('a', '1'));
    assert.deepEqual([error.code, error.outcome], [code, 'not-applied']);
  }
  assert.equal(world.cluster.calls.length, 4);
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

test('a refused condition is final even when an earlier copy was lost: it is the result of the write (S15)', async () => {
  const world = await World.started();
  const client = await world.client();
  await world.run(client.put('a', '1'));
  world.cluster.script = once({ kind: 'apply-and-cut' });
  const error = await world.failure(client.put('a', '2', { ifAbsent: true }));
  assert.deepEqual([error.code, error.outcome], ['condition-failed', 'not-applied']);
});

test('a deadline: an unsent write is not applied, a sent one is unknown, a read is never unknown', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = () => hang;
  const sent = await world.failure(client.put('a', '1', { timeoutMs: 200 }));
  assert.deepEqual([sent.code, sent.outcome, sent.retryable], ['timeout', 'unknown', true]);
  const read = await world.failure(client.get('a', { timeoutMs: 200 }));
  assert.deepEqual([read.code, read.outcome], ['timeout', 'not-applied']);
  for (const gateway of world.cluster.gateways) await gateway.stop();
  await world.advance(100);
  const before = world.clock.now();
  const unsent = await world.failure(client.put('a', '1', { timeoutMs: 200 }));
  assert.deepEqual([unsent.code, unsent.outcome], ['timeout', 'not-applied']);
  assert.ok(world.clock.now() - before >= 200 && world.clock.now() - before <= 240);
});

test('the outcome counts all copies: one lost and one refused is unknown, all refused is not applied', async () => {
  const world = await World.started();
  const client = await world.client();
  let copies = 0;
  world.cluster.script = () => (copies++ === 0 ? { kind: 'cut' } : { kind: 'error', code: 'unavailable', outcome: 'not-applied' });
  assert.equal((await world.failure(client.put('a', '1', { timeoutMs: 400 }))).outcome, 'unknown');
  assert.equal((await world.failure(client.put('a', '1', { timeoutMs: 400 }))).outcome, 'not-applied');
  world.cluster.script = () => ({ kind: 'error', code: 'unavailable', outcome: 'unknown' });
  assert.equal((await world.failure(client.put('a', '1', { timeoutMs: 400 }))).outcome, 'unknown');
});

test('an abort settles at once: unsent not applied, sent unknown', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = () => hang;
  const early = await world.failure(client.put('a', '1', { signal: AbortSignal.abort(new Error('why')) }));
  assert.deepEqual([early.code, early.outcome], ['aborted', 'not-applied']);
  assert.match(String(early.cause), /why/);
  const control = new AbortController();
  const put = world.failure(client.put('a', '1', { signal: control.signal }));
  const get = world.failure(client.get('a', { signal: control.signal }));
  await world.advance(5);
  const before = world.clock.now();
  control.abort();
  const sent = await put;
  assert.deepEqual([sent.code, sent.outcome, world.clock.now()], ['aborted', 'unknown', before]);
  assert.equal((await get).outcome, 'not-applied');
  assert.equal(client.status().requests, 0);
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

test('S15 the window: number - first stays below it, writes beyond wait, reads do not', async () => {
  const world = new World();
  world.cluster.window = 4;
  await world.cluster.start();
  const client = await world.client();
  let hung = true;
  world.cluster.script = (call) => (hung && call.number === 1 ? hang : undefined);
  const puts = Array.from({ length: 10 }, (_, index) => client.put(`k${index}`, 'v', { timeoutMs: index === 0 ? 300 : 900 }));
  const failed = world.failure(puts[0] ?? Promise.reject(new Error()));
  await world.advance(50);
  assert.deepEqual(world.cluster.calls.map((call) => call.number), [1, 2, 3, 4]);
  assert.equal(await world.run(client.get('zz')), undefined);
  hung = false;
  assert.equal((await failed).outcome, 'unknown');
  await world.run(Promise.all(puts.slice(1)));
  assert.equal(world.cluster.calls.filter((call) => call.method === 'put').length, 10);
});

test('S15 first grows as promises settle, over numbers that ended unknown too', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => (call.key === 'stuck' ? hang : undefined);
  const stuck = world.failure(client.put('stuck', 'v', { timeoutMs: 100 }));
  await world.run(client.put('a', '1'));
  await world.run(client.put('a', '2'));
  assert.equal(world.cluster.calls.at(-1)?.first, 1);
  await stuck;
  await world.run(client.put('a', '3'));
  const last = world.cluster.calls.at(-1);
  assert.equal(last?.first, last?.number);
});

test('a forgotten client takes a new id for what was sent once, and calls the rest unknown (S15)', async () => {
  const world = await World.started();
  const client = await world.client();
  await world.run(client.put('a', '0'));
  world.cluster.script = (call) => (call.client === 1 ? { kind: 'error', code: 'client-forgotten', outcome: 'unknown' } : undefined);
  await world.run(client.put('a', '1'));
  assert.equal(world.cluster.calls.at(-1)?.client, 2);
  assert.equal(client.status().client, 2);
  let copies = 0;
  world.cluster.script = () => (copies++ === 0 ? { kind: 'cut' } : { kind: 'error', code: 'client-forgotten', outcome: 'unknown' });
  const error = await world.failure(client.put('a', '2'));
  assert.deepEqual([error.code, error.outcome], ['client-forgotten', 'unknown']);
});

test('one client id per client, whatever the number of gateways and connections', async () => {
  const world = await World.started();
  const client = await world.client({ connectionsPerGateway: 2 });
  await world.run(client.put('a', '1'));
  assert.equal(world.cluster.hellos.length, 6);
  assert.equal(world.cluster.hellos.filter((hello) => hello.wantsClientId === true).length, 1);
});

test('a gateway without ids to give: reads are served, writes wait until there is one', async () => {
  const world = new World();
  world.cluster.nextClient = 0;
  await world.cluster.start();
  const client = await world.client();
  assert.equal(await world.run(client.get('a')), undefined);
  const error = await world.failure(client.put('a', '1', { timeoutMs: 300 }));
  assert.deepEqual([error.code, error.outcome], ['timeout', 'not-applied']);
  const put = client.put('a', '1');
  world.cluster.nextClient = 7;
  await world.run(put);
  assert.equal(world.cluster.calls.at(-1)?.client, 7);
});

test('a hung owner whose shard moved: what it holds is sent to the new owner', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => (call.gateway === 0 ? { kind: 'apply-and-hang' } : undefined);
  const put = client.put(keyOfShard(0), 'v');
  const get = client.get(keyOfShard(0));
  await world.advance(10);
  world.cluster.changeMap([1, 1, 2]);
  await world.run(put);
  assert.equal((await world.run(get))?.text, 'v');
  assert.ok(world.clock.now() < 300);
  assert.deepEqual([...world.cluster.applied.values()], [1]);
});

test('a gateway that answers nothing at all is left for another', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => (call.gateway === 0 ? hang : undefined);
  await world.run(client.put(keyOfShard(0), 'v'));
  assert.notEqual(world.cluster.calls.at(-1)?.gateway, 0);
});

test('malformed answers fail the request as protocol-error, of a write with unknown outcome, and end the connection', async () => {
  const world = await World.started();
  const client = await world.client();
  for (const write of [(out: { text(value: string): void }) => out.text('nonsense')]) {
    world.cluster.script = once({ kind: 'answer', write });
    const error = await world.failure(client.put('a', '1'));
    assert.deepEqual([error.code, error.outcome], ['protocol-error', 'unknown']);
    world.cluster.script = once({ kind: 'answer', write }, 'get');
    assert.deepEqual((await world.failure(client.get('a'))).code, 'protocol-error');
  }
  world.cluster.script = once({ kind: 'answer', write: (out) => out.array(0) }, 'delete');
  assert.equal((await world.failure(client.delete('a'))).code, 'protocol-error');
  await world.run(client.put('a', '2'));
});

test('a malformed map ends the connection, not the client', async () => {
  const world = await World.started();
  const client = await world.client();
  for (const map of [[], [7], [{ revision: 9, shards: 2, owners: [0], gateways: [] }], [{ revision: 9, shards: -1, owners: [], gateways: [] }]]) {
    world.cluster.gateways[0]?.notifyAll('map', map);
    await world.advance(limits.reconnectMaxMs * 2);
    assert.equal(client.status().mapRevision, 1);
  }
  await world.run(client.put(keyOfShard(0), '1'));
});

test('getMany and putMany give a result per key', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => (call.key === 'bad' ? { kind: 'error', code: 'damaged', outcome: 'not-applied' } : undefined);
  const puts = await world.run(client.putMany([['a', '1'], ['bad', '2'], ['', '3'], ['b', Buffer.from('4')]]));
  assert.deepEqual(puts.map((put) => (put.ok ? 'ok' : put.error.code)), ['ok', 'damaged', 'key-empty', 'ok']);
  const gets = await world.run(client.getMany(['b', 'bad', 'none', 'a']));
  assert.deepEqual(gets.map((get) => (get.ok ? get.entry?.text : get.error.code)), ['4', 'damaged', undefined, '1']);
  const many = await world.run(client.putMany(Array.from({ length: 3_000 }, (_, index) => [`m${index}`, String(index)] as const)));
  assert.ok(many.length === 3_000 && many.every((put) => put.ok));
});

test('stale reads say so', async () => {
  const world = await World.started();
  const client = await world.client();
  await world.run(client.get('a', { consistency: 'stale' }));
  await world.run(client.get('a'));
  assert.deepEqual(world.cluster.calls.map((call) => call.mode), [1, 0]);
});

test('bad arguments are refused with a reason, before anything is sent', async () => {
  const world = await World.started();
  const client = await world.client();
  const codes = [];
  const number: unknown = 5;
  const calls = [
    () => client.put('', 'v'), () => client.put('k'.repeat(1_025), 'v'), () => client.put('k', Buffer.alloc(limits.valueBytesMax + 1)),
    () => client.put('\ud800', 'v'), () => client.get('k', { timeoutMs: 0 }), () => client.put('k', 'v', { ifVersion: -1 }),
    () => client.put('k', 'v', { ifVersion: 1, ifAbsent: true }), () => Reflect.apply(client.get, client, [number]), () => Reflect.apply(client.put, client, ['k']),
  ];
  for (const call of calls) codes.push((await world.failure(call())).code);
  assert.deepEqual(codes, [
    'key-empty', 'key-too-long', 'value-too-large', 'bad-argument', 'bad-argument', 'bad-argument', 'bad-argument', 'bad-argument', 'bad-argument',
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
  assert.match(nobody.message, /gateway-0:7000, gateway-1:7000.*refused/);
  for (const endpoint of ['nonsense', 'host:0', 'host:99999', '', 'a b:1']) {
    assert.equal((await world.failure(world.connect({}, endpoint))).code, 'address-invalid', endpoint);
  }
  assert.equal((await world.failure(world.connect({}, []))).code, 'bad-argument');
  assert.equal((await world.failure(world.connect({ requestsMax: 0 }))).code, 'bad-argument');
  await world.cluster.start();
  world.cluster.script = (call) => (call.method === 'hello' ? { kind: 'error', code: 'protocol-version', outcome: 'not-applied' } : undefined);
  const before = world.clock.now();
  assert.equal((await world.failure(world.connect())).code, 'protocol-version');
  assert.ok(world.clock.now() - before < 1_000, 'a refusal by all is told at once');
  assert.equal(world.holds, 0);
});

test('connect waits for a cluster that is starting', async () => {
  const world = new World();
  const connecting = world.connect();
  await world.advance(3_000);
  await world.cluster.start();
  const client = await world.run(connecting);
  await world.run(client.put('a', '1'));
});

test('a gateway of another cluster at a known address is not spoken to', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.cluster = 'd'.repeat(32);
  for (const gateway of world.cluster.gateways) await gateway.stop();
  for (const gateway of world.cluster.gateways) await gateway.start();
  await world.advance(5);
  const error = await world.failure(client.put('a', '1', { timeoutMs: 2_000 }));
  assert.deepEqual([error.code, error.outcome], ['timeout', 'not-applied']);
  assert.match(error.message, /wrong-cluster/);
  assert.equal(world.cluster.calls.length, 0);
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
  world.cluster.script = () => hang;
  const put = world.failure(client.put('a', '1'));
  const before = world.clock.now();
  await world.run(client.close({ timeoutMs: 500 }));
  assert.deepEqual([(await put).code, (await put).outcome], ['closed', 'unknown']);
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
