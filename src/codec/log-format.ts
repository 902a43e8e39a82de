/**
 * The log format (docs/formats.md): what lies in a zone, byte for byte. Here are places, zone headers and records;
 * batches are in log-batch.ts. All integers are little-endian.
 *
 *   zone    = zone-header batch*
 *   header  = magic:u32 "KVZ1" checksum:u32 format:u16 alignment-log2:u8 0:u8 shard:u32 zone:u48 epoch:u48
 *             cluster:16 bytes zone-size:u32 created:u48(ms since 1970) instance:8 bytes
 *             62 bytes, zero-filled to 64, then to the alignment
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
 *    54  format:u16   56 instance:8 bytes
 *   record  =
 *     0  checksum:u32          of bytes 8 .. end of the record, seeded with the place
 *     4  head checksum:u32     of bytes 8 .. end of the key, seeded alike: the key is known though the value is damaged
 *     8  length:u32            of the whole record
 *    12  kind:u8  13 flags:u8  14 key length:u16  16 value length:u32
 *    20  [version:u64]  when relocated
 *        [expiry:u48 0:u16]  when expires, milliseconds since 1970
 *        [previous:u64]  version of the key before, when previous
 *        [client:u64 number:u64 window:u32]  when numbered; first incomplete number = number - window (S15)
 *        [reply length:u16 reply]  when it carries a reply
 *        key value
 *
 * Place (S16): the seed of every checksum is the CRC-32 of {cluster, shard, zone, epoch, instance} xor the offset in
 * the zone of what it covers, so that right bytes at a wrong place are damage. Two offsets in one zone never have the
 * same seed, and CRC-32 is injective in its seed.
 *
 * When is a record valid: its zone header and batch header are, its checksum is, and it lies below the zone's sealed or
 * committed length.
 */
import { assert } from '../base/assert.ts';
import { aligned, asBuffer, isZero, readU64, writeU48, writeU64 } from '../base/bytes.ts';
import { checksum } from '../base/checksum.ts';
import type {
  ClientId,
  Epoch,
  InstanceId,
  Lba,
  Millis,
  RequestNumber,
  ShardId,
  Uuid,
  Version,
  ZoneId,
} from '../base/ids.ts';
import {
  clientId,
  epoch as toEpoch,
  instanceId,
  lba as toLba,
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
export const recordHeaderBytes = 20;

const zoneMagic = 0x315a564b; // "KVZ1"

/**
 * Kinds of records. `floor`: the key is the id (u64) of a client that is forgotten from here on (S15). `time`: only
 * shard time. `lost`: the newest record of the key was cut off with a damaged end of the log, so that nobody knows its
 * value until it is written again.
 */
export const recordKind = { put: 1, delete: 2, refusal: 3, floor: 4, time: 5, lost: 6 } as const;
export type RecordKind = (typeof recordKind)[keyof typeof recordKind];

/**
 * Flags of a record. Read by every version of this format, and not written yet: `previous` (docs/decisions/0010),
 * `groupContinues` (0011), `parts` (0013).
 */
export const recordFlag = {
  relocated: 1,
  expires: 2,
  numbered: 4,
  reply: 8,
  previous: 16,
  groupContinues: 32,
  parts: 64,
} as const;
const recordFlagsKnown = 127;

/**
 * Process that writes a zone, in one epoch of its shard (S2). Another instance of the same epoch is another writer: the
 * metadata that gave the epoch out twice went back (S4, S20).
 */
export interface Writer {
  readonly epoch: Epoch;
  readonly instance: InstanceId;
}

export function sameWriter(a: Writer, b: Writer): boolean {
  return a.epoch === b.epoch && a.instance === b.instance;
}

/** Place where bytes belong (S16). */
export interface ZonePlace extends Writer {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zone: ZoneId;
}

/** Whether `a` and `b` name the same place (S16). */
export function samePlace(a: ZonePlace, b: ZonePlace): boolean {
  return a.cluster === b.cluster && a.shard === b.shard && a.zone === b.zone && sameWriter(a, b);
}

/** Part of a checksum's seed that all of a zone's bytes share. */
export function zoneSeed(place: ZonePlace): number {
  const { cluster, shard, zone, epoch, instance } = place;
  return checksum(Buffer.from(`${cluster}/${shard}/${zone}/${epoch}/${instance}`, 'latin1'));
}

// --- zone header -----------------------------------------------------------------------------------------------------

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
  bytes.write(header.instance, 54, 'hex');
  bytes.writeUInt32LE(checksum(bytes.subarray(8)), 4);
  return bytes;
}

/** Bytes that are not what was expected there: `untouched` ones are all zeros, `damaged` says what is wrong. */
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
      instance: instanceId(bytes.toString('hex', 54, 62)),
    },
  };
}

// --- records ---------------------------------------------------------------------------------------------------------

/** Record to be written. Key and value are ranges of `source`, so that the hot path copies each byte once. */
export interface RecordInput {
  readonly kind: RecordKind;
  readonly source: Uint8Array;
  readonly keyStart: number;
  readonly keyLength: number;
  readonly valueStart: number;
  readonly valueLength: number;
  /** Version of a relocated record, which stays; undefined: the record's LBA is its version. */
  readonly version?: Version | undefined;
  readonly expiresAt?: Millis | undefined;
  /** Version of the key before this record. */
  readonly previous?: Lba | undefined;
  /** The next record of the batch belongs to the same group of writes. */
  readonly groupContinues?: boolean | undefined;
  /** The value is a list of the parts of a larger one. */
  readonly parts?: boolean | undefined;
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
    (record.previous === undefined ? 0 : 8) +
    (record.client === 0 ? 0 : 20) +
    (record.reply === undefined ? 0 : 2 + record.reply.length) +
    record.keyLength +
    record.valueLength
  );
}

/** Record that was read. Key and value are ranges of the bytes it was decoded from. */
export interface DecodedRecord {
  readonly kind: RecordKind;
  /** Start of the record in the bytes given. */
  readonly start: number;
  readonly length: number;
  readonly keyStart: number;
  readonly keyLength: number;
  readonly valueStart: number;
  readonly valueLength: number;
  readonly version: Version | undefined;
  readonly expiresAt: Millis | undefined;
  readonly previous: Lba | undefined;
  readonly groupContinues: boolean;
  readonly parts: boolean;
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
  if (record.previous !== undefined) {
    flags |= recordFlag.previous;
    writeU64(out, record.previous, at);
    at += 8;
  }
  if (record.groupContinues === true) flags |= recordFlag.groupContinues;
  if (record.parts === true) flags |= recordFlag.parts;
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
  out.writeUInt32LE(at - start, start + 8);
  out[start + 12] = record.kind;
  out[start + 13] = flags;
  out.writeUInt16LE(record.keyLength, start + 14);
  out.writeUInt32LE(record.valueLength, start + 16);
  const head = checksum(out.subarray(start + 8, at - record.valueLength), (seed ^ offset) >>> 0);
  out.writeUInt32LE(head, start + 4);
  out.writeUInt32LE(withValue(out, at - record.valueLength, at, head), start);
  return at;
}

/** Checksum of a record from that of its head: a CRC goes on where it ended. */
function withValue(bytes: Buffer, start: number, end: number, head: number): number {
  return start === end ? head : checksum(bytes.subarray(start, end), head);
}

export type RecordResult = { readonly kind: 'record'; readonly record: DecodedRecord } | Unreadable;

const nobody = clientId(0);
const unnumbered = requestNumber(0);
const inconsistent: Unreadable = { kind: 'damaged', reason: 'record: lengths do not add up' };

/**
 * Decodes the record at `start` and checks its checksum for the place (`seed`, `offset`). `headOnly`: the value is not
 * there (catch-up entries carry records without values) and the checksums are not checked.
 */
export function decodeRecord(
  bytes: Buffer,
  start: number,
  seed: number,
  offset: number,
  headOnly = false,
): RecordResult {
  const result = decodeHead(bytes, start);
  if (result.kind !== 'record' || headOnly) return result;
  const { length, valueStart, valueLength } = result.record;
  if (bytes.length < start + length) return { kind: 'short', needed: length };
  const head = checksum(bytes.subarray(start + 8, valueStart), (seed ^ offset) >>> 0);
  const isIntact =
    head === bytes.readUInt32LE(start + 4) &&
    withValue(bytes, valueStart, valueStart + valueLength, head) === bytes.readUInt32LE(start);
  return isIntact ? result : { kind: 'damaged', reason: 'record: wrong checksum' };
}

/** The same of a record whose value may be damaged or missing: what the head says is sure. */
export function decodeRecordHead(bytes: Buffer, start: number, seed: number, offset: number): RecordResult {
  const result = decodeHead(bytes, start);
  if (result.kind !== 'record') return result;
  const head = checksum(bytes.subarray(start + 8, result.record.valueStart), (seed ^ offset) >>> 0);
  if (head === bytes.readUInt32LE(start + 4)) return result;
  return { kind: 'damaged', reason: 'record: wrong checksum of the head' };
}

/** What the bytes say up to the end of the key, unchecked. */
function decodeHead(bytes: Buffer, start: number): RecordResult {
  if (bytes.length < start + recordHeaderBytes) return { kind: 'short', needed: recordHeaderBytes };
  const length = bytes.readUInt32LE(start + 8);
  const kind = bytes.readUInt8(start + 12);
  const flags = bytes.readUInt8(start + 13);
  const keyLength = bytes.readUInt16LE(start + 14);
  const valueLength = bytes.readUInt32LE(start + 16);
  if (kind < recordKind.put || kind > recordKind.lost || (flags & ~recordFlagsKnown) !== 0)
    return { kind: 'damaged', reason: 'record: unknown kind or flags' };
  if (keyLength > limits.keyBytesMax || valueLength > limits.valueBytesMax)
    return { kind: 'damaged', reason: 'record: impossible lengths' };
  const end = start + length - valueLength;
  if (length < recordHeaderBytes || bytes.length < end) return { kind: 'short', needed: length };
  const record: RecordDraft = {
    kind: kind as RecordKind,
    start,
    length,
    keyStart: 0,
    keyLength,
    valueStart: 0,
    valueLength,
    version: undefined,
    expiresAt: undefined,
    previous: undefined,
    groupContinues: (flags & recordFlag.groupContinues) !== 0,
    parts: (flags & recordFlag.parts) !== 0,
    client: nobody,
    number: unnumbered,
    firstIncomplete: unnumbered,
    replyStart: 0,
    replyLength: 0,
  };
  const isWhole = readFields(bytes, record, flags, end);
  return isWhole && record.valueStart === end ? { kind: 'record', record } : inconsistent;
}

/** A record while it is decoded: filled in place, since a recovery decodes millions. */
type RecordDraft = { -readonly [Field in keyof DecodedRecord]: DecodedRecord[Field] };

/** Fills in what the flags say is there, and where key and value lie. False when that is impossible. */
function readFields(bytes: Buffer, record: RecordDraft, flags: number, end: number): boolean {
  let at = record.start + recordHeaderBytes;
  if (at + fixedBytes(flags) > end) return false;
  if ((flags & recordFlag.relocated) !== 0) {
    const value = readU64(bytes, at);
    if (Number.isNaN(value)) return false;
    record.version = toVersion(value);
    at += 8;
  }
  if ((flags & recordFlag.expires) !== 0) {
    record.expiresAt = millis(bytes.readUIntLE(at, 6));
    at += 8;
  }
  if ((flags & recordFlag.previous) !== 0) {
    const value = readU64(bytes, at);
    if (Number.isNaN(value)) return false;
    record.previous = toLba(value);
    at += 8;
  }
  if ((flags & recordFlag.numbered) !== 0) {
    if (!readNumbers(bytes, record, at)) return false;
    at += 20;
  }
  record.replyStart = at;
  if ((flags & recordFlag.reply) !== 0) {
    record.replyStart = at + 2;
    record.replyLength = bytes.readUInt16LE(at);
    at = record.replyStart + record.replyLength;
  }
  record.keyStart = at;
  record.valueStart = at + record.keyLength;
  return true;
}

/** Bytes of the optional fields, without a reply itself. */
function fixedBytes(flags: number): number {
  return (
    ((flags & recordFlag.relocated) !== 0 ? 8 : 0) +
    ((flags & recordFlag.expires) !== 0 ? 8 : 0) +
    ((flags & recordFlag.previous) !== 0 ? 8 : 0) +
    ((flags & recordFlag.numbered) !== 0 ? 20 : 0) +
    ((flags & recordFlag.reply) !== 0 ? 2 : 0)
  );
}

function readNumbers(bytes: Buffer, record: RecordDraft, at: number): boolean {
  const client = readU64(bytes, at);
  const number = readU64(bytes, at + 8);
  const window = bytes.readUInt32LE(at + 16);
  if (Number.isNaN(client) || Number.isNaN(number) || window > number) return false;
  record.client = clientId(client);
  record.number = requestNumber(number);
  record.firstIncomplete = requestNumber(number - window);
  return true;
}
