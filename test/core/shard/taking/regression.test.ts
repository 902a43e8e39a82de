/** S20: metadata that went back is never taken for the truth, and metadata that only moved on is never taken for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { epoch, instanceId, zoneId } from '../../../../src/base/ids.ts';
import type { Head, ShardMetadata } from '../../../../src/core/shard/head/metadata.ts';
import type { Testimony } from '../../../../src/core/shard/taking/regression.ts';
import { regression } from '../../../../src/core/shard/taking/regression.ts';
import { Cluster, loggerName, resultOf } from '../harness.ts';

const mine = instanceId('1'.repeat(16));
const other = instanceId('2'.repeat(16));
const writer = (number: number, instance = mine) => ({ epoch: epoch(number), instance });

const head: Head = {
  epoch: epoch(5),
  owner: { gateway: 0, node: loggerName(9), instance: mine },
  openZone: { zone: zoneId(8), ...writer(4), replicas: [loggerName(0)], processes: [mine] },
  nextZone: zoneId(9),
  change: 20,
};
const sealed = { zone: zoneId(7), ...writer(4), length: 100, replicas: [loggerName(0)], former: [] };
const metadata: ShardMetadata = { head, headRevision: 30, zones: [sealed] };

function said(testimony: Partial<Testimony['known']>, retired?: number): string | undefined {
  return regression({ known: { fence: undefined, zones: [], ...testimony }, retired }, head, metadata);
}

describe('what proves that metadata went back', () => {
  test('S20 a fence above its epoch', () => assert.match(said({ fence: writer(6) }) ?? '', /epoch 6/));
  test('S20 its epoch under another instance', () =>
    assert.match(said({ fence: writer(5, other) }) ?? '', /another owner of epoch 5/));
  test('S20 a zone that it has not opened', () =>
    assert.match(said({ zones: [{ zone: zoneId(9), ...writer(5) }] }) ?? '', /holds zone 9/));
  test('S20 a zone under another writer', () => {
    assert.match(said({ zones: [{ zone: zoneId(7), ...writer(4, other) }] }) ?? '', /holds zone 7/);
    assert.match(said({ zones: [{ zone: zoneId(8), ...writer(3) }] }) ?? '', /holds zone 8/);
  });
  test('S20 an open zone that ended there', () => assert.match(said({}, 8) ?? '', /zone 8 ended/));
});

describe('what proves nothing', () => {
  test('nothing known', () => assert.equal(said({}), undefined));
  test('the own seal, or an earlier fence of anybody', () => {
    assert.equal(said({ fence: writer(5) }), undefined);
    assert.equal(said({ fence: writer(4, other) }), undefined);
  });
  test('zones as they are listed, and dropped ones', () => {
    const zones = [
      { zone: zoneId(8), ...writer(4) },
      { zone: zoneId(7), ...writer(4) },
      { zone: zoneId(3), ...writer(1, other) },
    ];
    assert.equal(said({ zones }), undefined);
  });
});

/** The coordinator's content is put back to what it was when `past` was taken. */
function putBack(cluster: Cluster, past: ReadonlyMap<string, { value: Uint8Array; revision: number }>): void {
  cluster.store.clear();
  for (const [key, entry] of past) cluster.store.set(key, entry);
}

function stopped(cluster: Cluster, gateway: number): void {
  assert.equal(cluster.gateway(gateway).role, 'stopped');
  const note = cluster.notes.find((line) => line.startsWith('metadata went back'));
  assert.ok(note?.includes('metadata-regressed') && note.includes('put back the newest copy'), note);
  const write = cluster.write(gateway, 'put', 'key', 'value');
  const read = cluster.read(gateway, 'key');
  cluster.run();
  const result = resultOf(write);
  assert.ok(result?.kind === 'failed' && result.code === 'metadata-regressed' && result.outcome === 'not-applied');
  assert.equal(read.failure?.code, 'metadata-regressed');
}

test('S20 zones opened since: the shard stops, finishes nothing, claims no more', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  for (let number = 0; number < 8; number++) cluster.put(0, `key${number}`, 'x'.repeat(15_000));
  assert.ok(cluster.head.openZone.zone > 1);
  putBack(cluster, past);
  const copies = cluster.loggers.map(({ zones }) => [...zones].map(([zone, { bytes }]) => [zone, bytes.length]));
  cluster.startGateway(0);
  cluster.startGateway(1);
  cluster.claim(0);
  cluster.pass(1_000);
  stopped(cluster, 0);
  const { change } = cluster.head;
  cluster.claim(0);
  cluster.loggerDown(1);
  cluster.loggerUp(1);
  cluster.pass(10_000);
  assert.equal(cluster.head.change, change, 'claims no more');
  assert.deepEqual(
    cluster.loggers.map(({ zones }) => [...zones].map(([zone, { bytes }]) => [zone, bytes.length])),
    copies,
    'nothing was finished or reset',
  );
  cluster.claim(1);
  cluster.pass(1_000);
  assert.equal(cluster.gateway(1).role, 'stopped', 'nor does anybody else serve it');
});

test('S20 an owner under which the metadata go back stops at once, writes in flight of unknown outcome, and never claims', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.hold = ({ effect }) => effect.effect === 'append';
  const inFlight = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  const wentBack = 'its head had revision 9 before, and now has 3';
  cluster.event(0, { event: 'metadata', metadata: { ...cluster.metadata(), wentBack }, loaded: true });
  cluster.run();
  const lost = resultOf(inFlight);
  assert.ok(lost?.kind === 'failed' && lost.outcome === 'unknown', JSON.stringify(lost));
  stopped(cluster, 0);
  const { change } = cluster.head;
  cluster.claim(0);
  cluster.pass(10_000);
  assert.equal(cluster.head.change, change);
});

test('S20 claims made since, by others: a refused seal tells of them', () => {
  const cluster = new Cluster(3, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  for (const gateway of [1, 2, 0, 1]) cluster.claim(gateway);
  putBack(cluster, past);
  cluster.startGateway(2);
  cluster.claim(2);
  cluster.pass(500);
  stopped(cluster, 2);
});

test('S20 one claim made since: the same epoch of another process', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  cluster.hold = ({ effect }) => effect.effect === 'transact' && effect.writes.length === 2;
  cluster.claim(1);
  cluster.held = [];
  cluster.hold = () => false;
  putBack(cluster, past);
  cluster.startGateway(1);
  cluster.startGateway(0);
  cluster.claim(0);
  cluster.pass(500);
  stopped(cluster, 0);
});

test('S20 an emptied coordinator: loggers that know the shard stop its new beginning', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  for (let number = 0; number < 8; number++) cluster.put(0, `key${number}`, 'x'.repeat(15_000));
  putBack(cluster, new Map());
  cluster.startGateway(0);
  cluster.claim(0);
  cluster.pass(500);
  stopped(cluster, 0);
});

test('S20 a logger that is no replica of the open zone is asked too', () => {
  const cluster = new Cluster(1, 3, { replicas: 2 });
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  const { replicas } = cluster.head.openZone;
  for (let number = 0; number < 20; number++) cluster.put(0, `key${number}`, 'x'.repeat(15_000));
  const outside = cluster.loggers.find(({ name, zones }) => !replicas.includes(name) && zones.size > 0);
  assert.ok(outside, 'later zones lie on the third logger too');
  putBack(cluster, past);
  for (const logger of cluster.loggers) {
    logger.fence = undefined;
    if (logger !== outside) for (const zone of [...logger.zones.keys()]) if (zone > 1) logger.zones.delete(zone);
  }
  cluster.startGateway(0);
  cluster.claim(0);
  cluster.pass(500);
  stopped(cluster, 0);
});

test('S20 a gateway that has applied more than the metadata knows does not even claim', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  for (let number = 0; number < 8; number++) cluster.put(0, `key${number}`, 'x'.repeat(15_000));
  putBack(cluster, past);
  const { change } = cluster.head;
  cluster.startGateway(0, cluster.gateway(0).state);
  cluster.claim(0);
  cluster.pass(500);
  stopped(cluster, 0);
  assert.equal(cluster.head.change, change);
});

test('S20 a later claim that a logger tells of is no regression: the taker loses', () => {
  const cluster = new Cluster(3, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.news = () => undefined;
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'seal';
  cluster.claim(1);
  const late = cluster.held;
  cluster.hold = () => false;
  cluster.held = [];
  cluster.claim(2);
  assert.equal(cluster.gateway(2).role, 'owner');
  cluster.held = late;
  cluster.release();
  assert.equal(cluster.gateway(1).role, 'follower');
  assert.ok(cluster.notes.every((line) => !line.startsWith('metadata went back')));
});
