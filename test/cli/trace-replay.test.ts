import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import { Latencies } from '../../src/cli/latencies.ts';
import { replayTrace, verifyModel } from '../../src/cli/replay.ts';
import { generateTrace, parseTrace } from '../../src/cli/trace.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { World } from '../client/world.ts';

const trace = (requests: number) => [
  ...generateTrace(new SimulatedRandom(2), { requests, keysMax: 40, valueLengthMax: 60, deleteShare: 0.1 }),
];

test('a replay with many in flight verifies every get, and then every key', async () => {
  const world = await World.started();
  const client = await world.client();
  let progress = 0;
  const summary = await world.run(
    replayTrace(client, trace(2_000), world.clock, { inFlight: 32, onProgress: (done) => (progress = done) }),
  );
  assert.equal(summary.requests, 2_000);
  assert.equal(summary.puts.count + summary.gets.count + summary.deletes.count, 2_000);
  assert.equal(summary.unchecked, 0);
  assert.equal(progress, 2_000);
  assert.equal(await world.run(verifyModel(client, summary.model)), summary.model.size);
});

test('requests of one key keep the order of the trace; others overlap', async () => {
  const world = await World.started();
  const client = await world.client();
  await world.run(replayTrace(client, trace(500), world.clock, { inFlight: 32 }));
  const expected = trace(500)
    .filter((request) => request.key === '7')
    .map((request) => (request.kind === 'del' ? 'delete' : request.kind));
  assert.ok(expected.length > 5);
  assert.deepEqual(
    world.cluster.calls.filter((call) => call.key === '7').map((call) => call.method),
    expected,
  );
  assert.ok(world.clock.now() < 500, `${world.clock.now()} ms for 500 requests of 2 ms`);
});

test('a get that finds something else fails the replay, naming the key', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) => {
    if (call.method === 'put') world.cluster.store.set(call.key, { value: 'other', version: 1 });
    return call.method === 'put' ? { kind: 'answer', write: (out) => out.integer(1) } : undefined;
  };
  const error = await world.failure(replayTrace(client, parseTrace('PUT 5 right\nGET 5\nGET 5'), world.clock));
  assert.deepEqual(
    [error.code, error.message],
    ['verify-failed', "key '5': 'other' was read where 'right' was written"],
  );
});

test('a lost key is found by the last look', async () => {
  const world = await World.started();
  const client = await world.client();
  const { model } = await world.run(replayTrace(client, parseTrace('PUT 5 right\nPUT 6 right'), world.clock));
  world.cluster.store.delete('6');
  const error = await world.failure(verifyModel(client, model));
  assert.equal(error.message, "key '6': nothing was read where 'right' was written");
});

test('the first request that fails ends the replay, after what was under way has settled', async () => {
  const world = await World.started();
  const client = await world.client();
  world.cluster.script = (call) =>
    call.key === '3' ? { kind: 'error', code: 'disk-full', outcome: 'not-applied' } : undefined;
  const lines = Array.from({ length: 50 }, (_, index) => `PUT ${index} v`).join('\n');
  const error = await world.failure(replayTrace(client, parseTrace(lines), world.clock, { inFlight: 4 }));
  assert.equal(error.code, 'disk-full');
  assert.equal(client.status().requests, 0);
  assert.ok(world.cluster.calls.length < 12);
});

test('a bad line in a trace that is read on the way is told after what was under way has settled', async () => {
  const world = await World.started();
  const client = await world.client();
  function* broken() {
    yield* parseTrace('PUT 1 a\nPUT 2 b');
    throw new KvError('trace-invalid', 'line 3');
  }
  assert.equal(
    (await world.failure(replayTrace(client, broken(), world.clock, { inFlight: 8 }))).code,
    'trace-invalid',
  );
  assert.equal(client.status().requests, 0);
});

test('an aborted replay says how far it came', async () => {
  const world = await World.started();
  const client = await world.client();
  const control = new AbortController();
  const onProgress = (done: number): void => {
    if (done === 10) control.abort();
  };
  const error = await world.failure(
    replayTrace(client, trace(100), world.clock, { onProgress, signal: control.signal }),
  );
  assert.deepEqual([error.code, error.message], ['aborted', 'the replay was stopped after 10 requests']);
});

test('latencies: average, nearest-rank P99, and a rate over the time in which something was under way', () => {
  const latencies = new Latencies();
  for (let index = 1; index <= 2_000; index++) {
    latencies.begin(index * 10);
    latencies.end(index * 10, index * 10 + (index % 100 === 0 ? 8 : 2));
  }
  const { count, averageMs, p99Ms, perSecond } = latencies.summary();
  assert.deepEqual([count, p99Ms], [2_000, 2]);
  assert.ok(Math.abs(averageMs - 2.06) < 1e-9);
  assert.ok(Math.abs(perSecond - 2_000 / 4.12) < 1e-6);
  const overlapping = new Latencies();
  overlapping.begin(0);
  overlapping.begin(5);
  overlapping.end(0, 10);
  overlapping.end(5, 15);
  assert.deepEqual(overlapping.summary(), { count: 2, averageMs: 10, p99Ms: 10, perSecond: 2_000 / 15 });
  assert.deepEqual(new Latencies().summary(), { count: 0, averageMs: 0, p99Ms: 0, perSecond: 0 });
});
