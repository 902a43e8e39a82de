import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBuffer } from '../../../../src/base/bytes.ts';
import { Cluster, loggerName, resultOf } from '../harness.ts';

function serving(gateways = 1, loggers = 3): Cluster {
  const cluster = new Cluster(gateways, loggers);
  cluster.claim(0);
  assert.equal(cluster.gateway(0).role, 'owner');
  return cluster;
}

test('the first claim of a shard opens zone 1 under epoch 1 on all loggers', () => {
  const { head } = serving();
  assert.equal(head.epoch, 1);
  assert.equal(head.openZone.zone, 1);
  assert.equal(head.openZone.replicas.length, 3);
});

test('a put is answered with the LBA of its record, the same bytes on every replica (S5, S11)', () => {
  const cluster = serving();
  const result = cluster.put(0, 'key', 'value');
  assert.equal(result?.kind, 'put');
  const copies = cluster.loggers.map((logger) => logger.zones.get(cluster.head.openZone.zone)?.bytes.toString('hex'));
  assert.ok(copies[0] !== undefined && copies[0].length > 0);
  assert.deepEqual(new Set(copies).size, 1);
});

test('S5 a write is not answered before all replicas have it', () => {
  const cluster = serving();
  cluster.put(0, 'first', '1');
  const { zone } = cluster.head.openZone;
  cluster.hold = ({ effect }) => effect.effect === 'append';
  const outcome = cluster.write(0, 'put', 'second', '2');
  cluster.run();
  const effect = cluster.held[0]?.effect;
  assert.ok(effect?.effect === 'append');
  const end = effect.offset + effect.bytes.length;
  for (const number of [0, 1]) {
    cluster.event(0, { event: 'appended', logger: loggerName(number), zone, end });
    cluster.run();
    assert.equal(outcome.result, undefined);
  }
  cluster.event(0, { event: 'appended', logger: loggerName(2), zone, end });
  cluster.run();
  assert.equal(resultOf(outcome)?.kind, 'put');
});

test('writes of one turn share a batch', () => {
  const cluster = serving();
  const outcomes = Array.from({ length: 50 }, (_, number) => cluster.write(0, 'put', `key${number}`, 'v'));
  cluster.run();
  assert.ok(outcomes.every(({ result }) => result?.kind === 'put'));
  assert.equal(cluster.committed.length, 1);
});

test('S7 a read waits for a confirmation of all replicas that was sent after it was called', () => {
  const cluster = serving();
  cluster.put(0, 'key', 'value');
  cluster.hold = ({ effect }) => effect.effect === 'confirm';
  const read = cluster.read(0, 'key');
  cluster.run();
  const effect = cluster.held[0]?.effect;
  assert.ok(effect?.effect === 'confirm');
  const { zone, number } = effect;
  cluster.event(0, { event: 'confirmed', logger: loggerName(0), zone, number });
  cluster.event(0, { event: 'confirmed', logger: loggerName(1), zone, number });
  cluster.event(0, { event: 'confirmed', logger: loggerName(2), zone, number: number - 1 });
  cluster.run();
  assert.equal(read.found, undefined, 'an older answer confirms nothing');
  cluster.event(0, { event: 'confirmed', logger: loggerName(2), zone, number });
  cluster.run();
  assert.ok(read.found);
});

test('S7 a committed append that was sent after the read was called confirms as well', () => {
  const cluster = serving();
  cluster.put(0, 'key', 'value');
  cluster.hold = ({ effect }) => effect.effect === 'confirm';
  const read = cluster.read(0, 'key');
  cluster.write(0, 'put', 'other', 'x');
  cluster.run();
  assert.ok(read.found);
});

test('a read of a key that was never written finds nothing, after confirmation', () => {
  const cluster = serving();
  const read = cluster.read(0, 'nobody');
  cluster.run();
  assert.equal(read.found, 0);
});

test('conditions are decided against records in flight: two ifAbsent in one batch, one wins', () => {
  const cluster = serving();
  const first = cluster.write(0, 'put', 'key', 'a', { condition: 0 });
  const second = cluster.write(0, 'put', 'key', 'b', { condition: 0 });
  cluster.run();
  assert.ok(first.result?.kind === 'put');
  assert.ok(second.result?.kind === 'refused');
  assert.equal(second.result.currentVersion, first.result.version, 'the refusal names the version it was decided on');
});

test('ifVersion: the current version is taken, an older one and one in flight are refused', () => {
  const cluster = serving();
  const first = cluster.put(0, 'key', 'a');
  assert.ok(first?.kind === 'put');
  const second = cluster.write(0, 'put', 'key', 'b', { condition: first.version });
  const third = cluster.write(0, 'put', 'key', 'c', { condition: first.version });
  cluster.run();
  assert.equal(second.result?.kind, 'put');
  assert.equal(third.result?.kind, 'refused');
});

test('delete says whether the key was there; a delete of nothing is recorded, so that its repetition gets the same answer (S15)', () => {
  const cluster = serving();
  cluster.put(0, 'key', 'a');
  const first = cluster.write(0, 'delete', 'key');
  const second = cluster.write(0, 'delete', 'key', '', { client: 9, number: 5, first: 5 });
  cluster.run();
  assert.ok(first.result?.kind === 'deleted' && first.result.existed);
  assert.ok(second.result?.kind === 'deleted' && !second.result.existed);
  cluster.put(0, 'key', 'b');
  const again = cluster.write(0, 'delete', 'key', '', { client: 9, number: 5, first: 5 });
  cluster.run();
  assert.ok(again.result?.kind === 'deleted' && !again.result.existed);
  const read = cluster.read(0, 'key');
  cluster.run();
  assert.ok(read.found);
});

test('S15 a repetition gets the first result and is not applied again', () => {
  const cluster = serving();
  const first = cluster.write(0, 'put', 'key', 'a', { client: 9, number: 1, first: 1 });
  cluster.run();
  cluster.put(0, 'key', 'b');
  const version = cluster
    .gateway(0)
    .state.index.versionOf(cluster.gateway(0).state.index.find(Buffer.from('key'), 0, 3));
  const again = cluster.write(0, 'put', 'key', 'a', { client: 9, number: 1, first: 1 });
  cluster.run();
  assert.deepEqual(again.result, first.result);
  assert.equal(
    cluster.gateway(0).state.index.versionOf(cluster.gateway(0).state.index.find(Buffer.from('key'), 0, 3)),
    version,
  );
});

test('S15 a repetition of a write in flight waits for it', () => {
  const cluster = serving();
  cluster.put(0, 'x', 'y');
  cluster.hold = ({ effect }) => effect.effect === 'append';
  const first = cluster.write(0, 'put', 'key', 'a', { client: 9, number: 1, first: 1 });
  cluster.run();
  const again = cluster.write(0, 'put', 'key', 'a', { client: 9, number: 1, first: 1 });
  cluster.run();
  assert.equal(again.result, undefined);
  cluster.release();
  assert.equal(first.result?.kind, 'put');
  assert.deepEqual(again.result, first.result);
  assert.equal(
    cluster.committed.reduce((sum, batch) => sum + batch.recordCount, 0),
    2,
  );
});

test('S15 numbers below the first incomplete one are refused', () => {
  const cluster = serving();
  cluster.write(0, 'put', 'key', 'a', { client: 9, number: 10, first: 10 });
  cluster.run();
  const late = cluster.write(0, 'put', 'key', 'b', { client: 9, number: 3, first: 3 });
  cluster.run();
  assert.ok(late.result?.kind === 'failed' && late.result.code === 'request-superseded');
});

test('S6 a failed replica: the zone is closed at the committed length, and what was in flight is appended again in its old order', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  const { zone } = cluster.head.openZone;
  cluster.logger(2).isUp = false;
  const writes = [cluster.write(0, 'put', 'b', '2'), cluster.write(0, 'put', 'b', '3')];
  cluster.run();
  assert.equal(cluster.head.openZone.zone, zone + 1);
  assert.equal(cluster.head.epoch, 1);
  const [sealed] = cluster.zones;
  assert.equal(sealed?.zone, zone);
  assert.deepEqual(sealed?.replicas.length, 3);
  const versions = writes.map(({ result }) => (result?.kind === 'put' ? Number(result.version) : 0));
  assert.ok((versions[0] ?? 0) > 0 && (versions[1] ?? 0) > (versions[0] ?? 0));
});

test('S6 nothing is committed or confirmed while the change is under way, also when acknowledgements arrive', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  const { zone } = cluster.head.openZone;
  cluster.hold = ({ effect }) => effect.effect === 'append' || effect.effect === 'transact';
  const outcome = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  const append = cluster.held[0]?.effect;
  assert.ok(append?.effect === 'append');
  cluster.loggerDown(2);
  const read = cluster.read(0, 'a');
  for (const number of [0, 1, 2])
    cluster.event(0, { event: 'appended', logger: loggerName(number), zone, end: append.offset + append.bytes.length });
  for (const number of [0, 1, 2])
    cluster.event(0, { event: 'confirmed', logger: loggerName(number), zone, number: 1_000 });
  cluster.run();
  assert.equal(outcome.result, undefined);
  assert.equal(read.found, undefined);
  // The append that was held is for the old zone, and too late.
  cluster.held = cluster.held.filter(({ effect }) => effect.effect === 'transact');
  cluster.release();
  assert.equal(resultOf(outcome)?.kind, 'put');
  assert.ok(read.found);
});

test('S6 an unknown outcome: frozen until the change is seen, also when a fresh read shows none', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.delayTransaction = true;
  cluster.loggerDown(2);
  const outcome = cluster.write(0, 'put', 'b', '2');
  cluster.hold = ({ effect }) => effect.effect === 'transact';
  cluster.run();
  cluster.pass(200);
  assert.equal(outcome.result, undefined, 'it stays frozen while the request may still arrive');
  for (const arrive of cluster.delayed) arrive();
  cluster.release();
  cluster.pass(200);
  assert.equal(resultOf(outcome)?.kind, 'put');
  assert.equal(cluster.zones.length, 1);
});

test('S6 a second change of its own makes the first impossible', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.delayTransaction = true;
  cluster.loggerDown(2);
  const outcome = cluster.write(0, 'put', 'b', '2');
  cluster.pass(200);
  assert.equal(resultOf(outcome)?.kind, 'put');
  const { openZone, change } = cluster.head;
  for (const arrive of cluster.delayed) arrive();
  cluster.run();
  assert.deepEqual([cluster.head.openZone, cluster.head.change], [openZone, change]);
});

test('S6 a lost answer of an applied change is settled by reading', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.loseAnswer = true;
  cluster.loggerDown(1);
  const result = cluster.put(0, 'b', '2');
  assert.equal(result?.kind, 'put');
  assert.equal(cluster.zones.length, 1);
});

test('any two of three loggers fail: writes go on with one', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.loggerDown(0);
  cluster.loggerDown(2);
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
  assert.deepEqual(cluster.head.openZone.replicas, [loggerName(1)]);
});

test('a logger that is back for a while is used by a new zone', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.loggerDown(0);
  cluster.put(0, 'b', '2');
  assert.equal(cluster.head.openZone.replicas.length, 2);
  cluster.logger(0).restart();
  cluster.loggerUp(0);
  cluster.pass(7_000);
  assert.equal(cluster.head.openZone.replicas.length, 3);
  assert.equal(cluster.put(0, 'c', '3')?.kind, 'put');
});

test('a logger that restarted refuses its open zone, and the owner changes zones (S3)', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.logger(1).restart();
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
  assert.equal(cluster.zones.length, 1);
  assert.equal(cluster.head.openZone.replicas.length, 2);
});

test('a replica that never answers leaves the zone after the deadline', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.hold = ({ effect }) => effect.effect === 'append';
  const outcome = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  const append = cluster.held[0]?.effect;
  assert.ok(append?.effect === 'append');
  for (const number of [0, 1])
    cluster.event(0, {
      event: 'appended',
      logger: loggerName(number),
      zone: append.zone,
      end: append.offset + append.bytes.length,
    });
  cluster.hold = () => false;
  cluster.pass(2_500);
  assert.equal(resultOf(outcome)?.kind, 'put');
  assert.deepEqual([...cluster.head.openZone.replicas].sort(), [loggerName(0), loggerName(1)]);
});

test('a full zone is followed by another, and no record is lost on the way', () => {
  const cluster = serving();
  const results = Array.from({ length: 40 }, (_, number) => cluster.put(0, `key${number}`, 'x'.repeat(5_000)));
  assert.ok(results.every((result) => result?.kind === 'put'));
  assert.ok(cluster.zones.length >= 2);
  assert.equal(cluster.gateway(0).state.index.size, 40);
  for (const zone of cluster.zones) assert.ok(zone.length <= 64 * 1024);
});

test('a value that fits no zone is refused, not applied', () => {
  const cluster = serving();
  const result = cluster.put(0, 'key', 'x'.repeat(70_000));
  assert.ok(result?.kind === 'failed' && result.code === 'value-too-large' && result.outcome === 'not-applied');
});

test('all loggers full: puts are refused with disk-full and resume by themselves, deletes are tried', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  for (const logger of cluster.loggers) logger.isFull = true;
  const refused = cluster.put(0, 'b', '2');
  assert.ok(refused?.kind === 'failed' && refused.code === 'disk-full' && refused.outcome === 'not-applied');
  const read = cluster.read(0, 'a');
  cluster.run();
  assert.ok(read.found, 'reads go on');
  for (const logger of cluster.loggers) logger.isFull = false;
  cluster.pass(2_000);
  assert.equal(cluster.put(0, 'c', '3')?.kind, 'put');
});

test('one logger full: it leaves the open zone and nobody notices', () => {
  const cluster = serving();
  cluster.put(0, 'a', '1');
  cluster.logger(1).isFull = true;
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
  assert.ok(!cluster.head.openZone.replicas.includes(loggerName(1)));
});

test('a forming batch is bounded, and at most two are in flight', () => {
  const cluster = new Cluster(1, 3, { batchBytesTarget: 4_096, batchesInFlightMax: 2 });
  cluster.claim(0);
  cluster.hold = ({ effect }) => effect.effect === 'append';
  const outcomes = Array.from({ length: 20 }, (_, number) => cluster.write(0, 'put', `k${number}`, 'x'.repeat(1_000)));
  cluster.run();
  assert.equal(cluster.held.length, 2);
  for (const { effect } of cluster.held) assert.ok(effect.effect === 'append' && asBuffer(effect.bytes).length < 5_000);
  cluster.release();
  assert.ok(outcomes.every(({ result }) => result?.kind === 'put'));
});

test('S18 shard time does not go back when the clock does, also while batches are in flight', () => {
  const cluster = new Cluster(1, 1, { batchesInFlightMax: 2 });
  cluster.claim(0);
  cluster.hold = ({ effect }) => effect.effect === 'append';
  cluster.write(0, 'put', 'first', '1');
  cluster.run();
  cluster.nowMs -= 500;
  cluster.write(0, 'put', 'second', '2');
  cluster.run();
  assert.equal(cluster.held.length, 2);
  cluster.release();
  const [first, second] = cluster.committed.map(({ shardTimeMs }) => shardTimeMs);
  assert.equal(second, first);
});
