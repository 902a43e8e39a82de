/** Zones that are nearly full are left at a quiet moment, so that no write waits for it (docs/decisions/0015). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { times } from '../../../../src/base/times.ts';
import { Cluster, resultOf, zoneSize } from '../harness.ts';

const quietMs = times.zoneQuietMs + 2 * times.shardTickMs;

/** Bytes of a batch with one record, about: its value, headers, numbers. */
const batchBytes = 1_110;

/** Writes this share of a zone. */
function fill(cluster: Cluster, share: number): void {
  for (let bytes = 0; bytes < share * zoneSize; bytes += batchBytes)
    assert.equal(cluster.put(0, 'a', 'x'.repeat(1_000))?.kind, 'put');
  assert.equal(cluster.head.openZone.zone, 1);
}

/** A shard whose open zone holds this share. */
function filled(share: number): Cluster {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  fill(cluster, share);
  return cluster;
}

test('a zone that is nearly full is left when nobody writes, and the next write finds the new one', () => {
  const cluster = filled(0.9);
  cluster.pass(quietMs);
  assert.equal(cluster.head.openZone.zone, 2);
  assert.ok(cluster.notes.some((note) => note.includes('zone full soon')));
  assert.equal(cluster.put(0, 'b', '1')?.kind, 'put');
  cluster.pass(10 * quietMs);
  assert.equal(cluster.head.openZone.zone, 2, 'once');
});

test('it is not left while writes go on, nor for being half full', () => {
  const busy = filled(0.9);
  for (let time = 0; time < 10 * quietMs; time += times.zoneQuietMs / 2) {
    assert.equal(busy.put(0, 'b', '1')?.kind, 'put');
    busy.pass(times.zoneQuietMs / 2);
  }
  assert.equal(busy.head.openZone.zone, 1);
  const half = filled(0.5);
  half.pass(10 * quietMs);
  assert.equal(half.head.openZone.zone, 1);
});

test('without the coordinator it is written on: the change could be left undone', () => {
  const cluster = filled(0.5);
  cluster.hold = ({ effect }) => effect.effect === 'transact' || effect.effect === 'load';
  fill(cluster, 0.4);
  cluster.pass(10 * quietMs);
  const write = cluster.write(0, 'put', 'b', '1');
  cluster.run();
  assert.equal(resultOf(write)?.kind, 'put');
  assert.equal(cluster.head.openZone.zone, 1);
});
