/** Builds the bytes that an owner would append to a zone, batch after batch. */
import type { Epoch, InstanceId, ShardId, Uuid, ZoneId } from '../../src/base/ids.ts';
import { clientId, epoch, instanceId, millis, requestNumber, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import { limits } from '../../src/base/limits.ts';
import { batchLayout, finishBatch } from '../../src/codec/log-batch.ts';
import { encodeRecord, encodeZoneHeader, recordLength, recordKind, zoneSeed } from '../../src/codec/log-format.ts';
import type { RecordInput, Writer, ZonePlace } from '../../src/codec/log-format.ts';
import type { AppendItem } from '../../src/codec/logger-protocol.ts';

export const testCluster = uuid('c'.repeat(32));
/** Process of the owner, unless a test needs two. */
export const testInstance = instanceId('1'.repeat(16));

export function testWriter(number: number, instance = testInstance): Writer {
  return { epoch: epoch(number), instance };
}

export function put(key: string, value: Uint8Array): RecordInput {
  const keyBytes = Buffer.from(key);
  const source = Buffer.concat([keyBytes, value]);
  return {
    kind: recordKind.put,
    source,
    keyStart: 0,
    keyLength: keyBytes.length,
    valueStart: keyBytes.length,
    valueLength: value.length,
    client: clientId(7),
    number: requestNumber(3),
    firstIncomplete: requestNumber(1),
  };
}

export interface ZoneWriterOptions {
  readonly cluster?: Uuid;
  readonly shard?: number;
  readonly zone?: number;
  readonly epoch?: number;
  readonly instance?: InstanceId;
  readonly zoneSize?: number;
  readonly alignment?: number;
}

export class ZoneWriter {
  readonly place: ZonePlace;
  readonly zoneSize: number;
  readonly alignment: number;
  /** Where the next append goes. */
  offset = 0;
  committed = 0;
  readonly #seed: number;

  constructor(options: ZoneWriterOptions = {}) {
    this.place = {
      cluster: options.cluster ?? testCluster,
      shard: shardId(options.shard ?? 0),
      zone: zoneId(options.zone ?? 1),
      ...testWriter(options.epoch ?? 1, options.instance),
    };
    this.zoneSize = options.zoneSize ?? 1024 * 1024;
    this.alignment = options.alignment ?? 1;
    this.#seed = zoneSeed(this.place);
  }

  get shard(): ShardId {
    return this.place.shard;
  }

  get zone(): ZoneId {
    return this.place.zone;
  }

  get epoch(): Epoch {
    return this.place.epoch;
  }

  /** The next append: one batch of these records, behind the zone header if it is the first. Moves the offset. */
  next(records: readonly RecordInput[]): AppendItem {
    const offset = this.offset;
    const head =
      offset === 0
        ? encodeZoneHeader({
            ...this.place,
            alignment: this.alignment,
            zoneSize: this.zoneSize,
            createdMs: millis(1_700_000_000_000),
          })
        : Buffer.alloc(0);
    const bytes = Buffer.concat([head, this.batch(offset + head.length, records)]);
    this.offset += bytes.length;
    const { shard, zone, instance } = this.place;
    return { shard, zone, epoch: this.epoch, instance, offset, bytes };
  }

  /** A batch of one record with a value of `valueBytes` pseudo-random bytes. */
  filled(valueBytes: number, fill = this.offset): AppendItem {
    const value = Buffer.alloc(valueBytes);
    for (let at = 0; at < valueBytes; at += 1) value[at] = ((at * 31 + fill * 17 + 1) % 255) | 1;
    return this.next([put(`key-${fill}`, value)]);
  }

  batch(offset: number, records: readonly RecordInput[]): Buffer {
    let recordsLength = 0;
    for (const record of records) recordsLength += recordLength(record);
    const { headerLength, totalLength } = batchLayout(offset, recordsLength, this.alignment);
    const bytes = Buffer.alloc(totalLength);
    let at = headerLength;
    for (const record of records) at = encodeRecord(bytes, at, record, this.#seed, offset + at);
    finishBatch(
      bytes,
      0,
      {
        shard: this.shard,
        zone: this.zone,
        epoch: this.epoch,
        instance: this.place.instance,
        offset,
        headerLength,
        recordsLength,
        totalLength,
        recordCount: records.length,
        committedLength: this.committed,
        shardTimeMs: millis(1_700_000_000_000),
      },
      this.#seed,
    );
    return bytes;
  }
}

/** The append in pieces of `pieceBytes` at most, cut between blocks of the zone. */
export function piecesOf(item: AppendItem, pieceBytes: number): AppendItem[] {
  const pieces: AppendItem[] = [];
  for (let from = 0; from < item.bytes.length; ) {
    const end = item.offset + from + pieceBytes;
    const to = Math.min(
      pieceBytes < limits.blockBytes ? from + pieceBytes : end - (end % limits.blockBytes) - item.offset,
      item.bytes.length,
    );
    pieces.push({
      ...item,
      offset: item.offset + from,
      bytes: item.bytes.subarray(from, to),
      rest: item.bytes.length - to,
    });
    from = to;
  }
  return pieces;
}
