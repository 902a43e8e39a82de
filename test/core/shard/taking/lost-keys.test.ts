/**
 * S9: what a take-over cuts for want of any better copy is not silently absent. Keys whose records lay there are
 * damaged until they are written again, whoever crashes in between.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../../../src/base/limits.ts';
import { condition as conditions } from '../../../../src/codec/client-requests.ts';
import type { SealAnswer } from '../../../../src/codec/logger-protocol.ts';
import { instanceId } from '../../../../src/base/ids.ts';
import { describeLost, lostKeys } from '../../../../src/core/shard/taking/lost-keys.ts';
import { Cluster, resultOf } from '../harness.ts';

/** Flips a bit of the open zone on logger `number`, so many bytes before its end. */
function flip(cluster: Cluster, number: number, beforeEnd: number): void {
  const copy = cluster.logger(number).zones.get(cluster.head.openZone.zone);
  assert.ok(copy);
  copy.bytes = Buffer.from(copy.bytes);
  const at = copy.bytes.length - beforeEnd;
  copy.bytes.writeUInt8(copy.bytes.readUInt8(at) ^ 1, at);
}

function restartAll(cluster: Cluster): void {
  for (const logger of cluster.loggers) logger.restart();
}

/** One logger with a, and b whose value is damaged; all were restarted. */
function damaged(gateways = 1): Cluster {
  const cluster = new Cluster(gateways, 1);
  cluster.claim(0);
  cluster.put(0, 'a', 'first');
  cluster.put(0, 'b', 'old');
  cluster.put(0, 'b', 'value');
  flip(cluster, 0, 1);
  restartAll(cluster);
  return cluster;
}

/** The version found, or the code of the failure. */
function read(cluster: Cluster, gateway: number, key: string): number | string | undefined {
  const outcome = cluster.read(gateway, key);
  cluster.run();
  return outcome.failure?.code ?? outcome.found;
}

test('S9 a key whose newest record was cut is damaged, not absent and not what it was before', () => {
  const cluster = damaged();
  cluster.startGateway(0);
  cluster.claim(0);
  assert.equal(read(cluster, 0, 'b'), 'damaged');
  assert.equal(typeof read(cluster, 0, 'a'), 'number');
  assert.equal(read(cluster, 0, 'c'), 0);
  const sealed = cluster.zones.at(-1);
  assert.equal(sealed?.doubt, 'cut');
  assert.deepEqual(sealed?.lost, { keys: [Buffer.from('b')], unknown: 0 });
  assert.match(cluster.notes.join('\n'), /zone cut: .*"damagedKeys":1,"keys":"\\"b\\"","unknownRecords":0/);
});

test('S9 writing or deleting a lost key heals it; what has a condition is refused, and a repetition hears the same', () => {
  const cluster = damaged();
  cluster.startGateway(0);
  cluster.claim(0);
  for (const [number, condition] of [conditions.absent, cluster.committed[2]?.offset ?? 0].entries()) {
    const write = cluster.write(0, 'put', 'b', 'new', { condition, number: 50 + number });
    cluster.run();
    const result = resultOf(write);
    assert.ok(result?.kind === 'failed' && result.code === 'damaged' && result.outcome === 'not-applied');
    const again = cluster.write(0, 'put', 'b', 'new', { condition, number: 50 + number });
    cluster.run();
    assert.deepEqual(resultOf(again), result, 'S15 a repetition is answered from the record');
  }
  assert.equal(cluster.put(0, 'b', 'new')?.kind, 'put');
  assert.equal(typeof read(cluster, 0, 'b'), 'number');
  const other = damaged();
  other.startGateway(0);
  other.claim(0);
  const deletion = other.write(0, 'delete', 'b');
  other.run();
  assert.equal(resultOf(deletion)?.kind, 'deleted');
  assert.equal(read(other, 0, 'b'), 0);
});

test('S9 what was healed stays healed after another take-over, and what was not stays damaged', () => {
  const cluster = new Cluster(1, 1);
  cluster.claim(0);
  const writes = ['x', 'y', 'z'].map((key) => cluster.write(0, 'put', key, 'value'));
  cluster.run();
  assert.ok(writes.every((write) => resultOf(write)?.kind === 'put'));
  flip(cluster, 0, 1);
  restartAll(cluster);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.lostKeys(0), ['x', 'y', 'z'], 'one batch held them all');
  cluster.put(0, 'x', 'new');
  cluster.write(0, 'delete', 'y');
  cluster.run();
  for (let round = 0; round < 2; round++) {
    cluster.startGateway(0);
    cluster.claim(0);
    assert.deepEqual(cluster.keys(0), ['x', 'z']);
    assert.deepEqual(cluster.lostKeys(0), ['z']);
  }
});

test('S9 nothing is answered before what was lost is in the log', () => {
  const cluster = damaged();
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'append';
  cluster.claim(0);
  const reads = [cluster.read(0, 'b'), cluster.read(0, 'a')];
  const write = cluster.write(0, 'put', 'c', 'new');
  cluster.run();
  assert.equal(cluster.held.length, 1, 'the lost records alone are under way');
  assert.ok(reads.every(({ found, failure }) => found === undefined && failure === undefined));
  assert.equal(resultOf(write), undefined);
  cluster.release();
  assert.equal(reads[0]?.failure?.code, 'damaged');
  assert.equal(typeof reads[1]?.found, 'number');
  assert.equal(resultOf(write)?.kind, 'put');
});

test('S9 a taker that crashes between the close and the lost records leaves them to the next', () => {
  const cluster = damaged(2);
  cluster.catchUpLost = true;
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'append';
  cluster.claim(0);
  assert.equal(cluster.head.openZone.owes, 1);
  cluster.held = [];
  cluster.hold = () => false;
  cluster.startGateway(1);
  cluster.claim(1);
  assert.equal(read(cluster, 1, 'b'), 'damaged');
  assert.equal(cluster.head.openZone.owes, 1, 'the zone between ended empty');
  cluster.put(1, 'b', 'new');
  cluster.startGateway(0);
  cluster.claim(0);
  assert.equal(cluster.head.openZone.owes, undefined);
  assert.equal(typeof read(cluster, 0, 'b'), 'number', 'it was healed meanwhile');
});

test('S9 lost records that arrived nowhere whole are owed again, with those of the zone that they were cut from', () => {
  const cluster = damaged();
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.lostKeys(0), ['b']);
  flip(cluster, 0, 1);
  restartAll(cluster);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.lostKeys(0), ['b']);
  const last = cluster.zones.at(-1);
  assert.deepEqual([last?.zone, last?.doubt, last?.lost?.keys], [2, 'cut', [Buffer.from('b')]]);
  assert.equal(cluster.head.openZone.owes, 2);
});

test('S9 a zone change before the lost records have committed takes them along', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  cluster.put(0, 'a', 'value');
  for (const number of [0, 1]) flip(cluster, number, 1);
  restartAll(cluster);
  cluster.startGateway(0);
  cluster.hold = ({ effect }) => effect.effect === 'append';
  cluster.claim(0);
  const pending = cluster.read(0, 'a');
  cluster.loggerDown(1);
  cluster.release();
  assert.equal(cluster.head.openZone.zone, 3);
  assert.equal(pending.failure?.code, 'damaged');
  assert.deepEqual(cluster.lostKeys(0), ['a']);
});

test('S14 a standby and a recovery from the log know the lost keys as the owner does', () => {
  const cluster = damaged(2);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.lostKeys(1), ['b'], 'by catch-up');
  cluster.startGateway(1);
  cluster.news();
  cluster.run();
  cluster.claim(1);
  assert.deepEqual(cluster.lostKeys(1), ['b'], 'from the log');
  assert.equal(read(cluster, 1, 'b'), 'damaged');
});

test('S9 where the head of the record is damaged nobody knows the key: that is said', () => {
  const cluster = new Cluster(1, 1);
  cluster.claim(0);
  cluster.put(0, 'a', 'value');
  // The last byte of the key.
  flip(cluster, 0, 'value'.length + 1);
  restartAll(cluster);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.keys(0), []);
  assert.deepEqual(cluster.zones.at(-1)?.lost, { keys: [], unknown: 1 });
  assert.match(cluster.notes.join('\n'), /zone cut: .*"damagedKeys":0,"keys":"","unknownRecords":1/);
});

test('S9 with one intact copy nothing is lost, whatever the others hold', () => {
  const cluster = new Cluster(1, 3);
  cluster.claim(0);
  cluster.put(0, 'a', 'value');
  flip(cluster, 0, 1);
  flip(cluster, 1, 1);
  restartAll(cluster);
  cluster.startGateway(0);
  cluster.claim(0);
  assert.deepEqual(cluster.keys(0), ['a']);
  assert.deepEqual(cluster.lostKeys(0), []);
  assert.equal(cluster.zones.at(-1)?.doubt, undefined);
});

const process = instanceId('1'.repeat(16));
const known = { fence: undefined, zones: [] };
const key = (name: string): Uint8Array => Uint8Array.from(Buffer.from(name));

function answer(...records: readonly (readonly [offset: number, name: string])[]): SealAnswer {
  const cut = { records: records.map(([offset, name]) => ({ offset, key: key(name) })), isCutShort: false };
  return { length: 0, seen: 0, doubtful: true, tail: 'damaged', process, known, cut };
}

test('S9 keys of all copies count, once each, and only behind the length', () => {
  const answers = [answer([10, 'a'], [20, 'b'], [30, '']), answer([20, 'b'], [40, 'c'])];
  assert.deepEqual(lostKeys(answers, 20, undefined, limits.zoneBytesMax), { keys: [key('b'), key('c')], unknown: 0 });
  const owed = { keys: [key('z')], unknown: 3 };
  const one = lostKeys(answers.slice(0, 1), 20, owed, limits.zoneBytesMax);
  assert.deepEqual(one, { keys: [key('z'), key('b')], unknown: 1 });
});

test('S9 so many keys that they do not fit one batch are counted, not named', () => {
  const many = Array.from({ length: limits.lostKeysMax + 3 }, (_, at) => [at, `key ${at}`] as const);
  const lost = lostKeys([answer(...many)], 0, undefined, limits.zoneBytesMax);
  assert.deepEqual([lost.keys.length, lost.unknown], [limits.lostKeysMax, 3]);
  const small = lostKeys([answer(...many)], 0, undefined, limits.zoneBytesMin);
  const bytes = small.keys.reduce((sum, { length }) => sum + length + 20, 0);
  assert.ok(bytes <= limits.zoneBytesMin / 4 && small.keys.length > 100);
  assert.equal(small.keys.length + small.unknown, many.length);
  assert.match(String(describeLost(lost)['keys']), /^"key 0" .* and 4091 more$/);
});
