/** Without the coordinator a shard goes on until its zone is full: what is optional waits (design 2). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadPurpose } from '../../../../src/core/shard/events.ts';
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
    if (effect.effect !== 'transact') return false;
    looks += 1;
    cluster.event(0, { event: 'transacted', purpose: effect.purpose, result: { kind: 'not-applied' } });
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

/** Writes until the zone is full and no coordinator has answered; gives the write that waits. */
function filled(cluster: Cluster, write: () => ReturnType<Cluster['write']>): ReturnType<Cluster['write']> {
  for (let number = 0; number < 1_000; number += 1) {
    const last = write();
    cluster.run();
    if (resultOf(last) === undefined) return last;
  }
  return assert.fail('the zone is never full');
}

for (const { name, settle } of [
  { name: 'answers nothing', settle: () => true },
  {
    name: 'fails each transaction',
    settle: (cluster: Cluster, purpose: HeadPurpose) => {
      cluster.event(0, { event: 'transacted', purpose, result: { kind: 'not-applied' } });
      return true;
    },
  },
  {
    name: 'answers, and then the change certainly fails',
    settle: (cluster: Cluster, purpose: HeadPurpose) => {
      if (purpose === 'look') return false;
      cluster.event(0, { event: 'transacted', purpose, result: { kind: 'not-applied' } });
      return true;
    },
  },
]) {
  test(`the zone is full and the coordinator ${name}: reads go on, writes are told why, and both resume`, () => {
    const cluster = served();
    cluster.hold = ({ effect }) => effect.effect === 'transact' && settle(cluster, effect.purpose);
    const write = filled(cluster, () => cluster.write(0, 'put', 'b', 'v'.repeat(5_000)));
    for (let second = 0; second < 20; second += 1) {
      const read = cluster.read(0, 'a');
      cluster.run();
      cluster.pass(1_000);
      assert.ok(read.found, JSON.stringify(read.failure));
    }
    const result = resultOf(write);
    assert.deepEqual(result?.kind === 'failed' ? [result.code, result.outcome] : result, [
      'coordinator-unavailable',
      'not-applied',
    ]);
    const late = cluster.write(0, 'put', 'c', '3');
    cluster.run();
    cluster.hold = () => false;
    // What certainly failed never arrives.
    if (cluster.held.some(({ effect }) => effect.effect === 'transact' && effect.writes.length > 0)) cluster.held = [];
    cluster.release();
    cluster.pass(2_000);
    assert.equal(resultOf(late)?.kind, 'put', JSON.stringify(resultOf(late)));
    assert.equal(cluster.put(0, 'd', '4')?.kind, 'put');
  });
}

test('S6 while it is unknown whether the change was applied nothing is answered, also when a later one certainly failed', () => {
  const cluster = served();
  let proposals = 0;
  cluster.hold = ({ effect }) => {
    if (effect.effect !== 'transact' || effect.purpose === 'look') return false;
    proposals += 1;
    const kind = proposals === 1 ? 'unknown' : 'not-applied';
    cluster.event(0, { event: 'transacted', purpose: effect.purpose, result: { kind } });
    return true;
  };
  filled(cluster, () => cluster.write(0, 'put', 'b', 'v'.repeat(5_000)));
  cluster.pass(1_000);
  assert.ok(proposals > 1);
  const read = cluster.read(0, 'a');
  cluster.run();
  cluster.pass(2_000);
  assert.equal(read.found, undefined);
});
