/** S10: zones of a shard get back the copies that they lack, and lists name only who holds all of a zone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Uuid } from '../../../../src/base/ids.ts';
import { zoneId } from '../../../../src/base/ids.ts';
import { limits } from '../../../../src/base/limits.ts';
import type { SealedZone } from '../../../../src/core/shard/head/metadata.ts';
import { shardLimits } from '../../../../src/core/shard/limits.ts';
import { Cluster, loggerName } from '../harness.ts';

const zone1 = zoneId(1);
const names = (...numbers: number[]): Uuid[] => numbers.map(loggerName);

function zoneOne(cluster: Cluster): SealedZone {
  const zone = cluster.zones.find(({ zone: id }) => id === zone1);
  assert.ok(zone);
  return zone;
}

function heldBy(cluster: Cluster, logger: number): string {
  return cluster.logger(logger).zones.get(zone1)?.bytes.toString('hex') ?? '';
}

/** Logger 2 is gone while another gateway takes over: zone 1 ends on the other two, and it becomes a former holder. */
function lackingZone(settings: ConstructorParameters<typeof Cluster>[2] = {}): Cluster {
  const cluster = new Cluster(2, 3, settings);
  cluster.claim(1);
  for (const value of ['first', 'second', 'third']) assert.equal(cluster.put(1, 'a', value)?.kind, 'put');
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'transact';
  cluster.loggerDown(2);
  cluster.claim(0);
  cluster.pass(200);
  cluster.release();
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1));
  assert.deepEqual(zoneOne(cluster).former, names(2));
  return cluster;
}

describe('S10 a zone that lacks a copy', () => {
  test('is copied to the logger that is back, and listed there when all of it is', () => {
    const cluster = lackingZone();
    cluster.logger(2).zones.clear();
    cluster.loggerUp(2);
    cluster.pass(5_000);
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
    assert.deepEqual(zoneOne(cluster).former, []);
    assert.equal(heldBy(cluster, 2), heldBy(cluster, 0));
    assert.equal(cluster.gateway(0).status.repair?.lacking, 0);
  });

  test('is not listed before the copy was read back', () => {
    const cluster = lackingZone();
    cluster.logger(2).zones.clear();
    cluster.hold = ({ effect }) => effect.effect === 'read-log' && effect.request.logger === loggerName(2);
    cluster.loggerUp(2);
    cluster.pass(5_000);
    assert.equal(heldBy(cluster, 2), heldBy(cluster, 0), 'it is all there');
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1));
    cluster.release();
    cluster.pass(2_000);
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
  });

  test('is not listed where the copy is damaged, or could not be made', () => {
    const cluster = lackingZone();
    cluster.logger(2).zones.clear();
    cluster.hold = ({ effect }) => effect.effect === 'read-log' && effect.request.logger === loggerName(2);
    cluster.loggerUp(2);
    cluster.pass(5_000);
    const held = cluster.logger(2).zones.get(zone1);
    assert.ok(held);
    held.bytes.writeUInt8(held.bytes.readUInt8(held.bytes.length - 1) ^ 1, held.bytes.length - 1);
    cluster.release();
    cluster.pass(2_000);
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1));
    assert.ok(cluster.notes.some((note) => note.startsWith('zone not copied')));
  });

  test('goes on when another owner has completed the copy meanwhile', () => {
    const cluster = lackingZone({ limits: { ...shardLimits, logChunkBytes: 100 } });
    cluster.logger(2).zones.clear();
    cluster.hold = ({ effect }) => effect.effect === 'copy' && effect.bytes.length > 0;
    cluster.loggerUp(2);
    cluster.pass(5_000);
    assert.equal(cluster.held.length, 1);
    const whole = cluster.logger(0).zones.get(zone1);
    assert.ok(whole);
    cluster.logger(2).zones.set(zone1, { ...whole, bytes: Buffer.from(whole.bytes) });
    cluster.release();
    cluster.pass(5_000);
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
  });

  test('S9 former holders whose copy is whole are read, not copied', () => {
    const cluster = lackingZone();
    const orders: number[] = [];
    cluster.onEffect = ({ effect }) => {
      if (effect.effect === 'copy') orders.push(effect.bytes.length);
    };
    cluster.loggerUp(2);
    cluster.pass(5_000);
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
    assert.deepEqual(orders, [0], 'only asked how much it holds');
  });

  test('waits for a holder that is away, and is copied to another when it stays away', () => {
    const cluster = new Cluster(1, 4, { replicas: 3, repairDelayMs: 10_000 });
    cluster.claim(0);
    cluster.put(0, 'a', 'first');
    const [gone] = cluster.head.openZone.replicas.map((name) => cluster.loggers.findIndex((one) => one.name === name));
    assert.ok(gone !== undefined);
    cluster.event(0, { event: 'append-failed', logger: loggerName(gone), zone: zone1, reason: { kind: 'lost' } });
    cluster.run();
    cluster.pass(5_000);
    const [away] = zoneOne(cluster).replicas.map((name) => cluster.loggers.findIndex((one) => one.name === name));
    assert.ok(away !== undefined);
    assert.equal(zoneOne(cluster).replicas.length, 3, 'the one that had failed is listed again');
    cluster.loggerDown(away);
    cluster.pass(8_000);
    assert.equal(zoneOne(cluster).replicas.length, 3);
    cluster.pass(6_000);
    assert.equal(zoneOne(cluster).replicas.length, 4, 'who is away stays listed: it holds the zone');
  });

  test('S16 does not wait for a holder whose number another logger has', () => {
    const cluster = new Cluster(1, 4, { replicas: 3, repairDelayMs: 600_000 });
    cluster.claim(0);
    cluster.put(0, 'a', 'first');
    const numberOf = (name: Uuid): number => cluster.loggers.findIndex((one) => one.name === name);
    const [wiped] = cluster.head.openZone.replicas;
    assert.ok(wiped !== undefined);
    cluster.loggerDown(numberOf(wiped));
    cluster.pass(5_000);
    const before = zoneOne(cluster).replicas;
    assert.ok(before.includes(wiped), 'it is waited for');
    const members = cluster.loggers.map(({ name }) => name).filter((name) => name !== wiped);
    cluster.event(0, { event: 'members', loggers: new Set(members) });
    cluster.pass(5_000);
    const holders = zoneOne(cluster).replicas.filter((name) => name !== wiped);
    assert.equal(holders.length, 3, 'as many as wanted, without it');
    assert.ok(holders.every((holder) => members.includes(holder)));
  });

  test('S1 a change of the open zone goes before a listing, which is tried again', () => {
    const cluster = lackingZone();
    cluster.logger(2).zones.clear();
    cluster.hold = ({ effect }) => effect.effect === 'transact' && effect.purpose === 'relist';
    cluster.loggerUp(2);
    cluster.pass(5_000);
    assert.equal(cluster.held.length, 1);
    const [{ zone }] = [cluster.head.openZone];
    cluster.loggerDown(1);
    cluster.pass(200);
    assert.notEqual(cluster.head.openZone.zone, zone);
    assert.equal(cluster.put(0, 'b', 'second')?.kind, 'put');
    cluster.release();
    cluster.pass(3_000);
    assert.ok(zoneOne(cluster).replicas.includes(loggerName(2)));
  });
});

/** Logger 1 has a wrong bit in the last record of zone 1, which all three are listed for. */
function damagedCopy(settings: ConstructorParameters<typeof Cluster>[2] = {}): Cluster {
  const cluster = lackingZone(settings);
  cluster.loggerUp(2);
  cluster.pass(5_000);
  assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
  flip(cluster, 1, -1);
  return cluster;
}

/** `at`: counted from the end when it is negative. */
function flip(cluster: Cluster, logger: number, at: number): void {
  const held = cluster.logger(logger).zones.get(zone1);
  assert.ok(held);
  held.bytes = Buffer.from(held.bytes);
  const index = at < 0 ? held.bytes.length + at : at;
  held.bytes.writeUInt8(held.bytes.readUInt8(index) ^ 1, index);
}

function suspect(cluster: Cluster, logger: number): void {
  cluster.event(0, { event: 'copy-suspect', logger: loggerName(logger), zone: zone1 });
}

describe('S10 a copy in which a read met damage', () => {
  test('leaves the list, is made anew from the others, and is listed when it was read back', () => {
    const cluster = damagedCopy();
    const listedAtOrders: number[] = [];
    cluster.onEffect = ({ effect }) => {
      if (effect.effect !== 'copy' || effect.replaces === '') return;
      assert.deepEqual(zoneOne(cluster).former, names(1), 'it is listed no more when it is replaced');
      listedAtOrders.push(zoneOne(cluster).replicas.length);
    };
    suspect(cluster, 1);
    cluster.pass(20_000);
    assert.deepEqual(listedAtOrders, [2]);
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
    assert.equal(heldBy(cluster, 1), heldBy(cluster, 0));
    assert.equal(cluster.gateway(0).status.damagedCopies, 0);
    assert.ok(cluster.notes.some((note) => note.startsWith('copy damaged')));
  });

  test('stays listed when all of it turns out to be good', () => {
    const cluster = damagedCopy();
    cluster.hold = ({ effect }) => effect.effect === 'transact';
    suspect(cluster, 0);
    cluster.pass(15_000);
    assert.equal(cluster.held.length, 0, 'no list changes');
    assert.ok(!cluster.notes.some((note) => note.startsWith('copy damaged')));
  });

  test('is examined however many copies are suspected that nobody lists', () => {
    const cluster = damagedCopy();
    for (let zone = 1; zone <= limits.suspectCopiesMax + 1; zone++)
      cluster.event(0, { event: 'copy-suspect', logger: loggerName(9), zone: zoneId(zone) });
    suspect(cluster, 1);
    cluster.pass(20_000);
    assert.equal(heldBy(cluster, 1), heldBy(cluster, 0));
  });

  test('stays listed while its logger is away, and is examined when that is back', () => {
    const cluster = damagedCopy();
    cluster.loggerDown(1);
    suspect(cluster, 1);
    cluster.pass(15_000);
    assert.ok(zoneOne(cluster).replicas.includes(loggerName(1)));
    cluster.loggerUp(1);
    cluster.pass(30_000);
    assert.equal(heldBy(cluster, 1), heldBy(cluster, 0));
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
  });

  test('is not replaced while it may hold what no other copy has', () => {
    // The scrub would find the others, too, and all three would be made whole from one another.
    const cluster = damagedCopy({ scrubBytesPerSecond: 0 });
    for (const other of [0, 2]) flip(cluster, other, 100);
    const before = heldBy(cluster, 1);
    suspect(cluster, 1);
    cluster.pass(60_000);
    assert.equal(heldBy(cluster, 1), before);
    assert.ok(!zoneOne(cluster).replicas.includes(loggerName(1)));
    assert.ok(cluster.notes.some((note) => note.startsWith('zone not copied')));
  });

  test('stays listed when nobody else is, and leaves the list when another is', () => {
    const cluster = damagedCopy();
    cluster.hold = ({ effect }) => effect.effect === 'copy';
    for (const other of [0, 2]) cluster.event(0, { event: 'copy-lacking', logger: loggerName(other), zone: zone1 });
    cluster.pass(2_000);
    assert.deepEqual(zoneOne(cluster).replicas, names(1));
    suspect(cluster, 1);
    cluster.pass(5_000);
    assert.deepEqual(zoneOne(cluster).replicas, names(1));
    assert.equal(cluster.gateway(0).status.damagedCopies, 1);
    cluster.hold = () => false;
    cluster.release();
    cluster.pass(90_000);
    assert.equal(heldBy(cluster, 1), heldBy(cluster, 0));
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
  });
});

describe('S10 a holder that was found to lack what it is listed for', () => {
  test('leaves the list, and is listed again when it holds all of the zone', () => {
    const cluster = lackingZone();
    cluster.loggerUp(2);
    cluster.pass(5_000);
    cluster.logger(1).zones.delete(zone1);
    cluster.hold = ({ effect }) => effect.effect === 'copy';
    cluster.event(0, { event: 'copy-lacking', logger: loggerName(1), zone: zone1 });
    cluster.run();
    assert.deepEqual(zoneOne(cluster).former, names(1));
    cluster.release();
    cluster.pass(15_000);
    assert.deepEqual([...zoneOne(cluster).replicas].sort(), names(0, 1, 2));
    assert.equal(heldBy(cluster, 1), heldBy(cluster, 0));
  });

  test('stays listed when nobody else is', () => {
    const cluster = new Cluster(1, 1);
    cluster.claim(0);
    cluster.put(0, 'a', 'first');
    cluster.logger(0).restart();
    cluster.put(0, 'b', 'second');
    cluster.pass(200);
    cluster.event(0, { event: 'copy-lacking', logger: loggerName(0), zone: zone1 });
    cluster.pass(200);
    assert.deepEqual(zoneOne(cluster).replicas, names(0));
  });
});
