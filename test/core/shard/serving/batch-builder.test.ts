import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ClientId } from '../../../../src/base/ids.ts';
import {
  clientId,
  epoch,
  instanceId,
  lbaOf,
  millis,
  requestNumber,
  version,
  zoneId,
} from '../../../../src/base/ids.ts';
import { limits } from '../../../../src/base/limits.ts';
import type { DecodedRecord } from '../../../../src/codec/log-format.ts';
import { checkBatchBody, decodeBatchHeader } from '../../../../src/codec/log-batch.ts';
import { decodeZoneHeader, recordKind, recordLength } from '../../../../src/codec/log-format.ts';
import type { ShardState } from '../../../../src/core/shard/following/apply.ts';
import { applyDecoded, eachRecord } from '../../../../src/core/shard/following/apply.ts';
import {
  buildBatch,
  fitsEmptyZone,
  fitsZone,
  floorRecord,
  recordBytesMax,
} from '../../../../src/core/shard/serving/batch-builder.ts';
import { Decider } from '../../../../src/core/shard/serving/decider.ts';
import type { ShardEffect } from '../../../../src/core/shard/events.ts';
import { resultOfRecord, ShardWrite } from '../../../../src/core/shard/requests.ts';
import type { Batch } from '../../../../src/core/shard/serving/zone-writer.ts';
import { ZoneWriter } from '../../../../src/core/shard/serving/zone-writer.ts';
import { Cluster, loggerName, zoneSize } from '../harness.ts';

interface Wanted {
  readonly value?: string;
  /** -1 none, 0 absent, n the version. */
  readonly condition?: number;
  readonly client?: number;
  readonly number?: number;
  readonly first?: number;
}

function write(operation: 'put' | 'delete', key: string, wanted: Wanted = {}): ShardWrite {
  const { value = '', condition = -1, client = 0, number = 0, first = number } = wanted;
  const source = Buffer.from(key + value);
  const keyLength = Buffer.byteLength(key);
  const replyTo = { written: () => undefined };
  const made = new ShardWrite(replyTo, 1, operation);
  made.source = source;
  made.keyLength = keyLength;
  made.valueStart = keyLength;
  made.wantedLength = source.length - keyLength;
  made.condition = condition;
  made.client = clientId(client);
  made.number = requestNumber(number);
  made.firstIncomplete = requestNumber(first);
  return made;
}

const owner = { epoch: epoch(1), instance: instanceId('1'.repeat(16)) };

/** An owner's open zone: decides writes, builds batches, and reads back what it has built. */
class Zone {
  readonly state: ShardState = new Cluster(1, 1).emptyState();
  readonly decider = new Decider(this.state);
  readonly writer: ZoneWriter;
  readonly effects: ShardEffect[] = [];
  wallMs = 1_000;

  constructor(alignment = 1) {
    const replicas = { replicas: [loggerName(0)], processes: [instanceId('2'.repeat(16))] };
    this.writer = new ZoneWriter(this.state, { zone: zoneId(1), ...owner, ...replicas }, alignment);
  }

  decide(...writes: readonly ShardWrite[]): ShardWrite[] {
    return writes.filter((one) => this.decider.decide(one, this.effects));
  }

  send(writes: readonly ShardWrite[], floors: readonly ClientId[] = []): Batch {
    const context = { state: this.state, zone: this.writer, nowMs: millis(5), wallMs: millis(this.wallMs), number: 1 };
    const batch = buildBatch(context, { own: floors.map(floorRecord), writes });
    this.writer.sent(batch);
    return batch;
  }

  /** Its records, after its checksums and place were found good. */
  read(batch: Batch): { readonly record: DecodedRecord; readonly offset: number }[] {
    const place = { cluster: this.state.cluster, shard: this.state.shard, zone: zoneId(1), ...owner };
    const start = batch.offset - batch.appendOffset;
    const { seed } = this.writer;
    const decoded = decodeBatchHeader(batch.bytes, start, batch.offset, place, seed);
    assert.ok(decoded.kind === 'batch');
    const { header } = decoded;
    assert.equal(checkBatchBody(batch.bytes, start, header, seed), 'good');
    assert.deepEqual([header.recordCount, batch.end], [batch.recordCount, batch.offset + header.totalLength]);
    const records: { readonly record: DecodedRecord; readonly offset: number }[] = [];
    const from = start + header.headerLength;
    const to = from + header.recordsLength;
    const visit = (record: DecodedRecord, offset: number): void => void records.push({ record, offset });
    assert.equal(eachRecord(batch.bytes, from, to, batch.recordsStart, seed, false, visit), undefined);
    return records;
  }

  /** What happens when all replicas have it. */
  commit(batch: Batch): void {
    for (const { record, offset } of this.read(batch)) applyDecoded(this.state, zoneId(1), offset, batch.bytes, record);
    for (const one of batch.writes) this.decider.settled(one);
  }

  put(key: string, value = 'v'): number {
    const [one] = this.decide(write('put', key, { value }));
    assert.ok(one);
    this.commit(this.send([one]));
    return this.addressOf(one);
  }

  addressOf(one: ShardWrite): number {
    return lbaOf(zoneId(1), one.recordOffset, zoneSize);
  }
}

const text = (bytes: Uint8Array, start: number, length: number): string =>
  Buffer.from(bytes.subarray(start, start + length)).toString();

describe('a batch', () => {
  for (const alignment of [1, 512, 4096]) {
    test(`reads back as it was written, in order, aligned to ${alignment}`, () => {
      const zone = new Zone(alignment);
      const first = zone.send(zone.decide(write('put', 'a', { value: 'one' }), write('put', 'bb')));
      const second = zone.send(zone.decide(write('put', 'c', { value: 'x'.repeat(10_000) })));
      const read = [first, second].flatMap((batch) =>
        zone.read(batch).map(({ record }) => text(batch.bytes, record.keyStart, record.keyLength)),
      );
      assert.deepEqual(read, ['a', 'bb', 'c']);
      for (const batch of [first, second]) assert.equal(batch.offset % alignment, 0);
      assert.equal(second.appendOffset, first.end);
    });
  }

  test("carries the zone's header when it is the first, and only then", () => {
    const zone = new Zone();
    const first = zone.send(zone.decide(write('put', 'a')));
    const header = decodeZoneHeader(first.bytes);
    assert.ok(header.kind === 'zone');
    assert.deepEqual([header.header.zone, header.header.epoch, header.header.zoneSize], [1, 1, zoneSize]);
    assert.equal(header.header.instance, owner.instance);
    assert.deepEqual([first.appendOffset, first.offset], [0, header.length]);
    const second = zone.send(zone.decide(write('put', 'b')));
    assert.equal(second.offset, second.appendOffset);
  });

  test("becomes the source of its writes: the socket's memory is let go", () => {
    const zone = new Zone();
    const one = write('put', 'key', { value: 'value' });
    const batch = zone.send(zone.decide(one));
    assert.equal(one.source, batch.bytes);
    assert.equal(text(one.source, one.keyStart, one.keyLength), 'key');
    assert.equal(text(one.source, one.valueStart, one.valueLength), 'value');
  });

  test('S9 tells how much is committed', () => {
    const zone = new Zone();
    const batch = zone.send(zone.decide(write('put', 'a')));
    zone.writer.acknowledged(loggerName(0), batch.end, millis(0));
    zone.writer.takeCommitted();
    const next = zone.send(zone.decide(write('put', 'b')));
    const place = { ...zone.state, zone: zoneId(1), ...owner };
    const decoded = decodeBatchHeader(next.bytes, 0, next.offset, place, zone.writer.seed);
    assert.equal(decoded.kind === 'batch' ? decoded.header.committedLength : -1, batch.end);
  });

  test('S18 has the time of the clock, but never an earlier one than the log', () => {
    const zone = new Zone();
    zone.wallMs = 2_000.7;
    assert.equal(zone.send(zone.decide(write('put', 'a'))).shardTimeMs, 2_000);
    zone.state.shardTimeMs = millis(3_000);
    assert.equal(zone.send(zone.decide(write('put', 'b'))).shardTimeMs, 3_000);
  });

  test('S15 begins with the floors, which are of no client', () => {
    const zone = new Zone();
    const batch = zone.send(zone.decide(write('put', 'a', { client: 9, number: 1 })), [clientId(3), clientId(5)]);
    const records = zone.read(batch).map(({ record }) => [record.kind, record.client]);
    assert.deepEqual(records, [
      [recordKind.floor, 0],
      [recordKind.floor, 0],
      [recordKind.put, 9],
    ]);
    zone.commit(batch);
    assert.equal(zone.state.once.check(clientId(5), requestNumber(1), requestNumber(1)).kind, 'forgotten');
  });
});

describe('S12 a write is decided against the newest state, what is in flight included', () => {
  test('put and delete without a condition; a delete of nothing is a refusal that says so', () => {
    const zone = new Zone();
    const writes = zone.decide(
      write('delete', 'a'),
      write('put', 'a'),
      write('delete', 'a'),
      write('delete', 'a'),
      write('put', 'a'),
    );
    assert.deepEqual(
      writes.map(({ kind }) => kind),
      [recordKind.refusal, recordKind.put, recordKind.delete, recordKind.refusal, recordKind.put],
    );
    assert.deepEqual(resultOfRecord(recordKind.refusal, version(7), writes[0]?.reply), {
      kind: 'deleted',
      existed: false,
      version: 0,
    });
  });

  test('a version that the key has holds, until another write is in flight', () => {
    const zone = new Zone();
    const current = zone.put('a');
    const [first, second] = zone.decide(
      write('put', 'a', { condition: current }),
      write('put', 'a', { condition: current }),
    );
    assert.deepEqual([first?.kind, second?.kind], [recordKind.put, recordKind.refusal]);
  });

  test('S7 a refusal decided on a write in flight names the version that this will have', () => {
    const zone = new Zone();
    const writes = zone.decide(write('put', 'a', { condition: 0 }), write('put', 'a', { condition: 0 }));
    const [first, second] = writes;
    assert.ok(first !== undefined && second?.decidedOn === first);
    const batch = zone.send(writes);
    const refused = zone.read(batch)[1]?.record;
    assert.ok(refused);
    const reply = batch.bytes.subarray(refused.replyStart, refused.replyStart + refused.replyLength);
    const result = resultOfRecord(refused.kind, version(0), reply);
    assert.deepEqual(result, { kind: 'refused', currentVersion: zone.addressOf(first) });
  });

  test('what is settled is looked up in the index', () => {
    const zone = new Zone();
    const current = zone.put('a');
    const [refused] = zone.decide(write('delete', 'a', { condition: current + 1 }));
    assert.deepEqual(
      [refused?.kind, refused?.currentVersion, refused?.decidedOn],
      [recordKind.refusal, current, undefined],
    );
  });

  test('S6 what was in flight is taken back, with the repetitions that waited for it, and decided anew', () => {
    const zone = new Zone();
    const first = write('put', 'a', { condition: 0, client: 9, number: 1 });
    const repetition = write('put', 'a', { condition: 0, client: 9, number: 1 });
    const other = write('put', 'b');
    const batch = zone.send(zone.decide(first, repetition, other));
    assert.deepEqual(batch.writes, [first, other]);
    assert.deepEqual(zone.decider.takeBack([batch]), [first, repetition, other]);
    assert.deepEqual(zone.decide(first, repetition, other), [first, other]);
    assert.equal(first.kind, recordKind.put);
  });
});

describe('S15 a number', () => {
  const answers = (zone: Zone): string[] =>
    zone.effects.flatMap((effect) =>
      effect.effect === 'answer-write'
        ? [effect.result.kind === 'failed' ? `${effect.result.code}, ${effect.result.outcome}` : effect.result.kind]
        : [],
    );

  test('is applied once: a repetition in flight waits, one of a committed write is answered', () => {
    const zone = new Zone();
    const first = write('put', 'a', { client: 9, number: 1 });
    const repetition = write('put', 'a', { client: 9, number: 1 });
    const writes = zone.decide(first, repetition);
    assert.deepEqual([writes, first.repetitions, answers(zone)], [[first], [repetition], []]);
    zone.commit(zone.send(writes));
    assert.deepEqual(zone.decide(write('put', 'a', { client: 9, number: 1 })), []);
    assert.deepEqual(answers(zone), ['put']);
  });

  test('is refused below the first incomplete one, beyond the window, and of a client that was forgotten', () => {
    const zone = new Zone();
    zone.state.once.applyFloor(clientId(4));
    zone.decide(write('put', 'a', { client: 9, number: 10 }));
    const late = write('put', 'a', { client: 9, number: 3 });
    const far = write('put', 'a', { client: 9, number: 10 + limits.clientWindow, first: 10 });
    const forgotten = write('put', 'a', { client: 4, number: 1 });
    assert.deepEqual(zone.decide(late, far, forgotten), []);
    assert.deepEqual(answers(zone), [
      'request-superseded, unknown',
      'window-exceeded, not-applied',
      'client-forgotten, unknown',
    ]);
  });

  test('0 is none: such writes are applied as often as they come', () => {
    const zone = new Zone();
    assert.equal(zone.decide(write('put', 'a'), write('put', 'a')).length, 2);
  });
});

describe('sizes', () => {
  test('no record is larger than was said before it was decided', () => {
    const zone = new Zone();
    zone.put('there');
    const numbers = { client: 9, number: 1 };
    const writes = [
      write('put', 'key', { value: 'value', ...numbers }),
      write('put', 'there', { value: 'value', condition: 0, ...numbers, number: 2 }),
      write('delete', 'there', { ...numbers, number: 3 }),
      write('delete', 'nothing', { ...numbers, number: 4 }),
    ];
    const sizes = writes.map(recordBytesMax);
    for (const [index, one] of zone.decide(...writes).entries())
      assert.ok(recordLength(one) <= (sizes[index] ?? 0), `${recordLength(one)} of at most ${sizes[index]}`);
  });

  test('what fits a zone ends within it, and what does not fit leaves little behind', () => {
    const alignments = fc.constantFrom(1, 512, 4096);
    const lengths = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(alignments, lengths, (alignment, valueBytes) => {
        const zone = new Zone(alignment);
        for (const length of valueBytes) {
          const one = write('put', 'k', { value: 'x'.repeat(length) });
          const bytes = recordBytesMax(one);
          if (!fitsZone(zone.writer, bytes, zoneSize)) {
            assert.ok(zoneSize - zone.writer.length < bytes + 2 * alignment + 1_000, 'a zone is filled');
            break;
          }
          assert.ok(zone.send(zone.decide(one), [clientId(1)]).end <= zoneSize);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('what fits an empty zone fits a new one', () => {
    for (const alignment of [1, 512, 4096]) {
      let length = zoneSize;
      while (!fitsEmptyZone(length, alignment, zoneSize)) length -= 1;
      assert.ok(length > zoneSize - 3 * alignment - 1_000, `${length} bytes`);
      const zone = new Zone(alignment);
      assert.ok(fitsZone(zone.writer, length, zoneSize));
      assert.ok(!fitsZone(zone.writer, length + 1, zoneSize));
      const numbers = { client: 9, number: 1 };
      const overhead = recordBytesMax(write('put', 'k', numbers));
      const largest = write('put', 'k', { value: 'x'.repeat(length - overhead), ...numbers });
      assert.ok(zone.send(zone.decide(largest), [clientId(1)]).end <= zoneSize);
    }
  });
});
