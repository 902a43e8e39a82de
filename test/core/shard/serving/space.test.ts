/** Full devices, and a coordinator without space: what is refused was not written, reads go on, deletes get through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WriteResult } from '../../../../src/core/shard/requests.ts';
import { Cluster, loggerName, resultOf } from '../harness.ts';

function full(loggers = 3): Cluster {
  const cluster = new Cluster(1, loggers);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  for (const logger of cluster.loggers) logger.isFull = true;
  return cluster;
}

function isRefused(result: WriteResult | undefined): boolean {
  return result?.kind === 'failed' && result.code === 'disk-full' && result.outcome === 'not-applied';
}

function remove(cluster: Cluster, key: string): WriteResult | undefined {
  const outcome = cluster.write(0, 'delete', key);
  cluster.run();
  return resultOf(outcome);
}

test('an hour of puts on full devices: each is refused at once, no zone is changed, reads go on', () => {
  const cluster = full();
  const before = cluster.head.openZone.zone;
  for (let second = 0; second < 3_600; second += 1) {
    assert.ok(isRefused(cluster.put(0, `key${second}`, 'v')));
    const read = cluster.read(0, 'a');
    cluster.run();
    assert.ok(read.found);
    cluster.pass(1_000);
  }
  assert.equal(cluster.head.openZone.zone, before);
  for (const logger of cluster.loggers) logger.isFull = false;
  cluster.pass(1_000);
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
});

test('two batches in flight are refused by all: neither exists, and the log goes on where it was', () => {
  const cluster = new Cluster(1, 2, { batchBytesTarget: 4_096, batchesInFlightMax: 2 });
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const { committed } = cluster.gateway(0).status.owner ?? { committed: -1 };
  for (const logger of cluster.loggers) logger.isFull = true;
  const outcomes = Array.from({ length: 6 }, (_, number) => cluster.write(0, 'put', `k${number}`, 'x'.repeat(2_000)));
  cluster.run();
  assert.ok(outcomes.every((outcome) => isRefused(resultOf(outcome))));
  for (const logger of cluster.loggers) logger.isFull = false;
  cluster.pass(1_000);
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
  assert.equal(cluster.committed.at(-1)?.offset, committed);
});

test('two batches at the start of a zone are refused by all, one for want of the zone: no zone is changed', () => {
  const cluster = new Cluster(1, 2, { batchBytesTarget: 4_096, batchesInFlightMax: 2 });
  cluster.claim(0);
  const before = cluster.head.openZone.zone;
  for (const logger of cluster.loggers) logger.isFull = true;
  const outcomes = Array.from({ length: 6 }, (_, number) => cluster.write(0, 'put', `k${number}`, 'x'.repeat(2_000)));
  cluster.run();
  assert.ok(outcomes.every((outcome) => isRefused(resultOf(outcome))));
  assert.equal(cluster.head.openZone.zone, before);
  for (const logger of cluster.loggers) logger.isFull = false;
  cluster.pass(1_000);
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
});

test('a delete that finds no space where the zone lies gets a new zone, once; without room there it is refused', () => {
  const cluster = full(1);
  const before = cluster.head.openZone.zone;
  const logger = cluster.logger(0);
  logger.hasRoomForZones = true;
  assert.equal(remove(cluster, 'a')?.kind, 'deleted');
  assert.equal(cluster.head.openZone.zone, before + 1);
  logger.hasRoomForZones = false;
  for (let second = 0; second < 60; second += 1) {
    assert.ok(isRefused(remove(cluster, 'b')));
    cluster.pass(1_000);
  }
  assert.ok(cluster.head.openZone.zone <= before + 2);
});

test('S5 a batch that one replica has is not withdrawn: the zone is left, and its outcome is said when that is seen', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.logger(1).isFull = true;
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
  assert.deepEqual(cluster.head.openZone.replicas, [loggerName(0)]);
});

test('S6 a change that was certainly not applied leaves the zone open: reads and what is in flight go on', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.coordinatorIsFull = true;
  cluster.logger(1).isFull = true;
  const write = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  cluster.pass(100);
  for (let round = 0; round < 20; round += 1) {
    const read = cluster.read(0, 'a');
    cluster.run();
    cluster.pass(100);
    assert.ok(read.found, `round ${round}`);
  }
  assert.equal(resultOf(write), undefined, 'one replica has it');
  assert.ok(isRefused(cluster.put(0, 'c', '3')));
  assert.ok(isRefused(remove(cluster, 'a')));
  cluster.coordinatorIsFull = false;
  cluster.pass(3_000);
  assert.equal(resultOf(write)?.kind, 'put');
});

test('S6 acknowledgements that come while a change is under way count when it was certainly not applied', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.coordinatorIsFull = true;
  cluster.hold = ({ effect }) => effect.effect === 'append' || effect.effect === 'transact';
  const write = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  cluster.event(0, {
    event: 'confirm-failed',
    logger: loggerName(1),
    zone: cluster.head.openZone.zone,
    reason: { kind: 'refused', code: 'other-epoch' },
  });
  cluster.run();
  const appends = cluster.held.filter(({ effect }) => effect.effect === 'append');
  const changes = cluster.held.filter(({ effect }) => effect.effect === 'transact');
  assert.equal(changes.length, 1);
  cluster.held = appends;
  cluster.release();
  assert.equal(resultOf(write), undefined, 'nothing commits while frozen');
  cluster.held = changes;
  cluster.release();
  assert.equal(resultOf(write)?.kind, 'put');
});

test('S1 S6 a change of unknown outcome may arrive after one that was certainly not applied', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const { zone } = cluster.head.openZone;
  cluster.delayTransaction = true;
  cluster.loggerDown(1);
  assert.equal(cluster.delayed.length, 1, 'a change whose outcome is unknown');
  cluster.coordinatorIsFull = true;
  cluster.pass(500);
  assert.equal(cluster.head.openZone.zone, zone, 'the next ones were certainly not applied');
  for (const arrive of cluster.delayed.splice(0)) arrive();
  cluster.run();
  assert.equal(cluster.head.openZone.zone, zone + 1);
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
});
