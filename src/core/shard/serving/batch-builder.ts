/**
 * PUT 2/5, next: gateway/shards/shard-runner.ts. Encodes the next batch of a zone: the shard's own records first, then
 * clients' writes as they were decided, in order. Pure: it decides nothing and changes nothing but the writes' places.
 */
import { assert } from '../../../base/assert.ts';
import { writeU64 } from '../../../base/bytes.ts';
import type { ClientId, Millis } from '../../../base/ids.ts';
import { clientId, lbaOf, millis, requestNumber, version } from '../../../base/ids.ts';
import { limits } from '../../../base/limits.ts';
import type { RecordInput, RecordKind } from '../../../codec/log-format.ts';
import type { BatchHeader } from '../../../codec/log-batch.ts';
import { batchHeaderBytes, batchLayout, finishBatch } from '../../../codec/log-batch.ts';
import {
  encodeRecord,
  encodeZoneHeader,
  recordHeaderBytes,
  recordKind,
  recordLength,
  zoneHeaderLength,
} from '../../../codec/log-format.ts';
import type { ShardState } from '../following/apply.ts';
import type { OwnRecord, ShardWrite } from '../requests.ts';
import { encodeConditionRefused } from '../requests.ts';
import type { Batch, ZoneWriter } from './zone-writer.ts';

/** Fields of a record besides key and value, at most: header, numbers, a refusal's reply. */
const recordOverhead = recordHeaderBytes + 20 + 11;

/** Most bytes that a write's record can take. */
export function recordBytesMax(write: ShardWrite): number {
  return recordOverhead + write.keyLength + write.wantedLength;
}

/** Most bytes that a batch with so many bytes of records takes at any offset. */
function batchBytesMax(recordsLength: number, alignment: number): number {
  return recordsLength + batchHeaderBytes + 4 * (Math.ceil(recordsLength / limits.blockBytes) + 3) + alignment;
}

/** Room for the shard's own small record in a batch: a floor (S15). */
const ownRecordBytes = 64;

/** Whether a batch with `recordsLength` bytes of clients' records fits behind what the zone holds. */
export function fitsZone(zone: ZoneWriter, recordsLength: number, zoneSize: number): boolean {
  const header = zone.length === 0 ? zoneHeaderLength(zone.alignment) : 0;
  return zone.length + header + batchBytesMax(recordsLength + ownRecordBytes, zone.alignment) <= zoneSize;
}

/** Whether a record fits an empty zone of this alignment. */
export function fitsEmptyZone(recordLength: number, alignment: number, zoneSize: number): boolean {
  return zoneHeaderLength(alignment) + batchBytesMax(recordLength + ownRecordBytes, alignment) <= zoneSize;
}

/** A floor record: `client` is forgotten from here on (S15). */
export function floorRecord(client: ClientId): RecordInput {
  const key = Buffer.alloc(8);
  writeU64(key, client, 0);
  return ownRecord(recordKind.floor, key);
}

/** A lost record: nobody knows the value of `key` any more (S9). */
export function lostRecord(key: Uint8Array): RecordInput {
  return ownRecord(recordKind.lost, key);
}

function ownRecord(kind: RecordKind, key: Uint8Array): RecordInput {
  return {
    kind,
    source: key,
    keyStart: 0,
    keyLength: key.length,
    valueStart: 0,
    valueLength: 0,
    client: clientId(0),
    number: requestNumber(0),
    firstIncomplete: requestNumber(0),
  };
}

/** What goes into one batch. */
export interface BatchInput {
  /** Records of the shard itself, without a client who waits: floors, relocated records, times. */
  readonly own: readonly RecordInput[];
  /** Decided writes, in the order of the log. */
  readonly writes: readonly ShardWrite[];
}

export interface BatchContext {
  readonly state: ShardState;
  readonly zone: ZoneWriter;
  readonly nowMs: Millis;
  readonly wallMs: Millis;
  readonly number: number;
}

/**
 * Encodes `input` into the next batch of the zone. REQUIRES: `fitsZone`. The writes' sources become the batch, so that
 * the sockets' memory is let go.
 */
export function buildBatch(context: BatchContext, input: BatchInput): Batch {
  const { state, zone } = context;
  const { own, writes } = input;
  let recordsLength = 0;
  for (const record of own) recordsLength += recordLength(record);
  for (const write of writes) recordsLength += write.recordBytes = recordLength(write);
  const isFirst = zone.length === 0;
  const start = isFirst ? zoneHeaderLength(zone.alignment) : 0;
  const offset = zone.length + start;
  const { headerLength, totalLength } = batchLayout(offset, recordsLength, zone.alignment);
  assert(offset + totalLength <= state.zoneSize, 'a batch ends within its zone');
  const bytes = Buffer.allocUnsafe(start + totalLength);
  if (isFirst) encodeZoneHead(bytes, context);
  let at = start + headerLength;
  const placed: OwnRecord[] = [];
  for (const record of own) {
    const recordOffset = offset + at - start;
    const end = encodeRecord(bytes, at, record, zone.seed, recordOffset);
    placed.push({ record, recordOffset, recordBytes: end - at });
    at = end;
  }
  for (const write of writes) at = encodeWrite(bytes, at, write, zone, offset + at - start, state.zoneSize);
  bytes.fill(0, at);
  const shardTimeMs = shardTime(context);
  const recordCount = own.length + writes.length;
  const header: BatchHeader = {
    shard: state.shard,
    zone: zone.zone,
    epoch: zone.epoch,
    instance: zone.instance,
    offset,
    headerLength,
    recordsLength,
    totalLength,
    recordCount,
    committedLength: zone.committed,
    shardTimeMs,
  };
  finishBatch(bytes, start, header, zone.seed);
  return {
    appendOffset: zone.length,
    offset,
    end: offset + totalLength,
    recordsStart: offset + headerLength,
    recordCount,
    bytes,
    shardTimeMs,
    sentMs: context.nowMs,
    number: context.number,
    own: placed,
    writes,
  };
}

function encodeZoneHead(bytes: Buffer, { state, zone, wallMs }: BatchContext): void {
  const { cluster, shard, zoneSize } = state;
  const { epoch, instance, alignment } = zone;
  const place = { cluster, shard, zone: zone.zone, epoch, instance };
  bytes.set(encodeZoneHeader({ ...place, alignment, zoneSize, createdMs: wallMs }), 0);
}

/** S18: the owner's clock, but never below what the log holds, batches in flight included. */
function shardTime({ state, zone, wallMs }: BatchContext): Millis {
  return millis(Math.max(Math.floor(wallMs), state.shardTimeMs, zone.sentTimeMs));
}

function encodeWrite(
  bytes: Buffer,
  at: number,
  write: ShardWrite,
  zone: ZoneWriter,
  offset: number,
  zoneSize: number,
): number {
  if (write.decidedOn !== undefined) {
    write.currentVersion = version(lbaOf(zone.zone, write.decidedOn.recordOffset, zoneSize));
    write.reply = encodeConditionRefused(write.currentVersion);
  }
  write.recordOffset = offset;
  const end = encodeRecord(bytes, at, write, zone.seed, offset);
  if (write.kind !== recordKind.refusal) {
    write.source = bytes;
    write.valueStart = end - write.valueLength;
    write.keyStart = write.valueStart - write.keyLength;
  }
  return end;
}
