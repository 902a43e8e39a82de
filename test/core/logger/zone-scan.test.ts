import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { limits } from '../../../src/base/limits.ts';
import type { ZoneScan } from '../../../src/core/logger/zone-scan.ts';
import { scanInMemory } from '../../../src/core/logger/scan-window.ts';
import { scanZone } from '../../../src/core/logger/zone-scan.ts';
import { put, ZoneWriter } from '../../logger/zone-writer.ts';

const zoneSize = 1024 * 1024;
const block = limits.blockBytes;

interface Built {
  readonly writer: ZoneWriter;
  readonly bytes: Buffer;
  /** Where each append begins and ends. */
  readonly ends: readonly number[];
}

/** A zone in which each append but the last two knew the ones before as committed. */
function build(alignment: number, sizes: readonly number[]): Built {
  const writer = new ZoneWriter({ alignment, zoneSize });
  const pieces: Uint8Array[] = [];
  const ends: number[] = [];
  for (const size of sizes) {
    writer.committed = ends.at(-2) ?? 0;
    pieces.push(writer.filled(size).bytes);
    ends.push(writer.offset);
  }
  return { writer, bytes: Buffer.concat(pieces), ends };
}

function scan(built: Built, bytes: Buffer, bound = zoneSize): ZoneScan {
  const medium = Buffer.alloc(zoneSize);
  bytes.copy(medium);
  const input = { place: built.writer.place, zoneSize, bound, alignment: built.writer.alignment };
  return scanInMemory(scanZone(input), medium);
}

function brief(result: ZoneScan): unknown {
  return result.kind === 'scanned'
    ? { length: result.length, seen: result.seen, tail: result.tail, batches: result.batches }
    : result;
}

describe('S9 what a scan finds', () => {
  const sizes = [10, 9_000, 100, 20_000, 50];
  for (const alignment of [1, 512, 4096]) {
    const built = build(alignment, sizes);
    const { bytes, ends } = built;
    const end = ends[4] ?? 0;

    test(`alignment ${alignment}: an intact zone is clean, whatever the bound behind it`, () => {
      for (const bound of [end, end + 1, end + 5_000, zoneSize])
        assert.deepEqual(brief(scan(built, bytes, bound)), { length: end, seen: ends[2], tail: 'clean', batches: 5 });
    });

    test(`alignment ${alignment}: whole blocks of unsynced appends missing in any subset is torn, never damaged`, () => {
      // The last two appends were not synced; blocks that begin behind their headers may be missing.
      const start = ends[2] ?? 0;
      const head = start + 64 + 4 * 8;
      fc.assert(
        fc.property(fc.array(fc.nat(8), { minLength: 1, maxLength: 4 }), (blocks) => {
          const changed = Buffer.from(bytes);
          for (const index of blocks) {
            const from = Math.ceil(head / block) * block + index * block;
            const to = Math.min(from + block, ends[3] ?? 0);
            if (from < to) changed.fill(0, from, to);
          }
          const result = scan(built, changed);
          assert.equal(result.kind === 'scanned' && result.tail, changed.equals(bytes) ? 'clean' : 'torn');
          assert.equal(result.kind === 'scanned' && result.length, changed.equals(bytes) ? end : start);
          assert.equal(result.kind === 'scanned' && result.seen, ends[2], 'the header behind counts');
        }),
        { seed: 1, numRuns: 100 },
      );
    });

    test(`alignment ${alignment}: one changed byte anywhere in acknowledged batches is damage, and seen is still found behind it`, () => {
      fc.assert(
        fc.property(fc.nat((ends[3] ?? 1) - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
          const changed = Buffer.from(bytes);
          changed[at] = (changed[at] ?? 0) ^ mask;
          const result = scan(built, changed);
          const before = ends.filter((each) => each <= at).at(-1);
          assert.equal(result.kind === 'scanned' && result.tail, 'damaged');
          assert.equal(result.kind === 'scanned' && result.seen, ends[2]);
          const first = at < alignment || at < 64 ? 0 : Math.max(64, alignment);
          assert.equal(result.kind === 'scanned' && result.length, before ?? first);
        }),
        { seed: 2, numRuns: 150 },
      );
    });
  }

  test('a zone of which nothing survived is clean and empty; one whose header alone is missing is torn', () => {
    const built = build(4096, [10, 10]);
    assert.deepEqual(brief(scan(built, Buffer.alloc(0))), { length: 0, seen: 0, tail: 'clean', batches: 0 });
    const headless = Buffer.from(built.bytes).fill(0, 0, 4096);
    assert.deepEqual(brief(scan(built, headless)), { length: 0, seen: 0, tail: 'torn', batches: 0 });
    const headerOnly = Buffer.from(built.bytes).fill(0, 4096);
    assert.deepEqual(brief(scan(built, headerOnly)), { length: 4096, seen: 0, tail: 'clean', batches: 0 });
  });

  test('a whole batch missing before a good one is torn; what that one knew as committed makes the seal doubtful', () => {
    const built = build(4096, [10, 10, 10, 10]);
    const [first = 0, second = 0, third = 0] = built.ends;
    const inFlight = Buffer.from(built.bytes).fill(0, second, third);
    assert.deepEqual(brief(scan(built, inFlight)), { length: second, seen: second, tail: 'torn', batches: 2 });
    const acknowledged = Buffer.from(built.bytes).fill(0, first, second);
    assert.deepEqual(brief(scan(built, acknowledged)), { length: first, seen: second, tail: 'torn', batches: 1 });
  });

  test('S9 zeros in the sector of a good batch header are damage: a batch within one sector can not be torn', () => {
    const built = build(1, [10, 100]);
    const [first = 0] = built.ends;
    const body = first + 64 + 4;
    const changed = Buffer.from(built.bytes).fill(0, body);
    assert.equal(Math.floor(first / 512), Math.floor((built.bytes.length - 1) / 512), 'one sector holds it');
    assert.deepEqual(brief(scan(built, changed)), { length: first, seen: 0, tail: 'damaged', batches: 1 });
  });

  test('S9 records behind damage are told with their keys, up to where the log ended', () => {
    const writer = new ZoneWriter({ zoneSize });
    const batches = ['a', 'b', 'c', 'd'].map((key) =>
      Buffer.from(writer.next([put(key, Buffer.alloc(9_000, key)), put(`${key}${key}`, Buffer.from('value'))]).bytes),
    );
    const starts = batches.map((_, at) => batches.slice(0, at).reduce((sum, { length }) => sum + length, 0));
    const keysOf = (change: (bytes: Buffer) => void): unknown => {
      const medium = Buffer.alloc(zoneSize);
      Buffer.concat(batches).copy(medium);
      change(medium);
      const result = scanInMemory(scanZone({ place: writer.place, zoneSize, bound: zoneSize, alignment: 1 }), medium);
      if (result.kind !== 'scanned') return result.kind;
      return result.cut?.records.map(({ key }) => Buffer.from(key).toString());
    };
    const value = (at: number): number => (starts[at] ?? 0) + 5_000;
    assert.deepEqual(
      keysOf((bytes) => bytes.fill(1, value(1), value(1) + 900)),
      ['b', 'bb', 'c', 'cc', 'd', 'dd'],
    );
    const header = (at: number): number => (starts[at] ?? 0) + 20;
    assert.deepEqual(
      keysOf((bytes) => bytes.fill(1, header(1), header(1) + 1)),
      ['', 'c', 'cc', 'd', 'dd'],
    );
    const key = (starts[1] ?? 0) + 64 + 4 * 4 + 20;
    assert.deepEqual(
      keysOf((bytes) => bytes.fill(1, key, key + 24)),
      ['', 'c', 'cc', 'd', 'dd'],
      'its head is damaged',
    );
    // c was never whole here, so that nothing from there on was acknowledged.
    const torn = (Math.floor((starts[2] ?? 0) / block) + 1) * block;
    assert.deepEqual(
      keysOf((bytes) => bytes.fill(1, value(1), value(1) + 9).fill(0, torn, torn + block)),
      ['b', 'bb'],
    );
    assert.equal(
      keysOf(() => undefined),
      undefined,
      'a clean tail',
    );
    assert.equal(
      keysOf((bytes) => bytes.fill(0, torn, torn + block)),
      undefined,
      'a torn one',
    );
  });

  test('S16 bytes of another zone are damage', () => {
    const built = build(1, [10, 10]);
    const other = new ZoneWriter({ zone: 2, zoneSize });
    assert.deepEqual(brief(scan(built, Buffer.from(other.filled(10).bytes))), {
      length: 0,
      seen: 0,
      tail: 'damaged',
      batches: 0,
    });
    const behind = Buffer.concat([built.bytes, other.filled(10).bytes]);
    const result = scan(built, behind);
    assert.deepEqual(brief(result), { length: built.bytes.length, seen: 0, tail: 'damaged', batches: 2 });
    assert.equal(result.kind === 'scanned' && result.damage?.offset, built.bytes.length);
  });

  test('what lies beyond the bound is not looked at', () => {
    const built = build(1, [10, 10]);
    const behind = Buffer.concat([built.bytes, Buffer.alloc(100, 1)]);
    assert.equal(
      brief(scan(built, behind, built.bytes.length)) !== undefined &&
        (scan(built, behind, built.bytes.length) as { tail: string }).tail,
      'clean',
    );
    const ranges: number[] = [];
    const generator = scanZone({ place: built.writer.place, zoneSize, bound: built.bytes.length, alignment: 1 });
    for (
      let step = generator.next();
      step.done !== true;
      step = generator.next(behind.subarray(step.value.offset, step.value.offset + step.value.length))
    )
      ranges.push(step.value.offset + step.value.length);
    assert.ok(ranges.every((end) => end <= built.bytes.length));
  });

  test('any bytes give a result, without an exception', () => {
    const built = build(1, [10, 300, 10]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(built.bytes.length - 1), (noise, at) => {
        const changed = Buffer.from(built.bytes);
        changed.set(noise.subarray(0, changed.length - at), at);
        const result = scan(built, changed, 64 * 1024);
        assert.ok(result.kind === 'newer-format' || result.length <= changed.length);
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  test('a batch larger than a chunk, and headers across chunks, are read', () => {
    const big = new ZoneWriter({ zoneSize: 16 * 1024 * 1024 });
    const pieces: Uint8Array[] = [big.filled(1024 * 1024 - 300).bytes];
    for (let count = 0; count < 40; count += 1) pieces.push(big.filled(7).bytes);
    pieces.push(big.filled(3 * 1024 * 1024).bytes, big.filled(7).bytes);
    const medium = Buffer.concat([...pieces, Buffer.alloc(3 * 1024 * 1024)]);
    const input = { place: big.place, zoneSize: big.zoneSize, bound: medium.length, alignment: 1 };
    assert.deepEqual(brief(scanInMemory(scanZone(input), medium)), {
      length: big.offset,
      seen: 0,
      tail: 'clean',
      batches: 43,
    });
    medium[medium.length - 1] = 1;
    assert.deepEqual(brief(scanInMemory(scanZone(input), medium)), {
      length: big.offset,
      seen: 0,
      tail: 'damaged',
      batches: 43,
    });
  });
});
