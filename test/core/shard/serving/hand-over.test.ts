/** S6: an owner gives its shard to a gateway that stands by, in one transaction and without a pause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instanceId, uuid } from '../../../../src/base/ids.ts';
import type { Owner } from '../../../../src/core/shard/head/metadata.ts';
import type { Outcome, Pending } from '../harness.ts';
import { Cluster, loggerName, resultOf } from '../harness.ts';

/** Process of a gateway that was started once, in the order of the numbers. */
function processOf(gateway: number): Owner {
  const node = uuid(String(gateway).padStart(32, 'a'));
  return { gateway, node, instance: instanceId(String(gateway + 1).padStart(16, '0')) };
}

/** Three gateways; the first one serves and has written something. */
function serving(): Cluster {
  const cluster = new Cluster(3, 3);
  cluster.claim(0);
  assert.equal(cluster.put(0, 'a', '1')?.kind, 'put');
  return cluster;
}

function handOver(cluster: Cluster, from: number, to: number): void {
  cluster.event(from, { event: 'hand-over', to: processOf(to), epoch: cluster.head.epoch });
  cluster.run();
}

/** A batch of the owner is in flight when it is asked for the shard. */
function askedWhileSending(): { readonly cluster: Cluster; readonly write: Outcome } {
  const cluster = serving();
  cluster.hold = ({ effect }) => effect.effect === 'append';
  const write = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  handOver(cluster, 0, 1);
  return { cluster, write };
}

test('S6 the zone ends where all replicas are, and the next gateway serves in the next epoch and a zone of its own', () => {
  const cluster = serving();
  const { openZone } = cluster.head;
  const length = cluster.committed.at(-1)?.end;
  handOver(cluster, 0, 1);
  assert.deepEqual(cluster.head.owner, processOf(1));
  assert.deepEqual([cluster.head.epoch, cluster.head.openZone.epoch], [2, 2]);
  assert.equal(cluster.head.openZone.zone, openZone.zone + 1);
  const [sealed] = cluster.zones;
  assert.deepEqual([sealed?.zone, sealed?.epoch, sealed?.length], [openZone.zone, 1, length]);
  assert.deepEqual(sealed?.replicas, openZone.replicas);
  assert.deepEqual([cluster.gateway(0).role, cluster.gateway(1).role], ['follower', 'owner']);
  assert.equal(cluster.put(1, 'b', '2')?.kind, 'put');
  const read = cluster.read(1, 'a');
  cluster.run();
  assert.ok((read.found ?? 0) > 0);
});

test('S6 what is in flight is committed and answered first; what waits is refused as not applied', () => {
  const { cluster, write: sent } = askedWhileSending();
  const waiting = cluster.write(0, 'put', 'c', '3');
  cluster.run();
  assert.equal(cluster.head.epoch, 1, 'nothing is handed over while a batch is in flight');
  cluster.release();
  assert.equal(resultOf(sent)?.kind, 'put');
  const refusal = resultOf(waiting);
  assert.ok(refusal?.kind === 'failed');
  assert.deepEqual([refusal.code, refusal.outcome], ['not-owner', 'not-applied']);
  assert.equal(cluster.gateway(1).role, 'owner');
  assert.ok(cluster.keys(1).includes('b') && !cluster.keys(1).includes('c'));
});

test('S6 a hand-over of unknown outcome: frozen, also when a fresh read shows none', () => {
  const cluster = serving();
  const isHandOver = ({ effect }: Pending): boolean => effect.effect === 'transact' && effect.purpose === 'hand-over';
  cluster.onEffect = (pending) => {
    if (isHandOver(pending) && cluster.delayed.length === 0) cluster.delayTransaction = true;
  };
  cluster.hold = (pending) => isHandOver(pending) && cluster.delayed.length > 0;
  handOver(cluster, 0, 1);
  const [write, read] = [cluster.write(0, 'put', 'b', '2'), cluster.read(0, 'a')];
  cluster.pass(300);
  assert.deepEqual([write.result, read.found], [undefined, undefined]);
  for (const arrive of cluster.delayed) arrive();
  cluster.run();
  assert.equal(cluster.gateway(1).role, 'owner');
  assert.ok(resultOf(write)?.kind === 'failed');
  assert.equal(read.failure?.code, 'not-owner');
});

test('S6 a replica that fails first: the zone is changed and the shard stays', () => {
  const { cluster, write } = askedWhileSending();
  cluster.loggerDown(2);
  cluster.release();
  assert.equal(resultOf(write)?.kind, 'put');
  assert.deepEqual([cluster.head.epoch, cluster.head.owner.gateway], [1, 0]);
});

test('S2 an epoch that was given is held once: who lost it does not take it up again', () => {
  const cluster = serving();
  handOver(cluster, 0, 1);
  const { zone } = cluster.head.openZone;
  const reason = { kind: 'refused', code: 'fenced' } as const;
  cluster.event(1, { event: 'append-failed', logger: loggerName(0), zone, reason });
  cluster.news();
  cluster.run();
  assert.equal(cluster.gateway(1).role, 'follower');
});

test('a shard that is given is served when the end of its log has been applied, and requests wait for that', () => {
  const cluster = serving();
  cluster.catchUpLost = true;
  cluster.put(0, 'b', '2');
  cluster.hold = ({ effect }) => effect.effect === 'read-log';
  handOver(cluster, 0, 1);
  assert.equal(cluster.gateway(1).role, 'taking');
  const read = cluster.read(1, 'b');
  cluster.run();
  assert.equal(read.found, undefined);
  cluster.release();
  assert.equal(cluster.gateway(1).role, 'owner');
  assert.ok((read.found ?? 0) > 0);
});

test('S2 who was given a shard, and has not served it yet, loses it to a later claim', () => {
  for (const isClosed of [false, true]) {
    const cluster = serving();
    cluster.catchUpLost = true;
    cluster.put(0, 'b', '2');
    cluster.hold = ({ gateway, effect }) =>
      (gateway === 1 && effect.effect === 'read-log') ||
      (!isClosed && gateway === 2 && effect.effect === 'transact' && effect.purpose === 'close');
    handOver(cluster, 0, 1);
    assert.equal(cluster.gateway(1).role, 'taking');
    cluster.catchUpLost = false;
    cluster.claim(2);
    cluster.news();
    cluster.run();
    assert.equal(cluster.gateway(1).role, 'follower');
    cluster.release();
    assert.deepEqual([cluster.gateway(1).role, cluster.gateway(2).role], ['follower', 'owner']);
    assert.deepEqual(cluster.head.owner, processOf(2));
  }
});

test('a question of another epoch, and one to who does not own the shard, is ignored', () => {
  const cluster = serving();
  cluster.event(0, { event: 'hand-over', to: processOf(1), epoch: 7 });
  cluster.event(2, { event: 'hand-over', to: processOf(1), epoch: 1 });
  cluster.pass(200);
  assert.deepEqual([cluster.head.epoch, cluster.head.owner.gateway], [1, 0]);
});

test('a shard goes round, and every gateway has the same keys', () => {
  const cluster = serving();
  for (let turn = 0; turn < 12; turn++) {
    const [from, to] = [turn % 3, (turn + 1) % 3];
    assert.equal(cluster.put(from, `key${turn}`, 'x')?.kind, 'put');
    handOver(cluster, from, to);
    assert.equal(cluster.gateway(to).role, 'owner');
  }
  cluster.pass(200);
  for (const gateway of [1, 2]) assert.deepEqual(cluster.keys(gateway), cluster.keys(0));
  assert.equal(cluster.keys(0).length, 13);
});
