/** A small zone with every kind of record and every flag: what the golden files of format 1 were recorded from. */
import type { ZonePlace } from '../../src/codec/log-format.ts';
import { batchLayout, finishBatch } from '../../src/codec/log-batch.ts';
import { encodeRecord, encodeZoneHeader, recordKind, recordLength, zoneSeed } from '../../src/codec/log-format.ts';
import type { RecordInput } from '../../src/codec/log-format.ts';
import {
  clientId,
  epoch,
  instanceId,
  lba,
  millis,
  requestNumber,
  shardId,
  uuid,
  version,
  zoneId,
} from '../../src/base/ids.ts';

export const place: ZonePlace = {
  cluster: uuid('00112233445566778899aabbccddeeff'),
  shard: shardId(5),
  zone: zoneId(2 ** 33 + 7),
  epoch: epoch(2 ** 34 + 9),
  instance: instanceId('0123456789abcdef'),
};
export const zoneSize = 256 * 1024;
export const seed = zoneSeed(place);
const time = millis(1_763_980_000_123);

function record(
  kind: RecordInput['kind'],
  key: string,
  value: Uint8Array,
  more: Partial<RecordInput> = {},
): RecordInput {
  const keyBytes = Buffer.from(key);
  return {
    kind,
    source: Buffer.concat([keyBytes, value]),
    keyStart: 0,
    keyLength: keyBytes.length,
    valueStart: keyBytes.length,
    valueLength: value.length,
    client: clientId(0),
    number: requestNumber(0),
    firstIncomplete: requestNumber(0),
    ...more,
  };
}

const numbered = {
  client: clientId(2 ** 40 + 1),
  number: requestNumber(2 ** 35 + 12),
  firstIncomplete: requestNumber(2 ** 35 + 2),
};

export const batches: readonly (readonly RecordInput[])[] = [
  [
    record(recordKind.put, 'plain', Buffer.from('value')),
    record(recordKind.put, 'empty value', Buffer.alloc(0), numbered),
    record(recordKind.put, 'moved', Buffer.from('m'), { version: version(2 ** 45 + 3) }),
    record(recordKind.put, 'expires', Buffer.from('e'), { expiresAt: millis(1_763_999_999_999) }),
    record(recordKind.put, 'all', Buffer.from('a'), {
      ...numbered,
      version: version(77),
      expiresAt: millis(1),
      previous: lba(2 ** 44 + 5),
      groupContinues: true,
      parts: true,
      reply: Buffer.from('reply'),
    }),
    record(recordKind.put, 'after', Buffer.from('b'), { previous: lba(0) }),
    record(recordKind.put, 'grouped', Buffer.from('g'), { groupContinues: true }),
    record(recordKind.put, 'in parts', Buffer.from('p'), { parts: true }),
    record(recordKind.delete, 'gone', Buffer.alloc(0), numbered),
    record(recordKind.refusal, 'refused', Buffer.alloc(0), { ...numbered, reply: Buffer.alloc(0) }),
    record(recordKind.floor, '\x01\x02\x03\x04\x05\0\0\0', Buffer.alloc(0)),
    record(recordKind.time, '', Buffer.alloc(0)),
    record(recordKind.lost, 'cut off', Buffer.alloc(0)),
  ],
  [record(recordKind.put, 'large', Buffer.from(Array.from({ length: 9_000 }, (_, index) => (index * 7 + 3) % 251)))],
  [record(recordKind.put, 'last', Buffer.from('x'.repeat(100)))],
];

/** The whole zone. Each batch says that the ones before are committed. */
export function goldenZone(alignment: number): Buffer {
  const pieces = [encodeZoneHeader({ ...place, alignment, zoneSize, createdMs: time })];
  let offset = pieces[0]?.length ?? 0;
  for (const records of batches) {
    const batch = encodeBatch(records, offset, alignment);
    pieces.push(batch);
    offset += batch.length;
  }
  return Buffer.concat(pieces);
}

function encodeBatch(records: readonly RecordInput[], offset: number, alignment: number): Buffer {
  const recordsLength = records.reduce((sum, item) => sum + recordLength(item), 0);
  const { headerLength, totalLength } = batchLayout(offset, recordsLength, alignment);
  const bytes = Buffer.alloc(totalLength);
  let at = headerLength;
  for (const item of records) at = encodeRecord(bytes, at, item, seed, offset + at);
  const header = {
    ...place,
    offset,
    headerLength,
    recordsLength,
    totalLength,
    recordCount: records.length,
    committedLength: offset,
    shardTimeMs: time,
  };
  finishBatch(bytes, 0, header, seed);
  return bytes;
}
