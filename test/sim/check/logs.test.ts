import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommittedLog, type ZoneToCheck } from '../../../sim/check/logs.ts';
import { Violation } from '../../../sim/check/violation.ts';
import { encodeValue } from '../../../sim/values.ts';
import { requestNumber, type Uuid, uuid } from '../../../src/base/ids.ts';
import type { RecordInput } from '../../../src/codec/log-format.ts';
import { put as record, ZoneWriter } from '../../logger/zone-writer.ts';
import { history, put } from './events.ts';

const zoneSize = 1024 * 1024;
const loggers = [1, 2, 3].map((digit) => uuid(String(digit).repeat(32)));
const write = (key: string, name: string, number: number): RecordInput => ({
  ...record(key, encodeValue(name, 300)),
  number: requestNumber(number),
});

/** A zone of three batches, and what its replicas hold. */
function zoneOf(
  records: readonly RecordInput[],
  epochs: { written: number; listed: number } = { written: 1, listed: 1 },
) {
  const writer = new ZoneWriter({ zoneSize, epoch: epochs.written });
  const bytes = Buffer.concat(records.map((each) => Buffer.from(writer.next([each]).bytes)));
  const { place } = new ZoneWriter({ epoch: epochs.listed });
  const zone: ZoneToCheck = { ...place, length: bytes.length, replicas: loggers, isOpen: false };
  return { zone, copies: new Map<Uuid, Buffer>(loggers.map((logger) => [logger, Buffer.from(bytes)])) };
}

const records = [write('a', 'p0-1', 1), write('b', 'p0-2', 2), write('a', 'p0-3', 3)];

async function read(zone: ZoneToCheck, copies: ReadonlyMap<Uuid, Buffer>): Promise<CommittedLog> {
  const log = new CommittedLog(zoneSize, 1);
  await log.read([zone], async (logger) => copies.get(logger) ?? Buffer.alloc(0));
  return log;
}

function isViolation(message: RegExp) {
  return (error: unknown): boolean => error instanceof Violation && message.test(error.message);
}

test('equal replicas of a whole zone are right, and its records are known by their versions', async () => {
  const { zone, copies } = zoneOf(records);
  const log = await read(zone, copies);
  assert.equal(log.batches, 3);
  assert.equal(log.historyOf('a').at(-1)?.name, 'p0-3');
  const version = log.historyOf('a').at(-1)?.lba ?? 0;
  log.checkAcknowledged(history(put(1, 'p0-3', version)).map((event) => ({ ...event, key: 'a' })));
  const lost = history(put(1, 'p0-9', version)).map((event) => ({ ...event, key: 'a' }));
  assert.throws(() => log.checkAcknowledged(lost), isViolation(/^S5 put of a = p0-9/));
  const elsewhere = history(put(1, 'p0-3', version + 1)).map((event) => ({ ...event, key: 'a' }));
  assert.throws(() => log.checkAcknowledged(elsewhere), isViolation(/where the log holds nothing/));
  const refused = history(put(1, 'p0-3', version)).map((event) =>
    event.type === 'ok' ? { ...event, type: 'fail' as const } : event,
  );
  assert.throws(() => log.checkRefused(refused), isViolation(/p0-3 was told not applied, and is at/));
  log.checkRefused(lost);
});

test('S11 one byte that differs on one replica is found, wherever it is', async () => {
  const { zone, copies } = zoneOf(records);
  for (const offset of [0, 100, Math.floor(zone.length / 2), zone.length - 1]) {
    const changed = new Map([...copies].map(([logger, bytes]) => [logger, Buffer.from(bytes)]));
    const last = changed.get(loggers[2] ?? uuid('0'.repeat(32)));
    assert.ok(last !== undefined);
    last[offset] = (last[offset] ?? 0) ^ 1;
    await assert.rejects(read(zone, changed), isViolation(new RegExp(`^S11 .* differ at ${offset}$`)));
  }
});

test('S10 bytes that are damaged alike on all replicas are found', async () => {
  const { zone, copies } = zoneOf(records);
  for (const bytes of copies.values()) bytes[zone.length - 10] = (bytes[zone.length - 10] ?? 0) ^ 1;
  await assert.rejects(read(zone, copies), isViolation(/^S10 .* is damaged$/));
});

test('S10 a sealed length that is no batch boundary, or beyond the last batch, is found', async () => {
  const { zone, copies } = zoneOf(records);
  await assert.rejects(read({ ...zone, length: zone.length - 1 }, copies), isViolation(/is no batch boundary$/));
  const longer = new Map([...copies].map(([logger, bytes]) => [logger, Buffer.concat([bytes, Buffer.alloc(4096)])]));
  await assert.rejects(read({ ...zone, length: zone.length + 4096 }, longer), isViolation(/^S10 .* no batch at/));
});

test('S16 a zone that was written by another epoch than the one listed is found', async () => {
  const { zone, copies } = zoneOf(records, { written: 1, listed: 2 });
  await assert.rejects(read(zone, copies), isViolation(/^S16 .* epoch 1$/));
});

test('S15 a request that is in the log twice is found, by its number and by its value', async () => {
  const byNumber = zoneOf([...records, write('b', 'p0-4', 2)]);
  await assert.rejects(
    read(byNumber.zone, byNumber.copies),
    isViolation(/^S15 .* request 0\/7\/2 is in the log twice/),
  );
  const byValue = zoneOf([...records, write('b', 'p0-2', 4)]);
  await assert.rejects(read(byValue.zone, byValue.copies), isViolation(/^S15 p0-2 of b is in the log twice/));
});

test('a replica that holds less than the sealed length is found', async () => {
  const { zone, copies } = zoneOf(records);
  const short = new Map(
    [...copies].map(([logger, bytes], index) => [logger, index === 1 ? bytes.subarray(0, bytes.length - 5) : bytes]),
  );
  await assert.rejects(read(zone, short), isViolation(/^S11 /));
});
