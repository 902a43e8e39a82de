import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, loggerName, resultOf } from '../harness.ts';

test('a gateway that restarted claims a new epoch and finds everything acknowledged (S2)', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  for (let number = 0; number < 100; number++) cluster.put(0, `key${String(number).padStart(3, '0')}`, 'value');
  const { zone } = cluster.head.openZone;
  cluster.startGateway(0);
  cluster.claim(0);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.equal(cluster.head.epoch, 2);
  assert.equal(cluster.head.openZone.zone, zone + 1);
  assert.equal(cluster.keys(0).length, 100);
  assert.equal(cluster.put(0, 'more', 'x')?.kind, 'put');
});

test('the tail is read once: a take-over keeps what it has checked and applies it when its close is seen', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  for (let number = 0; number < 20; number++) cluster.put(0, `key${number}`, 'value');
  cluster.startGateway(0);
  const readers: string[] = [];
  cluster.hold = ({ effect }) => {
    if (effect.effect === 'read-log') readers.push(effect.request.reader);
    return false;
  };
  cluster.claim(0);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.equal(cluster.keys(0).length, 20);
  assert.deepEqual(readers, ['tail']);
});

test('S14 a tail that was kept waits for the zones before it', () => {
  const cluster = new Cluster(1, 1);
  cluster.claim(0);
  for (let number = 0; number < 8; number++) cluster.put(0, 'key', `${number}${'x'.repeat(15_000)}`);
  cluster.put(0, 'last', 'value');
  assert.ok(cluster.zones.length > 0, 'there is a sealed zone before the open one');
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'read-log' && effect.request.reader === 'heal';
  cluster.claim(0);
  assert.equal(cluster.gateway(0).status.step, 'done');
  assert.deepEqual(cluster.keys(0), []);
  cluster.release();
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.deepEqual(cluster.keys(0), ['key', 'last']);
});

test('a take-over that waits for a logger goes on as soon as one is there', () => {
  const cluster = new Cluster(1, 1);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.startGateway(0);
  cluster.event(0, { event: 'logger-down', logger: loggerName(0) });
  cluster.claim(0);
  assert.equal(cluster.gateway(0).status.step, 'waiting');
  cluster.event(0, cluster.loggerIsUp(cluster.logger(0), 512));
  cluster.run();
  assert.equal(cluster.gateway(0).role, 'owner');
});

test('requests that arrive during a take-over wait for it', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'seal';
  cluster.claim(0);
  const write = cluster.write(0, 'put', 'b', '2');
  const read = cluster.read(0, 'a');
  cluster.run();
  assert.equal(write.result, undefined);
  cluster.release();
  assert.equal(resultOf(write)?.kind, 'put');
  assert.ok(read.found);
});

test('S4 S7 a deposed owner answers no read and commits no write', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  cluster.put(0, 'a', 'old');
  cluster.claim(1);
  assert.equal(cluster.gateway(1).role, 'owner');
  assert.equal(cluster.head.owner.gateway, 1);
  // Gateway 0 heard of it by the watch; let another believe it still owns the shard.
  const stale = new Cluster(2, 3);
  stale.claim(0);
  stale.put(0, 'a', 'old');
  stale.news = () => undefined;
  stale.claim(1);
  stale.put(1, 'a', 'new');
  assert.equal(stale.gateway(0).role, 'owner', 'it does not know yet');
  const read = stale.read(0, 'a');
  const write = stale.write(0, 'put', 'a', 'lost');
  stale.run();
  assert.equal(read.found, undefined);
  assert.equal(read.failure?.code, 'not-owner');
  const lost = resultOf(write);
  assert.ok(lost?.kind === 'failed' && lost.code === 'not-owner' && lost.outcome === 'unknown');
  assert.equal(stale.gateway(0).role, 'follower');
});

test('S8 seals are sent only after the claim is seen in the coordinator', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.hold = ({ effect }) => effect.effect === 'transact';
  cluster.claim(1);
  assert.ok(cluster.loggers.every((logger) => logger.fencedBy === 1));
  cluster.release();
  assert.ok(cluster.loggers.every((logger) => logger.fencedBy === 2));
});

test('S8 a close whose answer was lost is settled by reading, not repeated', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.startGateway(0);
  let transactions = 0;
  cluster.hold = ({ effect }) => {
    if (effect.effect === 'transact' && ++transactions === 2) cluster.loseAnswer = true;
    return false;
  };
  cluster.claim(0);
  cluster.pass(500);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.equal(transactions, 2);
  assert.equal(cluster.zones.length, 1);
});

test('two takers: one wins, the other follows', () => {
  const cluster = new Cluster(3, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.claims(1);
  cluster.claims(2);
  cluster.run();
  cluster.pass(1_000);
  const roles = [1, 2].map((number) => cluster.gateway(number).role);
  assert.ok(roles.includes('owner'), roles.join());
  assert.equal(roles.filter((role) => role === 'owner').length, 1);
});

test('a take-over with one of three loggers there: the list names only who answered (S9)', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  for (let number = 0; number < 10; number++) cluster.put(0, `key${number}`, 'value');
  cluster.loggers.forEach((logger) => {
    logger.isUp = logger === cluster.logger(2);
  });
  cluster.startGateway(0);
  cluster.claim(0);
  cluster.pass(500);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.deepEqual(cluster.zones.at(-1)?.replicas, [loggerName(2)]);
  assert.deepEqual([...(cluster.zones.at(-1)?.former ?? [])].sort(), [loggerName(0), loggerName(1)]);
  assert.equal(cluster.keys(0).length, 10);
});

test('S9 S19 a batch that only some replicas have is completed on the others, and committed by the close', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  cluster.put(0, 'a', '1');
  cluster.hold = ({ effect }) => effect.effect === 'append';
  cluster.write(0, 'put', 'b', '2');
  cluster.run();
  const append = cluster.held[0]?.effect;
  assert.ok(append?.effect === 'append');
  for (const number of [0, 1]) cluster.logger(number).append(append.zone, append.epoch, append.offset, append.bytes);
  cluster.hold = () => false;
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.keys(0), ['a', 'b']);
  const sealed = cluster.zones.at(-1);
  assert.equal(sealed?.length, append.offset + append.bytes.length);
  assert.deepEqual(
    [...sealed.replicas].sort(),
    cluster.loggers.map(({ name }) => name),
  );
  const copies = cluster.loggers.map(({ zones }) => zones.get(append.zone)?.bytes);
  for (const copy of copies) assert.deepEqual(copy, copies[0], 'S11 the same bytes everywhere');
});

test('a standby follows by catch-up, and reads from the log what it missed (S14)', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  for (let number = 0; number < 5; number++) cluster.put(0, `told${number}`, 'x');
  assert.equal(cluster.keys(1).length, 5);
  cluster.catchUpLost = true;
  for (let number = 0; number < 5; number++) cluster.put(0, `missed${number}`, 'x'.repeat(20_000));
  cluster.catchUpLost = false;
  assert.ok(cluster.zones.length > 0);
  cluster.put(0, 'last', 'x');
  assert.deepEqual(cluster.keys(1), cluster.keys(0));
  assert.deepEqual(cluster.gateway(1).state.position, cluster.gateway(0).state.position);
});

test('S15 a standby that takes over answers repetitions of what the former owner applied', () => {
  const cluster = new Cluster(2, 3);
  cluster.claim(0);
  const first = cluster.write(0, 'put', 'key', 'a', { client: 9, number: 1, first: 1 });
  cluster.run();
  cluster.put(0, 'key', 'b');
  cluster.claim(1);
  const again = cluster.write(1, 'put', 'key', 'a', { client: 9, number: 1, first: 1 });
  cluster.run();
  assert.deepEqual(again.result, first.result);
});

test('a gateway without any snapshot rebuilds once-only results and index from the log alone', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  const first = cluster.write(0, 'delete', 'nothing', '', { client: 9, number: 1, first: 1 });
  cluster.run();
  for (let number = 0; number < 20; number++) cluster.put(0, `key${number}`, 'x'.repeat(10_000));
  cluster.startGateway(0);
  cluster.claim(0);
  const again = cluster.write(0, 'delete', 'nothing', '', { client: 9, number: 1, first: 1 });
  cluster.run();
  assert.deepEqual(again.result, first.result);
  assert.equal(cluster.keys(0).length, 20);
});
