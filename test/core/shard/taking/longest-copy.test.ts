/**
 * S9 and S19: a take-over goes by the longest intact copy, and completes the shorter ones before it records a length.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardLimits } from '../../../../src/core/shard/limits.ts';
import { catchUpOf } from '../../../../src/gateway/peers/catch-up.ts';
import { Cluster, loggerName } from '../harness.ts';

/** Writes `names` at gateway 0; the end of each record's batch. */
function put(cluster: Cluster, ...names: readonly string[]): number[] {
  return names.map((name) => {
    cluster.put(0, name, 'value');
    return cluster.committed.at(-1)?.end ?? 0;
  });
}

function restartAll(cluster: Cluster): void {
  for (const logger of cluster.loggers) logger.restart();
}

/** What a disk that lied about a sync, or an older copy of the folder, leaves of the open zone. */
function loseBehind(cluster: Cluster, logger: number, end: number): void {
  const copy = cluster.logger(logger).zones.get(cluster.head.openZone.zone);
  assert.ok(copy);
  copy.bytes = copy.bytes.subarray(0, end);
}

function damageEnd(cluster: Cluster, logger: number): void {
  const copy = cluster.logger(logger).zones.get(cluster.head.openZone.zone);
  assert.ok(copy);
  copy.bytes = Buffer.from(copy.bytes);
  copy.bytes.writeUInt8(copy.bytes.readUInt8(copy.bytes.length - 1) ^ 1, copy.bytes.length - 1);
}

const sorted = (list: readonly string[] | undefined): string[] => [...(list ?? [])].sort();

for (const liar of [0, 1, 2]) {
  test(`S9 replica ${liar} whose disk went back does not cut what the others hold, and is completed`, () => {
    const cluster = new Cluster(1, 3);
    cluster.claim(0);
    const ends = put(cluster, 'a', 'b', 'c');
    const { zone } = cluster.head.openZone;
    restartAll(cluster);
    loseBehind(cluster, liar, ends[0] ?? 0);
    cluster.startGateway(0);
    cluster.claim(0);
    assert.deepEqual(cluster.keys(0), ['a', 'b', 'c']);
    const sealed = cluster.zones.at(-1);
    assert.equal(sealed?.length, ends[2]);
    assert.deepEqual(
      sorted(sealed?.replicas),
      cluster.loggers.map(({ name }) => name),
      'S10 all three hold it',
    );
    assert.equal(cluster.logger(liar).zones.get(zone)?.bytes.length, ends[2], 'the liar was completed');
    assert.equal(sealed?.doubt, undefined);
  });
}

test('S9 a replica that lost the whole zone is completed from its header on', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  const [end] = put(cluster, 'a');
  const { zone } = cluster.head.openZone;
  cluster.logger(1).zones.delete(zone);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(sorted(cluster.zones.at(-1)?.replicas), [loggerName(0), loggerName(1)]);
  assert.equal(cluster.logger(1).zones.get(zone)?.bytes.length, end);
});

test('S19 a copy that lacks the whole zone is completed when the first batch is longer than what is read at once', () => {
  const cluster = new Cluster(1, 2, { limits: { ...shardLimits, logChunkBytes: 512 } });
  cluster.claim(0);
  cluster.put(0, 'a', 'v'.repeat(2_000));
  const { zone } = cluster.head.openZone;
  cluster.logger(1).zones.delete(zone);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.keys(0), ['a']);
  assert.deepEqual(sorted(cluster.zones.at(-1)?.replicas), [loggerName(0), loggerName(1)]);
  assert.equal(cluster.logger(1).zones.get(zone)?.bytes.length, cluster.zones.at(-1)?.length);
});

test('S19 a copy shorter than the watermark of the taker is completed too', () => {
  const cluster = new Cluster(2, 2);
  cluster.claim(0);
  const ends = put(cluster, 'a', 'b', 'c');
  assert.deepEqual(cluster.keys(1), ['a', 'b', 'c'], 'the standby has applied it all');
  const { zone } = cluster.head.openZone;
  loseBehind(cluster, 0, ends[0] ?? 0);
  cluster.claim(1);
  assert.equal(cluster.gateway(1).role, 'owner');
  assert.deepEqual(sorted(cluster.zones.at(-1)?.replicas), [loggerName(0), loggerName(1)]);
  assert.equal(cluster.logger(0).zones.get(zone)?.bytes.length, ends[2]);
  assert.deepEqual(cluster.keys(1), ['a', 'b', 'c'], 'what was applied is not applied again');
});

test('S19 damage below the watermark is no reason to wait: who lacks those bytes is left out', () => {
  const cluster = new Cluster(2, 2);
  cluster.claim(0);
  const ends = put(cluster, 'a', 'b', 'c');
  const { zone } = cluster.head.openZone;
  loseBehind(cluster, 0, ends[0] ?? 0);
  cluster.hold = ({ effect }) => effect.effect === 'seal' && effect.epoch === 2;
  cluster.claim(1);
  const { held } = cluster;
  cluster.release();
  assert.equal(held.length, 1);
  const other = cluster.logger(1).zones.get(zone);
  assert.ok(other);
  assert.deepEqual(sorted(cluster.zones.at(-1)?.replicas), [loggerName(0), loggerName(1)]);
  // Again, with a bit of b flipped on the only complete copy after it has answered.
  const again = new Cluster(2, 2);
  again.claim(0);
  const more = put(again, 'a', 'b', 'c');
  const open = again.head.openZone.zone;
  loseBehind(again, 0, more[0] ?? 0);
  again.hold = ({ effect }) => effect.effect === 'read-log';
  again.claim(1);
  const copy = again.logger(1).zones.get(open);
  assert.ok(copy);
  copy.bytes = Buffer.from(copy.bytes);
  copy.bytes.writeUInt8(copy.bytes.readUInt8((more[1] ?? 0) - 1) ^ 1, (more[1] ?? 0) - 1);
  again.release();
  again.pass(500);
  assert.equal(again.gateway(1).role, 'owner');
  assert.deepEqual(again.zones.at(-1)?.replicas, [loggerName(1)]);
  assert.deepEqual(again.zones.at(-1)?.former, [loggerName(0)]);
});

test('S19 nobody is listed on a Fill under way: who is not in time becomes a former holder', () => {
  const cluster = new Cluster(1, 3, { fillWaitMs: 1_000 });
  cluster.claim(0);
  const ends = put(cluster, 'a', 'b');
  const { zone } = cluster.head.openZone;
  loseBehind(cluster, 0, ends[0] ?? 0);
  loseBehind(cluster, 1, ends[0] ?? 0);
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'fill' && effect.logger === loggerName(1);
  cluster.claim(0);
  assert.equal(cluster.gateway(0).status.step, 'filling');
  assert.equal(cluster.zones.length, 0, 'nothing is recorded before the copies are complete');
  cluster.pass(1_100);
  assert.equal(cluster.gateway(0).role, 'owner');
  const sealed = cluster.zones.find((candidate) => candidate.zone === zone);
  assert.deepEqual(sorted(sealed?.replicas), [loggerName(0), loggerName(2)]);
  assert.deepEqual(sealed?.former, [loggerName(1)]);
});

test('S9 S19 a taker that has sent a Fill never records a length below its end', () => {
  const cluster = new Cluster(1, 2, { fillWaitMs: 1_000 });
  cluster.claim(0);
  const ends = put(cluster, 'a', 'b');
  loseBehind(cluster, 0, ends[0] ?? 0);
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'transact' && effect.writes.length === 2;
  cluster.claim(0);
  assert.equal(cluster.held.length, 1, 'filled, and about to be closed');
  // The close fails for good; when sealing begins again, both copies have lost b.
  cluster.held = [];
  cluster.event(0, { event: 'transacted', result: { kind: 'unknown' } });
  loseBehind(cluster, 0, ends[0] ?? 0);
  loseBehind(cluster, 1, ends[0] ?? 0);
  cluster.hold = ({ effect }) => effect.effect === 'load';
  cluster.release();
  cluster.event(0, { event: 'load-failed' });
  cluster.pass(1_000);
  const sealed = cluster.zones.at(-1);
  assert.ok(sealed === undefined || sealed.length === ends[1], `sealed at ${sealed?.length}`);
});

test('S9 all copies damaged and all heard: cut, which is an error line and stays visible', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  const ends = put(cluster, 'a', 'b');
  restartAll(cluster);
  damageEnd(cluster, 0);
  damageEnd(cluster, 1);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.equal(cluster.gateway(0).role, 'owner');
  const sealed = cluster.zones.at(-1);
  assert.equal(sealed?.length, ends[0]);
  assert.equal(sealed?.doubt, 'cut');
  assert.ok(cluster.notes.some((note) => note.startsWith('zone cut')));
});

test('S9 a zone that was cut to nothing keeps an entry that says so', () => {
  const cluster = new Cluster(1, 1);
  cluster.claim(0);
  put(cluster, 'a');
  const { zone } = cluster.head.openZone;
  const copy = cluster.logger(0).zones.get(zone);
  assert.ok(copy);
  copy.bytes = Buffer.alloc(copy.bytes.length, 1);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.deepEqual(
    cluster.zones.map(({ length, doubt }) => [length, doubt]),
    [[0, 'cut']],
  );
});

/** All loggers were started again, and one of the three is not back yet, when the shard is taken over. */
function takenWithoutFirstHand(firstHandWaitMs: number): Cluster {
  const cluster = new Cluster(1, 3, { firstHandWaitMs });
  cluster.claim(0);
  put(cluster, 'a');
  restartAll(cluster);
  cluster.logger(2).isUp = false;
  cluster.startGateway(0);
  cluster.claim(0);
  return cluster;
}

test('S9 without a first-hand answer the taker waits for every replica, then goes on and says what it rests on', () => {
  const cluster = takenWithoutFirstHand(5_000);
  cluster.pass(4_000);
  assert.equal(cluster.gateway(0).status.step, 'sealing');
  cluster.pass(2_000);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.equal(cluster.zones.at(-1)?.doubt, 'restarted');
  assert.ok(cluster.notes.some((note) => note.startsWith('zone ended by copies of restarted loggers')));
});

test('S9 S16 nobody waits for a first-hand answer of a logger whose number another one has', () => {
  const cluster = takenWithoutFirstHand(30_000);
  cluster.pass(4_000);
  assert.equal(cluster.gateway(0).status.step, 'sealing', 'it may return');
  cluster.event(0, { event: 'members', loggers: new Set([loggerName(0), loggerName(1), loggerName(3)]) });
  cluster.pass(1_000);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.equal(cluster.zones.at(-1)?.doubt, 'restarted');
});

test('S9 the wait for a first-hand answer ends when the missing replica comes, and lasts for ever when it is set so', () => {
  const cluster = takenWithoutFirstHand(0);
  cluster.pass(120_000);
  assert.equal(cluster.gateway(0).status.step, 'sealing');
  cluster.loggerUp(2);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.equal(cluster.zones.at(-1)?.doubt, undefined);
});

test('S9 a logger that lived on is first-hand: nobody waits for the one that is gone', () => {
  const cluster = new Cluster(2, 3, { firstHandWaitMs: 0 });
  cluster.claim(0);
  put(cluster, 'a');
  cluster.logger(0).restart();
  cluster.logger(1).isUp = false;
  cluster.hold = ({ gateway, effect }) => gateway === 0 && effect.effect === 'transact';
  cluster.event(1, { event: 'logger-down', logger: loggerName(1) });
  cluster.claim(1);
  cluster.pass(200);
  assert.equal(cluster.gateway(1).role, 'owner');
});

test('S9 a claim long after the snapshot was loaded still waits for loggers that connect a moment later', () => {
  const cluster = new Cluster(1, 3, { coldSealWaitMs: 3_000 });
  cluster.claim(0);
  put(cluster, 'a', 'b', 'c');
  const { zone } = cluster.head.openZone;
  for (const logger of cluster.loggers) logger.isUp = false;
  cluster.startGateway(0);
  cluster.pass(4_000);
  cluster.loggerUp(0);
  cluster.claim(0);
  cluster.pass(200);
  cluster.loggerUp(1);
  cluster.loggerUp(2);
  cluster.pass(5_000);
  const sealed = cluster.zones.find((candidate) => candidate.zone === zone);
  assert.deepEqual(sorted(sealed?.replicas), [loggerName(0), loggerName(1), loggerName(2)]);
});

test('S9 a logger that was met and is gone is not waited for', () => {
  const cluster = new Cluster(2, 3, { coldSealWaitMs: 3_000 });
  cluster.claim(0);
  put(cluster, 'a');
  cluster.logger(2).isUp = false;
  cluster.event(1, { event: 'logger-down', logger: loggerName(2) });
  cluster.hold = ({ gateway, effect }) => gateway === 0 && effect.effect === 'transact';
  cluster.claim(1);
  cluster.pass(100);
  assert.equal(cluster.gateway(1).role, 'owner');
});

test('S9 a late catch-up while the close is under way: the zone is not sealed below what the taker knows', () => {
  const cluster = new Cluster(2, 2);
  cluster.claim(0);
  put(cluster, 'a', 'b');
  cluster.catchUpLost = true;
  put(cluster, 'c');
  const late = cluster.committed.at(-1);
  assert.ok(late);
  const { zone } = cluster.head.openZone;
  damageEnd(cluster, 0);
  damageEnd(cluster, 1);
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'transact' && effect.writes.length === 2;
  cluster.claim(1);
  assert.equal(cluster.held.length, 1, 'the close is under way');
  cluster.event(1, catchUpOf(late));
  cluster.run();
  const { position } = cluster.gateway(1).state;
  assert.ok(position.zone === zone && position.offset === late.end, 'the taker knows that c was committed');
  cluster.release();
  cluster.pass(500);
  const sealed = cluster.zones.find((candidate) => candidate.zone === zone);
  assert.ok(sealed === undefined || sealed.length >= late.end, `sealed at ${sealed?.length}`);
  assert.notEqual(cluster.gateway(1).role, 'owner');
});

test('S9 a close that was applied before the claim that was to prevent it: said, and the shard is served', () => {
  const cluster = new Cluster(2, 2);
  cluster.claim(0);
  put(cluster, 'a', 'b');
  cluster.catchUpLost = true;
  put(cluster, 'c');
  const late = cluster.committed.at(-1);
  assert.ok(late);
  damageEnd(cluster, 0);
  damageEnd(cluster, 1);
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'transact' && effect.purpose === 'close';
  cluster.claim(1);
  const [close] = cluster.held.splice(0);
  assert.ok(close);
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'transact';
  cluster.event(1, catchUpOf(late));
  cluster.run();
  assert.equal(cluster.held.length, 1, 'the claim that is to prevent it');
  cluster.held.unshift(close);
  cluster.release();
  cluster.pass(1_000);
  assert.equal(cluster.gateway(1).role, 'owner', cluster.gateway(1).status.step);
  assert.equal(cluster.put(1, 'd', '4')?.kind, 'put');
  assert.ok(cluster.notes.some((note) => note.startsWith('zone ended below what was committed')));
});

test('S19 a Fill of a taker that was superseded arrives late and is refused', () => {
  const cluster = new Cluster(3, 2);
  cluster.claim(0);
  const ends = put(cluster, 'a', 'b');
  const { zone } = cluster.head.openZone;
  loseBehind(cluster, 0, ends[0] ?? 0);
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'fill';
  cluster.claim(1);
  const fill = cluster.held[0]?.effect;
  assert.ok(fill?.effect === 'fill');
  cluster.claim(2);
  assert.equal(cluster.gateway(2).role, 'owner');
  assert.equal(cluster.logger(0).fill(zone, fill, fill.offset, fill.bytes), 'fenced');
  cluster.release();
  assert.equal(cluster.gateway(1).role, 'follower');
});
