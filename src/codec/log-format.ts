/**
 * The log format (docs/formats.md): what lies in a zone, byte for byte. All integers are little-endian.
 *
 *   zone    = zone-header batch*
 *   header  = magic:u32 "KVZ1" checksum:u32 format:u16 alignment-log2:u8 0:u8 shard:u32 zone:u48 epoch:u48
 *             cluster:16 bytes zone-size:u32 created:u48(ms since 1970)       58 bytes, zero-filled to 64, then to the alignment
 *   batch   = batch-header block-checksum:u32* record* padding
 *   batch-header =
 *     0  magic:u32 "KVB1"
 *     4  checksum:u32          of bytes 8 .. end of the block checksums, seeded with the place
 *     8  header length:u32     64 + 4 * blocks
 *    12  records length:u32    without padding
 *    16  total length:u32      header, records, padding: a multiple of the alignment
 *    20  record count:u32
 *    24  shard:u32
 *    28  zone:u48   34 epoch:u48
 *    40  offset:u32            of this batch in its zone
 *    44  committed length:u32  of this zone at the owner when this was sent (S9's `seen`)
 *    48  shard time:u48        milliseconds since 1970 (S18)
 *    54  format:u16   56 zero:u64
 *   record  =
 *     0  checksum:u32          of bytes 4 .. end of the record, seeded with the place
 *     4  length:u32            of the whole record
 *     8  kind:u8  9 flags:u8  10 key length:u16  12 value length:u32
 *    16  [version:u64]  when relocated
 *        [expiry:u48 0:u16]  when expires, milliseconds since 1970
 *        [client:u64 number:u64 window:u32]  when numbered; first incomplete number = number - window (S15)
 *        [reply length:u16 reply]  when it carries a reply
 *        key value
 *
 * Place (S16): the seed of every checksum is the CRC-32 of {cluster, shard, zone, epoch} xor the offset in the zone of
 * what it covers, so that right bytes at a wrong place are damage. Two offsets in one zone never have the same seed,
 * and CRC-32 is injective in its seed.
 *
 * When is a record valid: its zone header and batch header are, its checksum is, and it lies below the zone's sealed or
 * committed length.
 */
import { assert } from '../base/assert.ts';
import { aligned, asBuffer, isZero, readU64, writeU64 } from '../base/bytes.ts';
import { checksum } from '../base/checksum.ts';
import type { ClientId, Epoch, Millis, RequestNumber, ShardId, Uuid, Version, ZoneId } from '../base/ids.ts';
import {
  clientId,
  epoch as toEpoch,
  millis,
  requestNumber,
  shardId,
  uuid,
  version as toVersion,
  zoneId,
} from '../base/ids.ts';
import { limits } from '../base/limits.ts';

export const formatVersion = 1;
export const zoneHeaderBytes = 64;
export const batchHeaderBytes = 64;
export const recordHeaderBytes = 16;

const zoneMagic = 0x315a564b; // "KVZ1"
const batchMagic = 0x3142564b; // "KVB1"

/**
 * `floor`: the key is a client id (u64); ids at or below it that are not remembered are forgotten (S15). `time`: only
 * shard time.
 */
export const recordKind = { put: 1, delete: 2, refusal: 3, floor: 4, time: 5 } as const;
export type RecordKind = (typeof recordKind)[keyof typeof recordKind];

export const recordFlag = { relocated: 1, expires: 2, numbered: 4, reply: 8 } as const;
const recordFlagsKnown = 15;

/** Where bytes belong (S16). */
export interface ZonePlace {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
}

/** Whether `a` and `b` name the same place (S16). */
export function samePlace(a: ZonePlace, b: ZonePlace): boolean {
  return a.cluster === b.cluster && a.shard === b.shard && a.zone === b.zone && a.epoch === b.epoch;
}

/** The part of a checksum's seed that all of a zone's bytes share. */
export function zoneSeed(place: ZonePlace): number {
  return checksum(Buffer.from(`${place.cluster}/${place.shard}/${place.zone}/${place.epoch}`, 'latin1'));
}

function writeU48(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUIntLE(value, offset, 6);
}

// --- zone header
// ---------------------------------------------------------------------------------------------------------

export interface ZoneHeader extends ZonePlace {
  readonly alignment: number;
  readonly zoneSize: number;
  readonly createdMs: Millis;
}

/** Length of the zone header on a device of this alignment. */
export function zoneHeaderLength(alignment: number): number {
  return aligned(zoneHeaderBytes, alignment);
}

export function encodeZoneHeader(header: ZoneHeader): Buffer {
  assert(header.zoneSize <= limits.zoneBytesMax, 'zone size fits its field');
  const bytes = Buffer.alloc(zoneHeaderLength(header.alignment));
  bytes.writeUInt32LE(zoneMagic, 0);
  bytes.writeUInt16LE(formatVersion, 8);
  bytes.writeUInt8(Math.log2(header.alignment), 10);
  bytes.writeUInt32LE(header.shard, 12);
  writeU48(bytes, header.zone, 16);
  writeU48(bytes, header.epoch, 22);
  bytes.write(header.cluster, 28, 'hex');
  bytes.writeUInt32LE(header.zoneSize, 44);
  writeU48(bytes, header.createdMs, 48);
  bytes.writeUInt32LE(checksum(bytes.subarray(8)), 4);
  return bytes;
}

/** What stands where something was expected: `untouched` is all zeros, `damaged` says what is wrong. */
export type Unreadable =
  | { readonly kind: 'untouched' }
  | { readonly kind: 'short'; readonly needed: number }
  | { readonly kind: 'newer-format'; readonly format: number }
  | { readonly kind: 'damaged'; readonly reason: string };

export type ZoneHeaderResult =
  | { readonly kind: 'zone'; readonly header: ZoneHeader; readonly length: number }
  | Unreadable;

/** Reads the zone header at the start of `input`. */
export function decodeZoneHeader(input: Uint8Array): ZoneHeaderResult {
  const bytes = asBuffer(input);
  if (bytes.length < zoneHeaderBytes) return { kind: 'short', needed: zoneHeaderBytes };
  if (isZero(bytes.subarray(0, zoneHeaderBytes))) return { kind: 'untouched' };
  if (bytes.readUInt32LE(0) !== zoneMagic) return { kind: 'damaged', reason: 'no zone header: wrong magic' };
  const alignment = 2 ** bytes.readUInt8(10);
  if (alignment > limits.alignmentBytesMax) return { kind: 'damaged', reason: 'zone header: impossible alignment' };
  const length = zoneHeaderLength(alignment);
  if (bytes.length < length) return { kind: 'short', needed: length };
  if (checksum(bytes.subarray(8, length)) !== bytes.readUInt32LE(4))
    return { kind: 'damaged', reason: 'zone header: wrong checksum' };
  // The checksum first: a flipped bit must not pass for a newer format. Newer formats keep the first 12 bytes and what
  // the checksum covers.
  const format = bytes.readUInt16LE(8);
  if (format > formatVersion) return { kind: 'newer-format', format };
  const zone = bytes.readUIntLE(16, 6);
  const epoch = bytes.readUIntLE(22, 6);
  if (zone === 0 || epoch === 0) return { kind: 'damaged', reason: 'zone header: impossible zone or epoch' };
  return {
    kind: 'zone',
    length,
    header: {
      alignment,
      shard: shardId(bytes.readUInt32LE(12)),
      zone: zoneId(zone),
      epoch: toEpoch(epoch),
      cluster: uuid(bytes.toString('hex', 28, 44)),
      zoneSize: bytes.readUInt32LE(44),
      createdMs: millis(bytes.readUIntLE(48, 6)),
    },
  };
}

// --- records
// -------------------------------------------------------------------------------------------------------------

/** A record to be written. Key and value are ranges of `source`, so that the hot path copies each byte once. */
export interface RecordInput {
  readonly kind: RecordKind;
  readonly source: Uint8Array;
  readonly keyStart: number;
  readonly keyLength: number;
  readonly valueStart: number;
  readonly valueLength: number;
  /** Set for a relocated record: its version stays. */
  readonly version?: Version | undefined;
  readonly expiresAt?: Millis | undefined;
  /** 0: not numbered. */
  readonly client: ClientId;
  readonly number: RequestNumber;
  readonly firstIncomplete: RequestNumber;
  readonly reply?: Uint8Array | undefined;
}

/** Bytes that `record` takes in a batch. */
export function recordLength(record: RecordInput): number {
  return (
    recordHeaderBytes +
    (record.version === undefined ? 0 : 8) +
    (record.expiresAt === undefined ? 0 : 8) +
    (record.client === 0 ? 0 : 20) +
    (record.reply === undefined ? 0 : 2 + record.reply.length) +
    record.keyLength +
    record.valueLength
  );
}

/** A record that was read. Key and value are ranges of the bytes it was decoded from. */
export interface DecodedRecord {
  readonly kind: RecordKind;
  /** Of the record, in the bytes given. */
  readonly start: number;
  readonly length: number;
  readonly keyStart: number;
  readonly keyLength: number;
  readonly valueStart: number;
  readonly valueLength: number;
  readonly version: Version | undefined;
  readonly expiresAt: Millis | undefined;
  readonly client: ClientId;
  readonly number: RequestNumber;
  readonly firstIncomplete: RequestNumber;
  readonly replyStart: number;
  readonly replyLength: number;
}

/** Writes `record` at `start` of `out`, for the place `seed` and `offset` in the zone; gives the end. */
export function encodeRecord(out: Buffer, start: number, record: RecordInput, seed: number, offset: number): number {
  let flags = 0;
  let at = start + recordHeaderBytes;
  if (record.version !== undefined) {
    flags |= recordFlag.relocated;
    writeU64(out, record.version, at);
    at += 8;
  }
  if (record.expiresAt !== undefined) {
    flags |= recordFlag.expires;
    writeU48(out, record.expiresAt, at);
    out.writeUInt16LE(0, at + 6);
    at += 8;
  }
  if (record.client !== 0) {
    const window = record.number - record.firstIncomplete;
    assert(window >= 0 && window < 2 ** 32, 'S15 window fits its field');
    flags |= recordFlag.numbered;
    writeU64(out, record.client, at);
    writeU64(out, record.number, at + 8);
    out.writeUInt32LE(window, at + 16);
    at += 20;
  }
  if (record.reply !== undefined) {
    flags |= recordFlag.reply;
    out.writeUInt16LE(record.reply.length, at);
    out.set(record.reply, at + 2);
    at += 2 + record.reply.length;
  }
  const source = asBuffer(record.source);
  source.copy(out, at, record.keyStart, record.keyStart + record.keyLength);
  at += record.keyLength;
  source.copy(out, at, record.valueStart, record.valueStart + record.valueLength);
  at += record.valueLength;
  out.writeUInt32LE(at - start, start + 4);
  out[start + 8] = record.kind;
  out[start + 9] = flags;
  out.writeUInt16LE(record.keyLength, start + 10);
  out.writeUInt32LE(record.valueLength, start + 12);
  out.writeUInt32LE(checksum(out.subarray(start + 4, at), (seed ^ offset) >>> 0), start);
  return at;
}

export type RecordResult = { readonly kind: 'record'; readonly record: DecodedRecord } | Unreadable;

/**
 * Decodes the record at `start` and checks its checksum for the place (`seed`, `offset`). `headOnly`: the value is not
 * there (catch-up entries carry records without values) and the checksum, which covers it, is not checked.
 */
export function decodeRecord(
  bytes: Buffer,
  start: number,
  seed: number,
  offset: number,
  headOnly = false,
): RecordResult {
  if (bytes.length < start + recordHeaderBytes) return { kind: 'short', needed: recordHeaderBytes };
  const length = bytes.readUInt32LE(start + 4);
  const kind = bytes.readUInt8(start + 8);
  const flags = bytes.readUInt8(start + 9);
  const keyLength = bytes.readUInt16LE(start + 10);
  const valueLength = bytes.readUInt32LE(start + 12);
  if (kind < recordKind.put || kind > recordKind.time || (flags & ~recordFlagsKnown) !== 0)
    return { kind: 'damaged', reason: 'record: unknown kind or flags' };
  if (keyLength > limits.keyBytesMax || valueLength > limits.valueBytesMax)
    return { kind: 'damaged', reason: 'record: impossible lengths' };
  const end = start + length - (headOnly ? valueLength : 0);
  if (length < recordHeaderBytes || bytes.length < end) return { kind: 'short', needed: length };
  if (!headOnly && checksum(bytes.subarray(start + 4, end), (seed ^ offset) >>> 0) !== bytes.readUInt32LE(start)) {
    return { kind: 'damaged', reason: 'record: wrong checksum' };
  }
  return decodeFields(bytes, start, length, kind as RecordKind, flags, keyLength, valueLength, end, headOnly);
}

function decodeFields(
  bytes: Buffer,
  start: number,
  length: number,
  kind: RecordKind,
  flags: number,
  keyLength: number,
  valueLength: number,
  end: number,
  headOnly: boolean,
): RecordResult {
  const inconsistent: Unreadable = { kind: 'damaged', reason: 'record: lengths do not add up' };
  let at = start + recordHeaderBytes;
  const fixed =
    ((flags & recordFlag.relocated) !== 0 ? 8 : 0) +
    ((flags & recordFlag.expires) !== 0 ? 8 : 0) +
    ((flags & recordFlag.numbered) !== 0 ? 20 : 0) +
    ((flags & recordFlag.reply) !== 0 ? 2 : 0);
  if (at + fixed > end) return inconsistent;
  let version: Version | undefined;
  let expiresAt: Millis | undefined;
  let client = 0;
  let number = 0;
  let window = 0;
  if ((flags & recordFlag.relocated) !== 0) {
    const value = readU64(bytes, at);
    if (Number.isNaN(value)) return inconsistent;
    version = toVersion(value);
    at += 8;
  }
  if ((flags & recordFlag.expires) !== 0) {
    expiresAt = millis(bytes.readUIntLE(at, 6));
    at += 8;
  }
  if ((flags & recordFlag.numbered) !== 0) {
    client = readU64(bytes, at);
    number = readU64(bytes, at + 8);
    window = bytes.readUInt32LE(at + 16);
    if (Number.isNaN(client) || Number.isNaN(number) || window > number) return inconsistent;
    at += 20;
  }
  let replyStart = at;
  let replyLength = 0;
  if ((flags & recordFlag.reply) !== 0) {
    replyLength = bytes.readUInt16LE(at);
    replyStart = at + 2;
    at = replyStart + replyLength;
  }
  if (at + keyLength + (headOnly ? 0 : valueLength) !== end) return inconsistent;
  return {
    kind: 'record',
    record: {
      kind,
      start,
      length,
      keyStart: at,
      keyLength,
      valueStart: at + keyLength,
      valueLength,
      version,
      expiresAt,
      client: clientId(client),
      number: requestNumber(number),
      firstIncomplete: requestNumber(number - window),
      replyStart,
      replyLength,
    },
  };
}

// --- batches
// -------------------------------------------------------------------------------------------------------------

export interface BatchHeader {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  /** In the zone. */
  readonly offset: number;
  readonly headerLength: number;
  readonly recordsLength: number;
  readonly totalLength: number;
  readonly recordCount: number;
  readonly committedLength: number;
  readonly shardTimeMs: Millis;
}

/** Blocks of the zone that [start, end) touches. */
function blocksTouched(start: number, end: number): number {
  return end <= start ? 0 : Math.floor((end - 1) / limits.blockBytes) - Math.floor(start / limits.blockBytes) + 1;
}

/**
 * Header and total length of a batch at `offset` with `recordsLength` bytes of records. The header's length depends on
 * how many blocks its body touches.
 */
export function batchLayout(
  offset: number,
  recordsLength: number,
  alignment: number,
): { readonly headerLength: number; readonly totalLength: number } {
  let blocks = blocksTouched(0, recordsLength);
  for (;;) {
    const headerLength = batchHeaderBytes + 4 * blocks;
    const totalLength = aligned(headerLength + recordsLength, alignment);
    const touched = blocksTouched(offset + headerLength, offset + totalLength);
    if (touched <= blocks) return { headerLength, totalLength };
    blocks = touched;
  }
}

/**
 * Fills in the batch header at `start` of `out`, where header, records and zeroed padding already have their room:
 * block checksums over everything after the header, then the header's own.
 */
export function finishBatch(out: Buffer, start: number, header: BatchHeader, seed: number): void {
  const { headerLength, totalLength, offset } = header;
  out.writeUInt32LE(batchMagic, start);
  out.writeUInt32LE(headerLength, start + 8);
  out.writeUInt32LE(header.recordsLength, start + 12);
  out.writeUInt32LE(totalLength, start + 16);
  out.writeUInt32LE(header.recordCount, start + 20);
  out.writeUInt32LE(header.shard, start + 24);
  writeU48(out, header.zone, start + 28);
  writeU48(out, header.epoch, start + 34);
  out.writeUInt32LE(offset, start + 40);
  out.writeUInt32LE(header.committedLength, start + 44);
  writeU48(out, header.shardTimeMs, start + 48);
  out.writeUInt16LE(formatVersion, start + 54);
  out.fill(0, start + 56, start + headerLength);
  let slot = start + batchHeaderBytes;
  for (let at = headerLength; at < totalLength; slot += 4) {
    const end = Math.min(totalLength, nextBlock(offset + at) - offset);
    out.writeUInt32LE(checksum(out.subarray(start + at, start + end), (seed ^ (offset + at)) >>> 0), slot);
    at = end;
  }
  assert(slot <= start + headerLength, 'the block checksums fit the header');
  out.writeUInt32LE(checksum(out.subarray(start + 8, start + headerLength), (seed ^ offset) >>> 0), start + 4);
}

function nextBlock(offset: number): number {
  return (Math.floor(offset / limits.blockBytes) + 1) * limits.blockBytes;
}

export type BatchHeaderResult = { readonly kind: 'batch'; readonly header: BatchHeader } | Unreadable;

/** Reads and checks the batch header at `start` of `bytes`, which lies at `offset` of the zone that `place` names. */
export function decodeBatchHeader(
  bytes: Buffer,
  start: number,
  offset: number,
  place: ZonePlace,
  seed: number,
): BatchHeaderResult {
  if (bytes.length < start + batchHeaderBytes) return { kind: 'short', needed: batchHeaderBytes };
  if (isZero(bytes.subarray(start, start + batchHeaderBytes))) return { kind: 'untouched' };
  if (bytes.readUInt32LE(start) !== batchMagic) return { kind: 'damaged', reason: 'no batch header: wrong magic' };
  const headerLength = bytes.readUInt32LE(start + 8);
  const totalLength = bytes.readUInt32LE(start + 16);
  const recordsLength = bytes.readUInt32LE(start + 12);
  if (
    headerLength < batchHeaderBytes ||
    headerLength % 4 !== 0 ||
    headerLength + recordsLength > totalLength ||
    totalLength > limits.zoneBytesMax ||
    headerLength > batchHeaderBytes + 4 * (totalLength / limits.blockBytes + 2)
  ) {
    return { kind: 'damaged', reason: 'batch header: lengths do not add up' };
  }
  if (bytes.length < start + headerLength) return { kind: 'short', needed: headerLength };
  if (
    checksum(bytes.subarray(start + 8, start + headerLength), (seed ^ offset) >>> 0) !== bytes.readUInt32LE(start + 4)
  ) {
    return { kind: 'damaged', reason: 'batch header: wrong checksum' };
  }
  const format = bytes.readUInt16LE(start + 54);
  if (format > formatVersion) return { kind: 'newer-format', format };
  const shard = bytes.readUInt32LE(start + 24);
  const zone = bytes.readUIntLE(start + 28, 6);
  const epoch = bytes.readUIntLE(start + 34, 6);
  if (
    shard !== place.shard ||
    zone !== place.zone ||
    epoch !== place.epoch ||
    bytes.readUInt32LE(start + 40) !== offset
  ) {
    return { kind: 'damaged', reason: 'batch header: belongs to another place' };
  }
  if (headerLength < batchHeaderBytes + 4 * blocksTouched(offset + headerLength, offset + totalLength)) {
    return { kind: 'damaged', reason: 'batch header: no room for the block checksums' };
  }
  return {
    kind: 'batch',
    header: {
      shard: place.shard,
      zone: place.zone,
      epoch: place.epoch,
      offset,
      headerLength,
      recordsLength,
      totalLength,
      recordCount: bytes.readUInt32LE(start + 20),
      committedLength: bytes.readUInt32LE(start + 44),
      shardTimeMs: millis(bytes.readUIntLE(start + 48, 6)),
    },
  };
}

/**
 * What the blocks of a batch with a good header look like. `torn`: some were never written, the others are good (S9:
 * not doubtful).
 */
export type BatchBody = 'good' | 'torn' | 'damaged';

/**
 * REQUIRES: the whole batch lies in `bytes` from `start` (what is past the end of the medium may be given as zeros).
 */
export function checkBatchBody(bytes: Buffer, start: number, header: BatchHeader, seed: number): BatchBody {
  let missing = false;
  let slot = start + batchHeaderBytes;
  for (let at = header.headerLength; at < header.totalLength; slot += 4) {
    const end = Math.min(header.totalLength, nextBlock(header.offset + at) - header.offset);
    const block = bytes.subarray(start + at, start + end);
    if (checksum(block, (seed ^ (header.offset + at)) >>> 0) !== bytes.readUInt32LE(slot)) {
      if (!isZero(block)) return 'damaged';
      missing = true;
    }
    at = end;
  }
  return missing ? 'torn' : 'good';
}
