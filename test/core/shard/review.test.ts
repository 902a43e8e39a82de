/** Corners that a review found: each was wrong once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Uuid } from '../../../src/base/ids.ts';
import { clientId, epoch, millis, requestNumber, version, zoneId } from '../../../src/base/ids.ts';
import { encodeRecord, recordKind } from '../../../src/codec/log-format.ts';
import { OnceTable } from '../../../src/core/once/once-table.ts';
import type { CatchUp, LogPosition, LogRead } from '../../../src/core/shard/events.ts';
import type { FakeLogger } from './fake-logger.ts';
import { anyInstance } from './fake-logger.ts';
import type { Hold } from './harness.ts';
import { Cluster, loggerName, resultOf, zoneSize } from './harness.ts';

/** What an answer tells of the logger itself, when it knows nothing of the shard. */
const says = ({ process }: FakeLogger) => ({ process, known: { fence: undefined, zones: [] } });

/** Flips a bit in the last byte but `back` of a logger's copy of the open zone. */
function rot(cluster: Cluster, logger: number, back: number): void {
  const zone = cluster.logger(logger).zones.get(cluster.head.openZone.zone);
  assert.ok(zone);
  const at = zone.bytes.length - 1 - back;
  zone.bytes = Buffer.from(zone.bytes);
  zone.bytes.writeUInt8(zone.bytes.readUInt8(at) ^ 1, at);
}

const readsOf =
  (logger: Uuid): Hold =>
  ({ effect }) =>
    effect.effect === 'read-log' && effect.request.logger === logger;

function heldReads(cluster: Cluster): LogRead[] {
  return cluster.held.flatMap(({ effect }) => (effect.effect === 'read-log' ? [effect.request] : []));
}

/** Two replicas; the last batch of the second is rotten. */
function withRottenTail(): Cluster {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  for (const key of ['a', 'b', 'c']) assert.equal(cluster.put(0, key, 'value')?.kind, 'put');
  rot(cluster, 1, 0);
  return cluster;
}

test('S9 an answerer that is gone when the tail is read has not answered: the shard waits instead of taking a doubtful shorter copy', () => {
  const cluster = withRottenTail();
  cluster.startGateway(0);
  cluster.hold = readsOf(loggerName(0));
  cluster.claim(0);
  for (let round = 0; round < 4; round++) {
    const [request] = heldReads(cluster);
    assert.ok(request);
    cluster.held = [];
    cluster.event(0, { event: 'log-read', request, bytes: undefined });
    cluster.run();
    assert.equal(cluster.zones.length, 0, 'no length was recorded');
    cluster.pass(500);
  }
  assert.equal(cluster.gateway(0).role, 'taking');
  cluster.release();
  cluster.pass(500);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.deepEqual(cluster.keys(0), ['a', 'b', 'c']);
});

test('S9 an answerer that turns out damaged counts as doubtful with what is intact of it: of all doubtful ones the largest length is taken', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  const ends: number[] = [];
  for (const key of ['a', 'b', 'c', 'd']) {
    cluster.put(0, key, 'value');
    ends.push(cluster.committed.at(-1)?.end ?? 0);
  }
  const { zone } = cluster.head.openZone;
  // Logger 1 knows that it is damaged from c on; logger 0 does not know that d is rotten.
  rot(cluster, 1, (ends[3] ?? 0) - (ends[2] ?? 0));
  const copy = cluster.logger(0).zones.get(zone);
  assert.ok(copy);
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'seal';
  cluster.claim(0);
  rot(cluster, 0, 0);
  cluster.hold = () => false;
  cluster.held = [];
  cluster.event(0, {
    event: 'sealed',
    logger: loggerName(0),
    zone,
    epoch: epoch(2),
    answer: { length: ends[3] ?? 0, seen: ends[1] ?? 0, doubtful: false, tail: 'clean', ...says(cluster.logger(0)) },
  });
  cluster.event(0, {
    event: 'sealed',
    logger: loggerName(1),
    zone,
    epoch: epoch(2),
    answer: { length: ends[1] ?? 0, seen: ends[1] ?? 0, doubtful: true, tail: 'damaged', ...says(cluster.logger(1)) },
  });
  cluster.run();
  assert.deepEqual(cluster.keys(0), ['a', 'b', 'c', 'd']);
  assert.deepEqual(cluster.lostKeys(0), ['d'], 'c is whole at one of them');
  assert.deepEqual(cluster.zones.at(-1)?.replicas, [loggerName(0)]);
});

test('S8 a taker that reaches no replica hears of a later owner and gives up', () => {
  const cluster = new Cluster(3, 1);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'seal';
  cluster.claim(1);
  cluster.held = [];
  const write = cluster.write(1, 'put', 'b', '2');
  cluster.claim(2);
  assert.equal(cluster.gateway(2).role, 'owner');
  cluster.pass(200);
  assert.equal(cluster.gateway(1).role, 'follower');
  const result = resultOf(write);
  assert.ok(result?.kind === 'failed' && result.code === 'not-owner' && result.outcome === 'not-applied');
});

test('S2 a taker that closed and was superseded while it read old zones does not serve', () => {
  const cluster = new Cluster(3, 1);
  cluster.catchUpLost = true;
  cluster.claim(0);
  cluster.hold = ({ gateway, effect }) =>
    gateway === 1 && effect.effect === 'read-log' && effect.request.reader === 'heal';
  for (let number = 0; number < 8; number++) cluster.put(0, `key${number}`, 'x'.repeat(15_000));
  assert.ok(cluster.zones.length > 0);
  cluster.claim(1);
  cluster.pass(100);
  assert.equal(cluster.gateway(1).status.step, 'done');
  cluster.claim(2);
  assert.equal(cluster.gateway(2).role, 'owner');
  cluster.catchUpLost = false;
  cluster.put(2, 'new', 'x');
  cluster.release();
  cluster.pass(1_000);
  assert.equal(cluster.gateway(1).role, 'follower');
  assert.deepEqual(cluster.keys(1), cluster.keys(2));
});

test('a logger that is away when its zone is opened gets appends of its alignment all the same', () => {
  const cluster = new Cluster(1, 1);
  cluster.event(0, cluster.loggerIsUp(cluster.logger(0), 4096));
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.hold = ({ effect }) => effect.effect === 'transact';
  cluster.event(0, { event: 'logger-down', logger: loggerName(0) });
  cluster.event(0, cluster.loggerIsUp(cluster.logger(0), 4096));
  cluster.pass(6_000);
  assert.equal(cluster.held.length, 1, 'the change of zones is under way');
  cluster.event(0, { event: 'logger-down', logger: loggerName(0) });
  cluster.release();
  cluster.event(0, cluster.loggerIsUp(cluster.logger(0), 4096));
  cluster.put(0, 'b', '2');
  assert.equal((cluster.committed.at(-1)?.end ?? 1) % 4096, 0);
});

test('a record that just does not fit an empty zone is refused at once, one that just fits is taken, and neither changes zones for ever', () => {
  for (const alignment of [1, 512, 4096]) {
    for (let length = zoneSize - 2 * alignment - 400; length <= zoneSize; length += 7) {
      const cluster = new Cluster(1, 1, { requestTimeoutMs: 1_000 });
      cluster.event(0, cluster.loggerIsUp(cluster.logger(0), alignment));
      cluster.claim(0);
      const outcome = cluster.write(0, 'put', 'k', 'x'.repeat(length - 1));
      cluster.run();
      const result = resultOf(outcome);
      assert.ok(result !== undefined, `alignment ${alignment}, ${length} bytes: no answer`);
      assert.ok(
        result.kind === 'put' || (result.kind === 'failed' && result.code === 'value-too-large'),
        JSON.stringify(result),
      );
      assert.ok(cluster.head.openZone.zone <= 2);
    }
  }
});

test('a write that fits no zone and arrives during a take-over is refused when it is over', () => {
  const cluster = new Cluster(1, 1);
  cluster.claim(0);
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'seal';
  cluster.claim(0);
  const large = cluster.write(0, 'put', 'k', 'x'.repeat(zoneSize));
  const small = cluster.write(0, 'put', 'k', 'x');
  cluster.release();
  const result = resultOf(large);
  assert.ok(result?.kind === 'failed' && result.code === 'value-too-large' && result.outcome === 'not-applied');
  assert.equal(resultOf(small)?.kind, 'put');
});

test('S6 while all loggers are away, what was sent is answered unknown and reads fail after the request timeout; a retry is applied once', () => {
  const cluster = new Cluster(1, 2, { requestTimeoutMs: 1_000, minReplicas: 2 });
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.hold = ({ effect }) => effect.effect === 'append' || effect.effect === 'confirm';
  const write = cluster.write(0, 'put', 'b', '2', { client: 9, number: 1, first: 1 });
  const again = cluster.write(0, 'put', 'b', '2', { client: 9, number: 1, first: 1 });
  const read = cluster.read(0, 'a');
  cluster.run();
  cluster.held = [];
  cluster.hold = () => false;
  for (const logger of cluster.loggers) logger.isUp = false;
  for (const { name } of cluster.loggers) cluster.event(0, { event: 'logger-down', logger: name });
  cluster.pass(1_200);
  for (const outcome of [write, again]) {
    const result = resultOf(outcome);
    assert.ok(result?.kind === 'failed' && result.outcome === 'unknown', JSON.stringify(result));
  }
  assert.ok(read.failure);
  const retry = cluster.write(0, 'put', 'b', '2', { client: 9, number: 1, first: 1 });
  for (const number of [0, 1]) cluster.loggerUp(number);
  cluster.pass(500);
  assert.equal(resultOf(retry)?.kind, 'put');
  assert.deepEqual(cluster.keys(0), ['a', 'b']);
});

test('a lone logger that refuses everything is not asked in a tight loop, and the write is answered in time', () => {
  const cluster = new Cluster(1, 1, { requestTimeoutMs: 1_000 });
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.logger(0).isFull = true;
  const { zone } = cluster.head.openZone;
  const outcome = cluster.write(0, 'delete', 'a');
  cluster.run();
  cluster.pass(2_000);
  assert.ok(cluster.head.openZone.zone <= zone + 40);
  const result = resultOf(outcome);
  assert.ok(result?.kind === 'failed' && result.code === 'disk-full', JSON.stringify(result));
  assert.equal(result.outcome, 'not-applied');
});

test('S15 a number that is let in is let in by every standby, whatever the owner forgot meanwhile', () => {
  const owner = new OnceTable<object>();
  const standby = new OnceTable<object>();
  const client = clientId(9);
  const put = { kind: recordKind.put, version: version(1), reply: undefined };
  for (const table of [owner, standby]) table.complete(client, requestNumber(1), requestNumber(1), put);
  // Begun with a late first number, then taken back: the log never tells of it.
  owner.begin(client, requestNumber(5_000), requestNumber(4_999), {});
  owner.abandon(client, requestNumber(5_000));
  const number = requestNumber(6_000);
  const first = requestNumber(1);
  if (owner.check(client, number, first).kind === 'new') standby.complete(client, number, first, put);
  assert.equal(owner.check(client, number, first).kind, 'window-exceeded');
});

test('S15 a client whose floor record was taken back by a zone change is forgotten later', () => {
  const cluster = new Cluster(1, 2, { regrowDelayMs: 1_000_000 });
  const once = new OnceTable({ window: 16, clientsMax: 2, bytesMax: 1 << 20, replyBytesMax: 1_000 });
  cluster.startGateway(0, { ...cluster.emptyState(), once });
  cluster.claim(0);
  let client = 0;
  const put = (): void => {
    client++;
    cluster.write(0, 'put', `key${client}`, 'x', { client, number: 1, first: 1 });
    cluster.run();
  };
  for (let round = 0; round < 8; round++) {
    for (let more = 0; more < 3; more++) put();
    // The batch with the next floor is lost with its zone.
    cluster.hold = ({ effect }) => effect.effect === 'append';
    put();
    cluster.held = [];
    cluster.hold = () => false;
    const { zone } = cluster.head.openZone;
    cluster.event(0, { event: 'append-failed', logger: loggerName(0), zone, reason: { kind: 'lost' } });
    cluster.pass(6_000);
  }
  for (let more = 0; more < 4; more++) put();
  assert.ok(once.clientCount <= 4, `${once.clientCount} clients are remembered`);
});

// --- what a peer sends -----------------------------------------------------------------------------------------------

function headsOf(kind: number, keyLength: number, client: number, number: number, first: number): Uint8Array {
  const out = Buffer.alloc(2_000);
  const end = encodeRecord(
    out,
    0,
    {
      kind: recordKind.put,
      source: Buffer.alloc(keyLength, 1),
      keyStart: 0,
      keyLength,
      valueStart: keyLength,
      valueLength: 0,
      client: clientId(client),
      number: requestNumber(number),
      firstIncomplete: requestNumber(first),
    },
    0,
    0,
  );
  out[8] = kind;
  return out.subarray(0, end);
}

test('S14 a catch-up with impossible records ends no process; the log is read instead', () => {
  const bad: [string, Uint8Array][] = [
    ['a floor without a client', headsOf(recordKind.floor, 2, 0, 0, 0)],
    ['a number far above its window', headsOf(recordKind.put, 3, 9, 100_000, 1)],
    ['a numbered floor', headsOf(recordKind.floor, 8, 9, 1, 1)],
    ['a numbered time', headsOf(recordKind.time, 0, 9, 1, 1)],
    ['a put without a key', headsOf(recordKind.put, 0, 0, 0, 0)],
    ['first number 0', headsOf(recordKind.put, 3, 9, 5, 0)],
  ];
  for (const [name, heads] of bad) {
    const cluster = new Cluster(2, 1);
    cluster.claim(0);
    cluster.put(0, 'a', '1');
    const { position } = cluster.gateway(1).state;
    const event: CatchUp = {
      event: 'catch-up',
      epoch: epoch(1),
      instance: anyInstance,
      zone: zoneId(position.zone),
      offset: position.offset,
      end: position.offset + 1_000,
      recordsStart: position.offset + 100,
      previousZone: -1,
      previousLength: 0,
      shardTimeMs: millis(0),
      heads,
    };
    assert.doesNotThrow(() => cluster.event(1, event), name);
    assert.deepEqual(cluster.gateway(1).state.position, position, name);
  }
});

test('S14 metadata and words of commits that come late do not make a standby forget newer ones', () => {
  for (const late of ['word', 'metadata'] as const) {
    const cluster = new Cluster(2, 1);
    cluster.claim(0);
    cluster.put(0, 'a', '1');
    const before = cluster.metadata();
    cluster.catchUpLost = true;
    for (let number = 0; number < 9; number++) cluster.put(0, `key${number}`, 'x'.repeat(15_000));
    cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'read-log';
    const word = ({ zone, offset: end }: LogPosition): CatchUp => ({
      event: 'catch-up',
      epoch: epoch(1),
      instance: anyInstance,
      zone: zoneId(zone),
      offset: end,
      end,
      recordsStart: end,
      previousZone: -1,
      previousLength: 0,
      shardTimeMs: millis(0),
      heads: new Uint8Array(0),
    });
    cluster.event(1, word(cluster.gateway(0).state.position));
    cluster.put(0, 'last', 'x');
    const { position } = cluster.gateway(0).state;
    const [first] = cluster.zones;
    assert.ok(first !== undefined && first.length > position.offset && first.zone < position.zone);
    cluster.event(1, word(position));
    if (late === 'word') cluster.event(1, word({ zone: first.zone, offset: first.length }));
    else cluster.event(1, { event: 'metadata', metadata: before, loaded: false });
    cluster.release();
    assert.deepEqual(cluster.gateway(1).state.position, position, late);
  }
});

test('S14 a length that is no batch boundary does not make a reader ask for ever', () => {
  const cluster = new Cluster(2, 1);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  const { position } = cluster.gateway(1).state;
  cluster.catchUpLost = true;
  cluster.put(0, 'b', '2');
  for (const more of [10, 80]) {
    const end = position.offset + more;
    const event: CatchUp = {
      event: 'catch-up',
      epoch: epoch(1),
      instance: anyInstance,
      zone: zoneId(position.zone),
      offset: position.offset + 1,
      end,
      recordsStart: end,
      previousZone: -1,
      previousLength: 0,
      shardTimeMs: millis(0),
      heads: new Uint8Array(0),
    };
    cluster.event(1, event);
    cluster.run();
  }
  assert.deepEqual(cluster.gateway(1).state.position, position);
});
