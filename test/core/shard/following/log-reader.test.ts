import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Uuid } from '../../../../src/base/ids.ts';
import { millis } from '../../../../src/base/ids.ts';
import { zoneHeaderLength } from '../../../../src/codec/log-format.ts';
import type { LogRead, ShardEffect } from '../../../../src/core/shard/events.ts';
import type { Segment } from '../../../../src/core/shard/following/log-reader.ts';
import { LogReader } from '../../../../src/core/shard/following/log-reader.ts';
import { Loggers } from '../../../../src/core/shard/loggers.ts';
import { testInstance, ZoneWriter } from '../../../logger/zone-writer.ts';
import { loggerName } from '../harness.ts';

/** A zone with batches of these sizes, as its holders have it. */
class Zone {
  readonly writer: ZoneWriter;
  readonly bytes: Buffer;
  /** Ends of batches; the first begins behind the zone's header. */
  readonly ends: number[] = [];

  constructor(valueBytes: readonly number[], zone = 1) {
    this.writer = new ZoneWriter({ zone, zoneSize: 16 * 1024 * 1024 });
    const appends = valueBytes.map((bytes) => {
      const { bytes: appended } = this.writer.filled(bytes);
      this.ends.push(this.writer.offset);
      return appended;
    });
    this.bytes = Buffer.concat(appends);
  }

  segment(holders: readonly Uuid[], from = 0, to = this.bytes.length): Segment {
    const { zone, epoch, instance } = this.writer.place;
    return { zone, epoch, instance, from, to, holders };
  }
}

/** A reader, what it asks for, and what it has given. */
class Reading {
  readonly reader: LogReader;
  readonly visited: number[] = [];
  readonly ended: number[] = [];
  readonly notes: string[] = [];
  readonly requests: LogRead[] = [];
  readonly #effects: ShardEffect[] = [];

  constructor(zone: Zone, loggers = upLoggers(3)) {
    const { cluster, shard } = zone.writer.place;
    this.reader = new LogReader(
      'heal',
      { cluster, shard },
      loggers,
      this.#effects,
      ({ header }) => this.visited.push(header.offset + header.totalLength),
      (segment) => this.ended.push(segment.zone),
    );
  }

  start(...segments: readonly Segment[]): void {
    this.reader.start(segments);
    this.#take();
  }

  /** The request that waits for an answer. */
  get open(): LogRead {
    const request = this.requests.at(-1);
    assert.ok(request, 'something is asked for');
    return request;
  }

  answer(bytes: Uint8Array | undefined, request = this.open): void {
    this.reader.answer(request, bytes);
    this.#take();
  }

  retry(): void {
    this.reader.retry();
    this.#take();
  }

  #take(): void {
    for (const effect of this.#effects.splice(0)) {
      if (effect.effect === 'read-log') this.requests.push(effect.request);
      if (effect.effect === 'note') this.notes.push(`${effect.text}: ${effect.fields['problem']}`);
    }
  }
}

function upLoggers(count: number): Loggers {
  const loggers = new Loggers();
  for (let number = 0; number < count; number++) loggers.up(loggerName(number), testInstance, 1, millis(0));
  return loggers;
}

const cut = (bytes: Buffer, { offset, length }: LogRead): Buffer => bytes.subarray(offset, offset + length);
const three = [0, 1, 2].map(loggerName);
const headerBytes = zoneHeaderLength(1);

describe('a stretch of a zone', () => {
  test('is asked for at once when it is short, and given batch by batch', () => {
    const zone = new Zone([100, 200, 300]);
    const reading = new Reading(zone);
    reading.start(zone.segment(three));
    assert.equal(reading.reader.state, 'reading');
    assert.equal(reading.open.length, zone.bytes.length);
    assert.equal(reading.open.reader, 'heal');
    reading.answer(cut(zone.bytes, reading.open));
    assert.deepEqual(reading.visited, zone.ends);
    assert.deepEqual([reading.reader.state, reading.reader.position], ['done', zone.bytes.length]);
    assert.equal(reading.requests.length, 1);
  });

  test('may begin and end at any batch', () => {
    const zone = new Zone([100, 200, 300, 400]);
    const reading = new Reading(zone);
    reading.start(zone.segment(three, zone.ends[0], zone.ends[2]));
    reading.answer(cut(zone.bytes, reading.open));
    assert.deepEqual(reading.visited, zone.ends.slice(1, 3));
    assert.equal(reading.reader.state, 'done');
  });

  test('is read in pieces when it is long, also when a single batch is longer than a piece', () => {
    const zone = new Zone([600_000, 600_000, 3_000_000, 100]);
    const reading = new Reading(zone);
    reading.start(zone.segment(three));
    while (reading.reader.state === 'reading') reading.answer(cut(zone.bytes, reading.open));
    assert.equal(reading.reader.state, 'done');
    assert.deepEqual(reading.visited, zone.ends);
    assert.deepEqual(reading.notes, []);
    assert.ok(reading.requests.length > 2 && reading.requests.length < 10, `${reading.requests.length} requests`);
  });

  test('that holds a header alone ends without a batch', () => {
    const zone = new Zone([100]);
    const reading = new Reading(zone);
    reading.start(zone.segment(three, 0, headerBytes));
    reading.answer(cut(zone.bytes, reading.open));
    assert.deepEqual([reading.visited, reading.ended, reading.reader.state], [[], [1], 'done']);
  });

  test('of nothing is nothing to read', () => {
    const zone = new Zone([100]);
    const reading = new Reading(zone);
    reading.start(zone.segment(three, 164, 164));
    assert.deepEqual([reading.requests, reading.reader.state], [[], 'done']);
  });
});

test('stretches are read one after another, each ended before the next begins', () => {
  const first = new Zone([100, 200], 1);
  const second = new Zone([300], 2);
  const reading = new Reading(first);
  reading.start(first.segment(three), second.segment(three));
  reading.answer(cut(first.bytes, reading.open));
  assert.deepEqual(reading.ended, [1]);
  assert.equal(reading.open.zone, 2);
  reading.answer(cut(second.bytes, reading.open));
  assert.deepEqual(reading.ended, [1, 2]);
  assert.deepEqual(reading.visited, [...first.ends, ...second.ends]);
});

describe('a holder that is no help', () => {
  const zone = new Zone([100, 200, 300]);
  const damaged = Buffer.from(zone.bytes);
  damaged.writeUInt8(damaged.readUInt8((zone.ends[1] ?? 0) - 10) ^ 1, (zone.ends[1] ?? 0) - 10);

  test('S9 is passed over from the place of the damage on, and named', () => {
    const reading = new Reading(zone);
    reading.start(zone.segment(three));
    assert.equal(reading.open.logger, three[0]);
    reading.answer(cut(damaged, reading.open));
    assert.deepEqual(reading.visited, zone.ends.slice(0, 1));
    assert.deepEqual([...reading.reader.failed], [three[0]]);
    assert.deepEqual([reading.open.logger, reading.open.offset], [three[1], zone.ends[0]]);
    assert.match(reading.notes[0] ?? '', /^log not read: .*checksum/);
    reading.answer(cut(zone.bytes, reading.open));
    assert.deepEqual(reading.visited, zone.ends);
  });

  test('is asked again where a batch of another one was good', () => {
    const reading = new Reading(new Zone([700_000, 700_000]));
    const long = new Zone([700_000, 700_000]);
    reading.start(long.segment(three));
    reading.answer(undefined);
    assert.equal(reading.open.logger, three[1]);
    reading.answer(cut(long.bytes, reading.open));
    assert.equal(reading.open.logger, three[0], 'the first is good enough for the next batch');
  });

  test('does not answer, or with too little', () => {
    const reading = new Reading(zone);
    reading.start(zone.segment(three));
    reading.answer(undefined);
    reading.answer(zone.bytes.subarray(0, zone.bytes.length - 1));
    reading.answer(cut(zone.bytes, reading.open));
    assert.deepEqual(reading.notes, ['log not read: no answer', 'log not read: too few bytes']);
    assert.equal(reading.reader.state, 'done');
  });

  test('S16 gives another zone', () => {
    const other = new Zone([100, 200, 300], 2);
    const reading = new Reading(zone);
    reading.start(zone.segment(three));
    reading.answer(cut(other.bytes, reading.open));
    assert.deepEqual([reading.visited, reading.open.logger], [[], three[1]]);
    const header = new Reading(zone);
    header.start(zone.segment(three, 0, headerBytes));
    header.answer(cut(other.bytes, header.open));
    assert.equal(header.open.logger, three[1], 'whose header alone is asked for');
  });

  test('is not asked while it is away', () => {
    const loggers = upLoggers(3);
    loggers.down(loggerName(0), millis(0));
    const reading = new Reading(zone, loggers);
    reading.start(zone.segment(three));
    assert.equal(reading.open.logger, three[1]);
  });

  test('and no other: the reader is stuck until all are tried again', () => {
    const reading = new Reading(zone);
    reading.start(zone.segment(three.slice(0, 2)));
    reading.answer(undefined);
    reading.answer(undefined);
    assert.equal(reading.reader.state, 'stuck');
    reading.retry();
    assert.deepEqual([reading.reader.state, reading.open.logger], ['reading', three[0]]);
    reading.answer(cut(zone.bytes, reading.open));
    assert.equal(reading.reader.state, 'done');
  });
});

test("a stretch that ends within a batch is nobody's to give", () => {
  const zone = new Zone([100, 200]);
  const reading = new Reading(zone);
  reading.start(zone.segment(three.slice(0, 1), 0, (zone.ends[1] ?? 0) - 1));
  reading.answer(cut(zone.bytes, reading.open));
  assert.deepEqual([reading.visited, reading.reader.state], [zone.ends.slice(0, 1), 'stuck']);
  assert.match(reading.notes[0] ?? '', /crosses the sealed length/);
  reading.retry();
  reading.answer(zone.bytes.subarray(reading.open.offset));
  assert.deepEqual(
    [reading.visited, reading.reader.state],
    [zone.ends.slice(0, 1), 'stuck'],
    'nor with more than asked',
  );
});

test('answers of an earlier stretch count for nothing', () => {
  const zone = new Zone([100, 200]);
  const reading = new Reading(zone);
  reading.start(zone.segment(three));
  const earlier = reading.open;
  reading.reader.stop();
  assert.equal(reading.reader.state, 'idle');
  reading.answer(cut(zone.bytes, earlier), earlier);
  reading.start(zone.segment(three, zone.ends[0]));
  reading.answer(cut(zone.bytes, earlier), earlier);
  assert.deepEqual([reading.visited, reading.notes], [[], []]);
  reading.answer(cut(zone.bytes, reading.open));
  assert.deepEqual(reading.visited, zone.ends.slice(1));
});

test('S14 every batch is given once, in order, as long as somebody has it, whoever fails where', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(sizes, fc.array(fc.boolean(), { maxLength: 40 }), (valueBytes, fails) => {
      const zone = new Zone(valueBytes);
      const reading = new Reading(zone);
      reading.start(zone.segment(three));
      for (let step = 0; reading.reader.state !== 'done'; step++) {
        assert.ok(step < 200, 'it comes to an end');
        if (reading.reader.state === 'stuck') reading.retry();
        else reading.answer(fails[step] === true ? undefined : cut(zone.bytes, reading.open));
      }
      assert.deepEqual(reading.visited, zone.ends);
      assert.deepEqual(reading.ended, [1]);
    }),
    { numRuns: 30 },
  );
});
