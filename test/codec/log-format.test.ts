/** The log format: golden bytes, and that nothing that was changed, cut or moved passes for what was written. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isZero } from '../../src/base/bytes.ts';
import { clientId, epoch, instanceId, millis, requestNumber, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import { checksum } from '../../src/base/checksum.ts';
import { limits } from '../../src/base/limits.ts';
import type { DecodedRecord, ZonePlace } from '../../src/codec/log-format.ts';
import {
  batchHeaderBytes,
  batchLayout,
  checkBatchBody,
  decodeBatchHeader,
  finishBatch,
} from '../../src/codec/log-batch.ts';
import {
  decodeRecord,
  decodeRecordHead,
  decodeZoneHeader,
  encodeRecord,
  encodeZoneHeader,
  recordKind,
  recordLength,
  zoneSeed,
} from '../../src/codec/log-format.ts';
import { repositoryRoot } from '../support/repository.ts';
import { batches, goldenZone, place, seed, zoneSize } from './golden-zone.ts';

const alignments = [1, 512, 4096];

function golden(alignment: number): Buffer {
  return readFileSync(join(repositoryRoot, 'test', 'fixtures', 'log-v1', `zone-alignment-${alignment}.bin`));
}

/** Everything that is good from the zone's start on: the records of whole batches. */
function readZone(bytes: Buffer, at: ZonePlace = place): { readonly end: number; readonly records: DecodedRecord[] } {
  const ownSeed = zoneSeed(at);
  const head = decodeZoneHeader(bytes);
  if (
    head.kind !== 'zone' ||
    head.header.shard !== at.shard ||
    head.header.zone !== at.zone ||
    head.header.epoch !== at.epoch ||
    head.header.instance !== at.instance ||
    head.header.cluster !== at.cluster
  ) {
    return { end: 0, records: [] };
  }
  const records: DecodedRecord[] = [];
  let end = head.length;
  for (;;) {
    const batch = decodeBatchHeader(bytes, end, end, at, ownSeed);
    if (
      batch.kind !== 'batch' ||
      end + batch.header.totalLength > bytes.length ||
      checkBatchBody(bytes, end, batch.header, ownSeed) !== 'good'
    )
      return { end, records };
    let position = end + batch.header.headerLength;
    for (let left = batch.header.recordCount; left > 0; left -= 1) {
      const record = decodeRecord(bytes, position, ownSeed, position);
      assert.equal(record.kind, 'record', 'a record of a good batch is good');
      if (record.kind !== 'record') break;
      records.push(record.record);
      position += record.record.length;
    }
    end += batch.header.totalLength;
  }
}

describe('golden files of format 1', () => {
  for (const alignment of alignments) {
    test(`alignment ${alignment}: today's encoder writes the recorded bytes`, () => {
      assert.ok(goldenZone(alignment).equals(golden(alignment)));
    });

    test(`alignment ${alignment}: today's decoder reads the recorded bytes`, () => {
      const bytes = golden(alignment);
      const { end, records } = readZone(bytes);
      assert.equal(end, bytes.length);
      const wanted = batches.flat();
      assert.equal(records.length, wanted.length);
      for (const [index, record] of records.entries()) {
        const input = wanted[index];
        assert.ok(input);
        assert.deepEqual(
          {
            kind: record.kind,
            version: record.version,
            expiresAt: record.expiresAt,
            previous: record.previous,
            groupContinues: record.groupContinues,
            parts: record.parts,
            client: record.client,
            number: record.number,
            firstIncomplete: record.firstIncomplete,
            length: record.length,
            key: bytes.subarray(record.keyStart, record.keyStart + record.keyLength).toString(),
            value: bytes.subarray(record.valueStart, record.valueStart + record.valueLength).toString('hex'),
            reply: bytes.subarray(record.replyStart, record.replyStart + record.replyLength).toString(),
          },
          {
            kind: input.kind,
            version: input.version,
            expiresAt: input.expiresAt,
            previous: input.previous,
            groupContinues: input.groupContinues ?? false,
            parts: input.parts ?? false,
            client: input.client,
            number: input.number,
            firstIncomplete: input.firstIncomplete,
            length: recordLength(input),
            key: Buffer.from(input.source)
              .subarray(input.keyStart, input.keyStart + input.keyLength)
              .toString(),
            value: Buffer.from(input.source)
              .subarray(input.valueStart, input.valueStart + input.valueLength)
              .toString('hex'),
            reply: Buffer.from(input.reply ?? []).toString(),
          },
        );
      }
    });
  }

  test('the zone header says what it was given', () => {
    const result = decodeZoneHeader(golden(512));
    assert.equal(result.kind, 'zone');
    if (result.kind !== 'zone') return;
    assert.deepEqual(result.header, { ...place, alignment: 512, zoneSize, createdMs: 1_763_980_000_123 });
    assert.equal(result.length, 512);
  });
});

test('the worked example of docs/formats.md is what the encoder writes', () => {
  const at: ZonePlace = {
    cluster: place.cluster,
    shard: shardId(0),
    zone: zoneId(1),
    epoch: epoch(1),
    instance: instanceId('0f1e2d3c4b5a6978'),
  };
  const timeMs = millis(1_763_980_000_123);
  const ownSeed = zoneSeed(at);
  const record = {
    kind: recordKind.put,
    source: Buffer.from('greetinghello'),
    keyStart: 0,
    keyLength: 8,
    valueStart: 8,
    valueLength: 5,
    client: clientId(7),
    number: requestNumber(3),
    firstIncomplete: requestNumber(2),
  };
  const recordsLength = recordLength(record);
  const { headerLength, totalLength } = batchLayout(64, recordsLength, 1);
  const batch = Buffer.alloc(totalLength);
  encodeRecord(batch, headerLength, record, ownSeed, 64 + headerLength);
  const lengths = { headerLength, recordsLength, totalLength, recordCount: 1, committedLength: 0 };
  finishBatch(batch, 0, { ...at, offset: 64, ...lengths, shardTimeMs: timeMs }, ownSeed);
  const head = encodeZoneHeader({ ...at, alignment: 1, zoneSize: 256 * 1024 * 1024, createdMs: timeMs });

  const docs = readFileSync(join(repositoryRoot, 'docs', 'formats.md'), 'utf8');
  const dump = docs.slice(docs.indexOf('### Worked example'));
  const lines = [...dump.matchAll(/^ *(\d+) ((?:[0-9a-f]{2}[ |]){1,16})/gm)];
  assert.ok(dump.includes(`seed \`${ownSeed.toString(16)}\``), 'the seed');
  assert.deepEqual(
    lines.map(([, offset = '', hex = '']) => [Number(offset), hex.replaceAll(/[ |]/g, '')]),
    Array.from({ length: lines.length }, (_, index) => [
      index * 16,
      Buffer.concat([head, batch]).toString('hex', index * 16, index * 16 + 16),
    ]),
  );
  assert.equal(lines.length, Math.ceil((head.length + batch.length) / 16));
});

describe('S16 what was changed is noticed', () => {
  test('every single bit flipped in a small zone: nothing from the batch with the bit on is read', () => {
    const original = golden(1);
    const starts = batchStarts(original);
    const bytes = Buffer.from(original);
    for (let bit = 0; bit < original.length * 8; bit += 1) {
      const at = Math.floor(bit / 8);
      // The large batch is one long value: one bit of each of its bytes does.
      if (at > 1_000 && at < original.length - 400 && bit % 8 !== at % 8) continue;
      bytes[at] = (original[at] ?? 0) ^ (1 << (bit % 8));
      const batch = starts.filter((start) => start <= at).at(-1) ?? 0;
      assert.equal(readZone(bytes).end, batch, `bit ${bit % 8} of byte ${at}`);
      bytes[at] = original[at] ?? 0;
    }
  });

  test('every single bit of padding flipped is noticed', () => {
    const original = golden(512);
    const starts = batchStarts(original);
    const bytes = Buffer.from(original);
    for (const [index, start] of starts.entries()) {
      const end = starts[index + 1] ?? original.length;
      for (let at = end - 1; at >= start && original[at] === 0; at -= 1) {
        bytes[at] = 1 << (at % 8);
        assert.equal(readZone(bytes).end, start, `byte ${at}`);
        bytes[at] = 0;
      }
    }
  });

  test('every single bit of a record flipped is noticed by the record itself', () => {
    const bytes = golden(1);
    const { records } = readZone(bytes);
    for (const record of records.slice(0, batches[0]?.length)) {
      for (let bit = 0; bit < record.length * 8; bit += 1) {
        const changed = Buffer.from(bytes);
        const at = record.start + Math.floor(bit / 8);
        changed[at] = (changed[at] ?? 0) ^ (1 << (bit % 8));
        assert.notEqual(
          decodeRecord(changed, record.start, seed, record.start).kind,
          'record',
          `bit ${bit} of the record at ${record.start}`,
        );
      }
    }
  });

  test('every single bit of a record: the head is good exactly when none of its own was flipped', () => {
    const bytes = golden(1);
    const { records } = readZone(bytes);
    for (const record of records.slice(0, batches[0]?.length)) {
      for (let bit = 0; bit < record.length * 8; bit += 1) {
        const changed = Buffer.from(bytes);
        const at = record.start + Math.floor(bit / 8);
        changed[at] = (changed[at] ?? 0) ^ (1 << (bit % 8));
        // The first four bytes are the checksum of the whole record.
        const isOfHead = at >= record.start + 4 && at < record.valueStart;
        const { kind } = decodeRecordHead(changed, record.start, seed, record.start);
        assert.equal(kind === 'record', !isOfHead, `bit ${bit} of the record at ${record.start}`);
      }
    }
  });

  test('bytes exchanged, zeroed or repeated in pieces of any length are noticed', () => {
    const original = golden(1);
    fc.assert(
      fc.property(
        fc.nat(original.length - 1),
        fc.nat(original.length - 1),
        fc.integer({ min: 1, max: 600 }),
        (from, to, length) => {
          const bytes = Buffer.from(original);
          bytes.copy(bytes, to, from, Math.min(from + length, original.length));
          const firstChange = original.findIndex((byte, index) => byte !== bytes[index]);
          const batch =
            firstChange < 0
              ? original.length
              : (batchStarts(original)
                  .filter((start) => start <= firstChange)
                  .at(-1) ?? 0);
          assert.equal(readZone(bytes).end, batch);
        },
      ),
      { seed: 1, numRuns: 2_000 },
    );
  });
});

describe('S16 right bytes at a wrong place are damage', () => {
  const bytes = golden(4096);
  const start = batchStarts(bytes)[1] ?? 0;

  test('a batch is good at its own offset only', () => {
    for (let offset = 0; offset < zoneSize; offset += 512) {
      assert.equal(
        decodeBatchHeader(bytes, start, offset, place, seed).kind === 'batch',
        offset === start,
        `offset ${offset}`,
      );
    }
  });

  const elsewhere: readonly (readonly [string, Partial<ZonePlace>])[] = [
    ['cluster', { cluster: uuid('f'.repeat(32)) }],
    ['shard', { shard: shardId(6) }],
    ['zone', { zone: zoneId(8) }],
    ['epoch', { epoch: epoch(10) }],
    ['instance', { instance: instanceId('fedcba9876543210') }],
  ];
  for (const [name, change] of elsewhere) {
    test(`a batch and its records are damage in another ${name}`, () => {
      const other = { ...place, ...change };
      assert.equal(decodeBatchHeader(bytes, start, start, other, zoneSeed(other)).kind, 'damaged');
      const header = decodeBatchHeader(bytes, start, start, place, seed);
      assert.equal(header.kind, 'batch');
      if (header.kind !== 'batch') return;
      assert.equal(checkBatchBody(bytes, start, header.header, zoneSeed(other)), 'damaged');
      const record = start + header.header.headerLength;
      assert.equal(decodeRecord(bytes, record, seed, record).kind, 'record');
      assert.equal(decodeRecord(bytes, record, zoneSeed(other), record).kind, 'damaged');
    });
  }

  test('a record is good at its own offset only', () => {
    const small = golden(1);
    const record = readZone(small).records[1];
    assert.ok(record);
    for (let offset = 0; offset < 4096; offset += 1) {
      assert.equal(decodeRecord(small, record.start, seed, offset).kind === 'record', offset === record.start);
    }
  });
});

describe('what was cut', () => {
  for (const alignment of alignments) {
    test(`alignment ${alignment}: every truncation reads as the batches that are whole`, () => {
      const bytes = golden(alignment);
      const ends = [...batchStarts(bytes), bytes.length];
      for (let length = 0; length < bytes.length; length += 1) {
        const wanted = ends.filter((end) => end <= length).at(-1) ?? 0;
        assert.equal(readZone(bytes.subarray(0, length)).end, wanted, `cut at ${length}`);
      }
    });
  }

  test('S9 a batch of which whole blocks are missing is torn, one with a changed block is damaged', () => {
    const bytes = golden(4096);
    const start = batchStarts(bytes)[1] ?? 0;
    const result = decodeBatchHeader(bytes, start, start, place, seed);
    assert.equal(result.kind, 'batch');
    if (result.kind !== 'batch') return;
    const blocks = result.header.totalLength / limits.blockBytes;
    assert.equal(blocks, 3);
    for (let block = 1; block < blocks; block += 1) {
      const missing = Buffer.from(bytes).fill(
        0,
        start + block * limits.blockBytes,
        start + (block + 1) * limits.blockBytes,
      );
      assert.equal(checkBatchBody(missing, start, result.header, seed), 'torn');
      missing.writeUInt8(1, start + block * limits.blockBytes + 77);
      assert.equal(checkBatchBody(missing, start, result.header, seed), 'damaged');
    }
  });

  test('what was never written is untouched, not damaged', () => {
    assert.equal(decodeZoneHeader(Buffer.alloc(4096)).kind, 'untouched');
    assert.equal(decodeBatchHeader(Buffer.alloc(4096), 0, 64, place, seed).kind, 'untouched');
    assert.ok(isZero(Buffer.alloc(200_000)));
    for (const at of [0, 65_535, 65_536, 199_999]) {
      const touched = Buffer.alloc(200_000);
      touched[at] = 1;
      assert.ok(!isZero(touched));
    }
  });

  test('a header that needs more bytes says how many', () => {
    const bytes = golden(4096);
    assert.deepEqual(decodeZoneHeader(bytes.subarray(0, 63)), { kind: 'short', needed: 64 });
    assert.deepEqual(decodeZoneHeader(bytes.subarray(0, 64)), { kind: 'short', needed: 4096 });
    const start = batchStarts(bytes)[1] ?? 0;
    assert.deepEqual(decodeBatchHeader(bytes.subarray(start, start + batchHeaderBytes), 0, start, place, seed), {
      kind: 'short',
      needed: bytes.readUInt32LE(start + 8),
    });
  });
});

describe('versions', () => {
  test('a newer format is told apart from damage, and a flipped bit is not a newer format', () => {
    const bytes = encodeZoneHeader({ ...place, alignment: 1, zoneSize, createdMs: 0 as never });
    bytes.writeUInt16LE(2, 8);
    assert.equal(decodeZoneHeader(bytes).kind, 'damaged');
    bytes.writeUInt32LE(checksum(bytes.subarray(8)), 4);
    assert.deepEqual(decodeZoneHeader(bytes), { kind: 'newer-format', format: 2 });
  });

  test('a header with impossible fields behind a good checksum is damage, not an exception', () => {
    for (const at of [16, 22]) {
      const bytes = encodeZoneHeader({ ...place, alignment: 1, zoneSize, createdMs: 0 as never });
      bytes.fill(0, at, at + 6);
      bytes.writeUInt32LE(checksum(bytes.subarray(8)), 4);
      assert.equal(decodeZoneHeader(bytes).kind, 'damaged');
    }
  });

  test('a batch header without room for its block checksums is damage', () => {
    const bytes = Buffer.alloc(64 * 1024);
    const header = {
      ...place,
      offset: 4096,
      headerLength: batchHeaderBytes,
      recordsLength: 0,
      totalLength: batchHeaderBytes,
      recordCount: 0,
      committedLength: 0,
      shardTimeMs: 0 as never,
    };
    finishBatch(bytes, 0, header, seed);
    bytes.writeUInt32LE(32 * 1024, 16);
    bytes.writeUInt32LE(checksum(bytes.subarray(8, batchHeaderBytes), (seed ^ 4096) >>> 0), 4);
    assert.equal(decodeBatchHeader(bytes, 0, 4096, place, seed).kind, 'damaged');
  });
});

describe('any input', () => {
  test('decoders never throw, whatever the bytes', () => {
    const source = golden(1);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(source.length - 1), fc.boolean(), (noise, at, headOnly) => {
        const bytes = Buffer.from(source);
        bytes.set(noise.subarray(0, Math.min(noise.length, bytes.length - at)), at);
        decodeZoneHeader(noise);
        decodeRecord(Buffer.from(noise), 0, seed, 0, headOnly);
        decodeRecord(bytes, at, seed, at, headOnly);
        decodeRecord(bytes, Math.max(0, at - 8), seed, at, true);
        decodeBatchHeader(bytes, at, at, place, seed);
        decodeBatchHeader(Buffer.from(noise), 0, 0, place, seed);
      }),
      { seed: 2, numRuns: 5_000 },
    );
  });

  test('what is encoded is decoded, for any lengths, alignment and offset', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9_000 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(...alignments),
        fc.nat(20),
        (sizes, alignment, step) => {
          const offset = step * alignment * 3;
          const template = batches[1]?.[0];
          assert.ok(template);
          const records = sizes.map((size) => ({
            ...template,
            valueLength: size,
            valueStart: 0,
            source: Buffer.alloc(9_100, size % 251),
          }));
          const recordsLength = records.reduce((sum, record) => sum + recordLength(record), 0);
          const { headerLength, totalLength } = batchLayout(offset, recordsLength, alignment);
          assert.equal(totalLength % alignment, 0);
          const bytes = Buffer.alloc(totalLength);
          let at = headerLength;
          for (const record of records) at = encodeRecord(bytes, at, record, seed, offset + at);
          const header = {
            ...place,
            offset,
            headerLength,
            recordsLength,
            totalLength,
            recordCount: records.length,
            committedLength: offset,
            shardTimeMs: 5 as never,
          };
          const { cluster, ...wanted } = header;
          finishBatch(bytes, 0, header, seed);
          const result = decodeBatchHeader(bytes, 0, offset, place, seed);
          assert.deepEqual(result, { kind: 'batch', header: wanted });
          assert.equal(checkBatchBody(bytes, 0, header, seed), 'good');
          assert.equal(cluster, place.cluster);
        },
      ),
      { seed: 3, numRuns: 500 },
    );
  });
});

/** Where the batches begin. */
function batchStarts(bytes: Buffer): number[] {
  const head = decodeZoneHeader(bytes);
  const starts: number[] = [];
  let at = head.kind === 'zone' ? head.length : 0;
  while (at < bytes.length) {
    starts.push(at);
    at += bytes.readUInt32LE(at + 16);
  }
  return starts;
}
