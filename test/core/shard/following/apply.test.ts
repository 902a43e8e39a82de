import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ZoneId } from '../../../../src/base/ids.ts';
import { clientId, lbaOf, millis, requestNumber, version, zoneId } from '../../../../src/base/ids.ts';
import { limits } from '../../../../src/base/limits.ts';
import { decodeBatchHeader } from '../../../../src/codec/log-batch.ts';
import type { DecodedRecord, RecordInput } from '../../../../src/codec/log-format.ts';
import { recordKind, zoneSeed } from '../../../../src/codec/log-format.ts';
import type { ShardState } from '../../../../src/core/shard/following/apply.ts';
import { advance, applyDecoded, eachRecord, isApplicable } from '../../../../src/core/shard/following/apply.ts';
import { put, ZoneWriter } from '../../../logger/zone-writer.ts';
import { Cluster, zoneSize } from '../harness.ts';

const emptyState = (): ShardState => new Cluster(1, 1).emptyState();

type Fields = Partial<Pick<RecordInput, 'kind' | 'client' | 'number' | 'firstIncomplete' | 'version' | 'reply'>>;

/** A record that is not numbered, unless `fields` say so. */
function record(key: string, value = '', fields: Fields = {}): RecordInput {
  return { ...put(key, Buffer.from(value)), client: clientId(0), number: requestNumber(0), ...fields };
}

function numbered(client: number, number: number, first = number): Fields {
  return { client: clientId(client), number: requestNumber(number), firstIncomplete: requestNumber(first) };
}

/** Where records lie when they are written into a zone of their own, and what they read as. */
function decode(zone: ZoneId, records: readonly RecordInput[]) {
  const writer = new ZoneWriter({ zone, zoneSize });
  const bytes = writer.batch(64, records);
  const header = decodeBatchHeader(bytes, 0, 64, writer.place, zoneSeed(writer.place));
  assert.ok(header.kind === 'batch');
  const { headerLength, recordsLength } = header.header;
  const end = headerLength + recordsLength;
  const found: { readonly record: DecodedRecord; readonly offset: number }[] = [];
  const seed = zoneSeed(writer.place);
  const problem = eachRecord(bytes, headerLength, end, 64 + headerLength, seed, false, (one, offset) =>
    found.push({ record: one, offset }),
  );
  assert.equal(problem, undefined);
  return { bytes, start: headerLength, end, seed, found };
}

function apply(state: ShardState, zone: number, ...records: readonly RecordInput[]): readonly number[] {
  const { bytes, found } = decode(zoneId(zone), records);
  for (const one of found) applyDecoded(state, zoneId(zone), one.offset, bytes, one.record);
  return found.map(({ offset }) => lbaOf(zoneId(zone), offset, zoneSize));
}

function versionOf({ index }: ShardState, key: string): number | undefined {
  const id = index.find(Buffer.from(key), 0, key.length);
  return id === -1 ? undefined : index.versionOf(id);
}

const check = ({ once }: ShardState, client: number, number: number) =>
  once.check(clientId(client), requestNumber(number), requestNumber(number));

describe('a record is applied', () => {
  test('put: its address is its version; the next one replaces it', () => {
    const state = emptyState();
    const [first, second] = apply(state, 1, record('a', '1'), record('a', '22'), record('b'));
    assert.ok(first !== undefined && second !== undefined && first < second);
    assert.equal(versionOf(state, 'a'), second);
    const id = state.index.find(Buffer.from('a'), 0, 1);
    assert.deepEqual([state.index.lbaOf(id), state.index.valueLengthOf(id)], [second, 2]);
    assert.equal(state.index.size, 2);
  });

  test('delete: the key is gone; of a key that is not there, nothing happens', () => {
    const state = emptyState();
    apply(state, 1, record('a', '1'), record('a', '', { kind: recordKind.delete }));
    apply(state, 2, record('b', '', { kind: recordKind.delete }));
    assert.equal(state.index.size, 0);
  });

  test('S12 relocated: its version stays, its address is new, and a newer put or delete wins over it', () => {
    const state = emptyState();
    const [old = 0] = apply(state, 1, record('a', '1'));
    const relocated = record('a', '1', { version: version(old) });
    const [moved] = apply(state, 2, relocated);
    const id = state.index.find(Buffer.from('a'), 0, 1);
    assert.deepEqual([state.index.versionOf(id), state.index.lbaOf(id)], [old, moved]);
    const [newer] = apply(state, 3, record('a', '2'));
    apply(state, 4, relocated);
    apply(state, 5, record('a', '', { kind: recordKind.delete, version: version(old) }));
    assert.equal(versionOf(state, 'a'), newer);
  });

  test('S15 numbered: a repetition gets its result, also of a refusal, with its reply', () => {
    const state = emptyState();
    const reply = Buffer.from('why');
    const [, second = 0] = apply(
      state,
      1,
      record('a', '1', numbered(9, 4)),
      record('a', '', { kind: recordKind.refusal, reply, ...numbered(9, 5, 4) }),
    );
    const seen = check(state, 9, 5);
    assert.ok(seen.kind === 'done');
    assert.deepEqual([seen.result.kind, seen.result.version], [recordKind.refusal, second]);
    assert.equal(Buffer.from(seen.result.reply ?? []).toString(), 'why');
    assert.equal(state.index.size, 1, 'a refusal changes no key');
    assert.equal(check(state, 9, 3).kind, 'superseded');
  });

  test('S15 a result does not keep the batch that it came from: what it holds is a copy', () => {
    const state = emptyState();
    const refusal = record('a', '', { kind: recordKind.refusal, reply: Buffer.from('why'), ...numbered(9, 1) });
    const { bytes, found } = decode(zoneId(1), [refusal]);
    for (const one of found) applyDecoded(state, zoneId(1), one.offset, bytes, one.record);
    bytes.fill(0);
    const seen = check(state, 9, 1);
    assert.equal(seen.kind === 'done' ? Buffer.from(seen.result.reply ?? []).toString() : '', 'why');
  });

  test('S15 floor: the client that it names is forgotten, others are as they were', () => {
    const state = emptyState();
    const name = Buffer.alloc(8);
    name.writeUIntLE(9, 0, 6);
    apply(state, 1, record('a', '1', numbered(9, 1)), record('a', '1', numbered(7, 1)));
    apply(state, 2, { ...record('', ''), kind: recordKind.floor, source: name, keyLength: 8, valueStart: 8 });
    assert.deepEqual(
      [7, 8, 9, 10].map((client) => check(state, client, 2).kind),
      ['new', 'new', 'forgotten', 'new'],
    );
  });

  test('S14 twice: nothing changes', () => {
    const [once, twice] = [emptyState(), emptyState()];
    const records = [record('a', '1', numbered(9, 1)), record('b'), record('b', '', { kind: recordKind.delete })];
    apply(once, 1, ...records);
    apply(twice, 1, ...records);
    apply(twice, 1, ...records);
    assert.deepEqual(twice.index.entries(0, 10), once.index.entries(0, 10));
    assert.equal(versionOf(twice, 'a'), versionOf(once, 'a'));
    assert.deepEqual(check(twice, 9, 1), check(once, 9, 1));
  });
});

describe('the records of a batch', () => {
  const { bytes, start, end, seed, found } = decode(zoneId(1), [record('a', '1'), record('b', '22'), record('c')]);
  const offset = 64 + start;
  const visit = (input: Buffer, headsOnly = false, to = end) => {
    const offsets: number[] = [];
    const problem = eachRecord(input, start, to, offset, seed, headsOnly, (_, at) => offsets.push(at));
    return { offsets, problem };
  };

  test('are visited in order, each with its offset in the zone', () => {
    assert.deepEqual(visit(bytes), { offsets: found.map((one) => one.offset), problem: undefined });
  });

  test('S16 up to the first damaged one, which is named by its offset', () => {
    const damaged = Buffer.from(bytes);
    const second = found[1];
    assert.ok(second);
    damaged.writeUInt8(damaged.readUInt8(second.record.keyStart) ^ 1, second.record.keyStart);
    const { offsets, problem } = visit(damaged);
    assert.deepEqual(offsets, [offset]);
    assert.equal(problem?.offset, second.offset);
    assert.match(problem.reason, /checksum/);
  });

  test('S14 have the same offsets when values are left out', () => {
    const heads = found.map(({ record: one }) => bytes.subarray(one.start, one.start + one.length - one.valueLength));
    const input = Buffer.concat([bytes.subarray(0, start), ...heads]);
    const { offsets, problem } = visit(input, true, input.length);
    assert.equal(problem, undefined);
    assert.deepEqual(
      offsets,
      found.map((one) => one.offset),
    );
  });
});

describe('S14 the watermark', () => {
  test('moves within a zone and to later ones; what was applied is counted', () => {
    const state = emptyState();
    advance(state, zoneId(1), 500, millis(10));
    advance(state, zoneId(1), 700, millis(10));
    advance(state, zoneId(3), 200, millis(10));
    assert.deepEqual(state.position, { zone: 3, offset: 200 });
    assert.equal(state.appliedBytes, 900);
  });

  test('never goes back', () => {
    const state = emptyState();
    advance(state, zoneId(2), 500, millis(10));
    assert.throws(() => advance(state, zoneId(2), 499, millis(10)), /S14/);
    assert.throws(() => advance(state, zoneId(1), 900, millis(10)), /S14/);
  });

  test('S18 nor does the time of the shard', () => {
    const state = emptyState();
    advance(state, zoneId(1), 1, millis(10));
    assert.throws(() => advance(state, zoneId(1), 2, millis(7)), /S18/);
    assert.equal(state.shardTimeMs, 10);
  });
});

test('what a peer says is applied only if an owner can have written it', () => {
  const state = emptyState();
  const [good] = decode(zoneId(1), [record('a', '1', numbered(9, 4, 2))]).found;
  assert.ok(good);
  const id = Buffer.alloc(8);
  const says = (changes: Partial<DecodedRecord>, offset = good.offset): boolean =>
    isApplicable(state, zoneId(1), offset, id, { ...good.record, keyStart: 0, ...changes });
  const forgets = (client: bigint): boolean => {
    id.writeBigUInt64LE(client);
    return says({ kind: recordKind.floor, keyLength: 8, client: clientId(0) });
  };
  assert.ok(says({}));
  assert.ok(!says({}, 2 ** 53), 'at an address that is none');
  assert.ok(!says({ version: version(lbaOf(zoneId(1), good.offset, zoneSize) + 1) }), 'newer than its address');
  assert.ok(!says({ keyLength: 0 }), 'a key of nothing');
  assert.ok(!says({ firstIncomplete: requestNumber(0) }), 'numbers begin at 1');
  assert.ok(!says({ number: requestNumber(2 + limits.clientWindow) }), 'more in flight than there may be');
  assert.ok(!says({ kind: recordKind.floor, keyLength: 8 }), 'a floor of a client');
  assert.ok(forgets(1n) && forgets(2n ** 48n - 1n));
  for (const client of [0n, 2n ** 48n, 2n ** 53n, 2n ** 64n - 1n]) assert.ok(!forgets(client), `client ${client}`);
  assert.ok(!says({ client: clientId(2 ** 48) }), 'a client id that is none');
  const huge = requestNumber(2 ** 48);
  assert.ok(!says({ number: huge, firstIncomplete: huge }), 'a number that nobody counts to');
  assert.ok(!says({ kind: recordKind.time }), 'a time of a client');
});
