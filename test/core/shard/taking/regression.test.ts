/** S20: metadata that went back is never taken for the truth, and metadata that only moved on is never taken for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { epoch, instanceId, zoneId } from '../../../../src/base/ids.ts';
import type { Head, ShardMetadata } from '../../../../src/core/shard/head/metadata.ts';
import type { Testimony } from '../../../../src/core/shard/taking/regression.ts';
import { firstProof, regression } from '../../../../src/core/shard/taking/regression.ts';
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

function said(testimony: Partial<Testimony['known']>, retired?: number, at = head): string | undefined {
  return regression({ known: { fence: undefined, zones: [], ...testimony }, retired }, at, { ...metadata, head: at });
}

describe('what proves that metadata went back', () => {
  test('S20 a fence that was claimed after its newest change', () =>
    assert.match(said({ fence: writer(21) }) ?? '', /epoch 21, and the metadata has seen 20 changes/));
  test('S20 another claim of the epoch that was claimed last', () =>
    assert.match(
      said({ fence: writer(5, other) }, undefined, { ...head, change: 5 }) ?? '',
      /another owner of epoch 5/,
    ));
  test('S20 a zone that it has not opened', () =>
    assert.match(said({ zones: [{ zone: zoneId(9), ...writer(5) }] }) ?? '', /holds zone 9/));
  test('S20 a zone under another writer', () => {
    assert.match(said({ zones: [{ zone: zoneId(7), ...writer(4, other) }] }) ?? '', /holds zone 7/);
    assert.match(said({ zones: [{ zone: zoneId(8), ...writer(3) }] }) ?? '', /holds zone 8/);
  });
  test('S20 an open zone that ended there', () => assert.match(said({}, 8) ?? '', /zone 8 ended/));
  test('S20 anything at all, of a shard that was never claimed', () => {
    const proof = (known: Partial<Testimony['known']>): string | undefined => {
      const testimony = { known: { fence: undefined, zones: [], ...known }, retired: undefined };
      return firstProof(new Map([[loggerName(0), testimony]]), undefined, {
        head: undefined,
        headRevision: 0,
        zones: [],
      })?.fact;
    };
    assert.match(proof({ fence: writer(1) }) ?? '', /sealed for epoch 1/);
    assert.match(proof({ zones: [{ zone: zoneId(1), ...writer(1) }] }) ?? '', /holds zone 1/);
    assert.equal(proof({}), undefined);
  });
});

describe('what proves nothing', () => {
  test('nothing known', () => assert.equal(said({}), undefined));
  test('the own seal, or an earlier fence of anybody', () => {
    assert.equal(said({ fence: writer(5) }), undefined);
    assert.equal(said({ fence: writer(4, other) }), undefined);
  });
  test('a claim on an older copy, which the head has overtaken', () => {
    assert.equal(said({ fence: writer(20, other) }), undefined);
    assert.equal(said({ fence: writer(5, other) }), undefined);
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

test('S20 claims made since, by others: who starts again is told again, and claims nothing', () => {
  const cluster = new Cluster(3, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  for (const gateway of [1, 2, 0, 1]) cluster.claim(gateway);
  const newest = new Map(cluster.store);
  putBack(cluster, past);
  const { epoch: before, change } = cluster.head;
  const fences = cluster.loggers.map(({ fence }) => fence);
  for (let start = 0; start < 3; start += 1) {
    cluster.startGateway(2);
    cluster.claim(2);
    cluster.pass(500);
    stopped(cluster, 2);
    assert.deepEqual([cluster.head.epoch, cluster.head.change], [before, change], 'nothing was claimed');
    assert.deepEqual(
      cluster.loggers.map(({ fence }) => fence),
      fences,
      'no fence rose',
    );
  }
  putBack(cluster, newest);
  cluster.startGateway(2);
  cluster.claim(2);
  assert.equal(cluster.gateway(2).role, 'owner', 'the newest metadata are served');
});

test('S20 a logger that was away at the claim tells by its answer to the seal, and before the next claim', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  cluster.loggerDown(0);
  cluster.loggerDown(1);
  cluster.claim(1);
  cluster.loggerUp(0);
  cluster.loggerUp(1);
  assert.ok(cluster.logger(2).fence?.epoch, 'the third alone knows of the claim');
  putBack(cluster, past);
  cluster.loggerDown(2);
  cluster.hold = ({ effect }) => effect.effect === 'seal';
  cluster.startGateway(0);
  cluster.claim(0);
  const { change } = cluster.head;
  cluster.loggerUp(2);
  cluster.release();
  cluster.pass(500);
  stopped(cluster, 0);
  assert.equal(cluster.head.change, change);
  cluster.startGateway(0);
  cluster.claim(0);
  cluster.pass(500);
  stopped(cluster, 0);
  assert.equal(cluster.head.change, change, 'its word outlives the claim that it stopped');
});

test('S20 one claim made since, that ended nothing', () => {
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

test('S20 the newest metadata are served at once, though an older copy was claimed by who could not know', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const past = new Map(cluster.store);
  cluster.loggerDown(0);
  cluster.loggerDown(1);
  cluster.claim(1);
  const newest = new Map(cluster.store);
  const { epoch: claimed } = cluster.head;
  cluster.loggerUp(0);
  cluster.loggerUp(1);
  cluster.loggerDown(2);
  putBack(cluster, past);
  // Loggers 0 and 1 know nothing; each of these claims ends at its seals.
  cluster.hold = ({ effect }) => effect.effect === 'transact' && effect.writes.length === 2;
  for (let start = 0; start < 3; start += 1) {
    cluster.startGateway(0);
    cluster.claim(0);
  }
  cluster.startGateway(0);
  cluster.held = [];
  cluster.hold = () => false;
  assert.equal(cluster.logger(0).fence?.epoch, claimed);
  cluster.loggerUp(2);
  putBack(cluster, newest);
  assert.equal(cluster.head.epoch, claimed);
  cluster.startGateway(1);
  cluster.claim(1);
  assert.equal(cluster.gateway(1).role, 'owner', cluster.notes.join('\n'));
});

/** Gateway 1, which is told of nothing, waits for what it reads of the coordinator. */
function readingLate(): Cluster {
  const cluster = new Cluster(3, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.news = () => undefined;
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'load';
  cluster.claim(1);
  return cluster;
}

test('S20 what an earlier load has read proves nothing: it may be older than what a logger knows', () => {
  const cluster = readingLate();
  cluster.event(1, { event: 'withdraw' });
  const old = cluster.metadata();
  cluster.claim(2);
  cluster.claim(1);
  assert.equal(cluster.held.length, 2);
  cluster.held.shift();
  cluster.event(1, { event: 'metadata', metadata: old, loaded: true });
  cluster.run();
  assert.equal(cluster.gateway(1).role, 'taking');
  cluster.release();
  assert.equal(cluster.gateway(1).role, 'owner');
});

test('S20 what a logger says while the metadata are read is compared with a later reading', () => {
  const cluster = readingLate();
  const old = cluster.metadata();
  cluster.claim(2);
  cluster.event(1, { event: 'testified', logger: loggerName(0), answer: cluster.logger(0).known });
  cluster.held.shift();
  cluster.event(1, { event: 'metadata', metadata: old, loaded: true });
  cluster.run();
  assert.equal(cluster.gateway(1).role, 'taking');
  cluster.release();
  assert.equal(cluster.gateway(1).role, 'owner');
});

describe('the question before a claim', () => {
  const asked = (cluster: Cluster): string[] => {
    const order: string[] = [];
    cluster.onEffect = ({ gateway, effect }) => {
      if (gateway === 1) order.push(effect.effect);
    };
    return order;
  };

  test('costs one round trip, and nothing is read again', () => {
    const cluster = new Cluster(2, 3);
    cluster.claim(0);
    cluster.put(0, 'a', '1');
    const order = asked(cluster);
    cluster.claim(1);
    assert.equal(cluster.gateway(1).role, 'owner', 'without any time passing');
    const steps = order.filter((effect) => ['testify', 'load', 'transact', 'seal'].includes(effect));
    assert.deepEqual(steps.slice(0, 5), ['testify', 'load', 'transact', 'load', 'seal']);
    assert.equal(steps.filter((effect) => effect === 'testify').length, 1);
  });

  test('waits sealWaitMs for a logger that is connected and says nothing', () => {
    const cluster = new Cluster(2, 3, { sealWaitMs: 100 });
    cluster.claim(0);
    cluster.put(0, 'a', '1');
    const { epoch: before } = cluster.head;
    cluster.hold = ({ effect }) => effect.effect === 'testify';
    cluster.claim(1);
    const [asking] = cluster.held;
    assert.ok(asking?.effect.effect === 'testify');
    cluster.hold = () => false;
    const known = { fence: undefined, zones: [] };
    cluster.event(1, { event: 'testified', logger: loggerName(0), answer: known });
    cluster.run();
    assert.equal(cluster.head.epoch, before);
    cluster.pass(50);
    assert.equal(cluster.head.epoch, before);
    cluster.pass(50);
    assert.equal(cluster.head.owner.gateway, 1);
  });

  test('is answered by a replica of the open zone before anything is claimed', () => {
    const cluster = new Cluster(2, 3);
    cluster.claim(0);
    cluster.put(0, 'a', '1');
    const { change } = cluster.head;
    cluster.hold = ({ effect }) => effect.effect === 'testify';
    cluster.claim(1);
    cluster.pass(2_000);
    assert.equal(cluster.head.change, change);
    assert.ok(cluster.notes.some((line) => line.includes('has said what it knows')));
    cluster.release();
    cluster.pass(500);
    assert.equal(cluster.gateway(1).role, 'owner');
  });

  test('waits for replicas that a starting process has not met', () => {
    const cluster = new Cluster(1, 3, { coldSealWaitMs: 3_000 });
    cluster.claim(0);
    cluster.put(0, 'a', '1');
    const { change } = cluster.head;
    cluster.logger(2).isUp = false;
    cluster.startGateway(0);
    cluster.claim(0);
    cluster.pass(1_000);
    assert.equal(cluster.head.change, change);
    cluster.loggerUp(2);
    assert.equal(cluster.gateway(0).role, 'owner');
  });
});
