/** Without the coordinator a shard goes on until its zone is full: what is optional waits (design 2). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Delays } from '../delays.ts';
import { Cluster, resultOf } from '../harness.ts';

function served(): Cluster {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  assert.equal(cluster.put(0, 'a', '1')?.kind, 'put');
  return cluster;
}

test('a logger returns while the coordinator is away: the shard goes on with the replicas it has', () => {
  const cluster = served();
  cluster.loggerDown(2);
  assert.equal(cluster.head.openZone.replicas.length, 2);
  assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
  cluster.hold = ({ effect }) => effect.effect === 'transact' || effect.effect === 'load';
  assert.equal(cluster.put(0, 'c', '3')?.kind, 'put', 'it is not on the path of a write');
  cluster.loggerUp(2);
  cluster.pass(2_000);
  const write = cluster.write(0, 'put', 'd', '4');
  const read = cluster.read(0, 'a');
  cluster.run();
  cluster.pass(12_000);
  assert.equal(resultOf(write)?.kind, 'put', JSON.stringify(resultOf(write)));
  assert.ok(read.found, JSON.stringify(read.failure));
  cluster.release();
  cluster.pass(2_000);
  assert.equal(cluster.head.openZone.replicas.length, 3, 'it regrows when the coordinator is back');
});

test('it fails instead of hanging: it is asked again, seldom, and the shard goes on', () => {
  const cluster = served();
  cluster.loggerDown(2);
  let looks = 0;
  cluster.hold = ({ effect }) => {
    if (effect.effect !== 'load') return false;
    looks += 1;
    cluster.event(0, { event: 'load-failed' });
    return true;
  };
  cluster.loggerUp(2);
  for (let second = 0; second < 30; second += 1) {
    cluster.pass(1_000);
    assert.equal(cluster.put(0, 'b', '2')?.kind, 'put');
  }
  assert.ok(looks >= 10 && looks <= 31, `${looks} looks in 30 s`);
});

test('a replica is slow while the coordinator is away: what it answers in the end commits', () => {
  const cluster = served();
  const delays = new Delays(cluster, (number, asked) => (asked === 'append' && number === 2 ? 5_000 : 0));
  const slow = cluster.hold;
  cluster.hold = (pending) => pending.effect.effect === 'load' || pending.effect.effect === 'transact' || slow(pending);
  const write = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  delays.pass(5_100);
  assert.equal(resultOf(write)?.kind, 'put', JSON.stringify(resultOf(write)));
  assert.equal(cluster.head.openZone.zone, 1);
});
