import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { times } from '../../src/base/times.ts';
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

test('each request goes straight to the owner of its shard', async () => {
  const world = await World.started();
  const client = await world.client();
  for (const shard of [0, 1, 2]) await world.run(client.put(keyOfShard(shard), 'v'));
  assert.deepEqual(
    world.cluster.calls.map((call) => call.gateway),
    [0, 1, 2],
  );
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
  assert.deepEqual(
    client.status().gateways.map((gateway) => gateway.connected),
    [false, true, true],
  );
  assert.match(client.status().gateways[0]?.reason ?? '', /refused/);
  await world.cluster.gateways[0]?.start();
  await world.advance(times.reconnectMaxMs * 2);
  assert.deepEqual(
    client.status().gateways.map((gateway) => gateway.connected),
    [true, true, true],
  );
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
  world.cluster.script = (call) =>
    call.gateway === 0 ? { kind: 'error', code: 'unavailable', outcome: 'not-applied' } : undefined;
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
  world.cluster.script = () =>
    copies++ === 0 ? { kind: 'cut' } : { kind: 'error', code: 'unavailable', outcome: 'not-applied' };
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
  const put = world.failing(client.put('a', '1', { signal: control.signal }));
  const get = world.failing(client.get('a', { signal: control.signal }));
  await world.advance(5);
  const before = world.clock.now();
  control.abort();
  const sent = await world.run(put);
  assert.deepEqual([sent.code, sent.outcome, world.clock.now()], ['aborted', 'unknown', before]);
  assert.equal((await world.run(get)).outcome, 'not-applied');
  assert.equal(client.status().requests, 0);
});

test('S15 the window: number - first stays below it, writes beyond wait, reads do not', async () => {
  const world = new World();
  world.cluster.window = 4;
  await world.cluster.start();
  const client = await world.client();
  let hung = true;
  world.cluster.script = (call) => (hung && call.number === 1 ? hang : undefined);
  const puts = Array.from({ length: 10 }, (_, index) =>
    client.put(`{one shard}${index}`, 'v', { timeoutMs: index === 0 ? 300 : 900 }),
  );
  const failed = world.failing(puts[0] ?? Promise.reject(new Error()));
  await world.advance(50);
  assert.deepEqual(
    world.cluster.calls.map((call) => call.number),
    [1, 2, 3, 4],
  );
  assert.equal(await world.run(client.get('zz')), undefined);
  hung = false;
  assert.equal((await world.run(failed)).outcome, 'unknown');
  await world.run(Promise.all(puts.slice(1)));
  assert.equal(world.cluster.calls.filter((call) => call.method === 'put').length, 10);
});

test('S15 first grows as promises settle, over numbers that ended unknown too', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => (call.key === '{a}stuck' ? hang : undefined);
  const stuck = world.failing(client.put('{a}stuck', 'v', { timeoutMs: 100 }));
  await world.run(client.put('a', '1'));
  await world.run(client.put('a', '2'));
  assert.equal(world.cluster.calls.at(-1)?.first, 1);
  await world.run(stuck);
  await world.run(client.put('a', '3'));
  const last = world.cluster.calls.at(-1);
  assert.equal(last?.first, last?.number);
});

test('a forgotten client takes a new id for what was sent once, and calls the rest unknown (S15)', async () => {
  const world = await World.started();
  const client = await world.client();
  await world.run(client.put('a', '0'));
  world.cluster.script = (call) =>
    call.client === 1 ? { kind: 'error', code: 'client-forgotten', outcome: 'unknown' } : undefined;
  await world.run(client.put('a', '1'));
  assert.equal(world.cluster.calls.at(-1)?.client, 2);
  assert.equal(client.status().client, 2);
  let copies = 0;
  world.cluster.script = () =>
    copies++ === 0 ? { kind: 'cut' } : { kind: 'error', code: 'client-forgotten', outcome: 'unknown' };
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

test('gateways that reach no coordinator to get a client id from still serve reads', async () => {
  const world = new World();
  await world.cluster.start();
  let isAway = true;
  world.cluster.script = (call) =>
    isAway && call.method === 'hello' && world.cluster.hellos.at(-1)?.wantsClientId === true
      ? { kind: 'error', code: 'coordinator-unavailable', outcome: 'not-applied' }
      : undefined;
  const client = await world.client();
  assert.equal(await world.run(client.get('a')), undefined);
  const put = client.put('a', '1');
  await world.advance(1_000);
  assert.equal(client.status().gateways.filter((gateway) => gateway.connected).length, 3);
  isAway = false;
  await world.run(put);
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

test('a hung owner whose shard moved to a gateway that is not connected: it is asked once it is', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => (call.gateway === 0 ? { kind: 'apply-and-hang' } : undefined);
  await world.cluster.gateways[1]?.stop();
  const put = client.put(keyOfShard(0), 'v');
  await world.advance(10);
  world.cluster.changeMap([1, 1, 2]);
  await world.advance(200);
  await world.cluster.gateways[1]?.start();
  await world.run(put);
  assert.ok(world.clock.now() < 2_000, `${world.clock.now()} ms`);
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
  for (const map of [
    [],
    [7],
    [{ revision: 9, shards: 2, owners: [0], gateways: [] }],
    [{ revision: 9, shards: -1, owners: [], gateways: [] }],
  ]) {
    world.cluster.gateways[0]?.notifyAll('map', map);
    await world.advance(times.reconnectMaxMs * 2);
    assert.equal(client.status().mapRevision, 1);
  }
  await world.run(client.put(keyOfShard(0), '1'));
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

test('a gateway that is alive but waits, for its loggers or the coordinator, is not taken for lost', async () => {
  const world = await World.started();
  const client = await world.client({ timeoutMs: 20_000 });
  let waits = true;
  world.cluster.script = (call) => (waits && call.method !== 'hello' ? hang : undefined);
  const put = world.failing(client.put(keyOfShard(0), 'v'));
  await world.advance(15_000);
  assert.deepEqual([client.status().resends, world.cluster.calls.length], [0, 1]);
  waits = false;
  assert.equal((await world.run(put)).code, 'timeout');
  await world.run(client.put(keyOfShard(0), 'w'));
});
