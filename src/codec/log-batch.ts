/**
 * Batches of a zone (log-format.ts has their grammar): what one append carries, a header with a checksum for each block
 * of its body, and records. The blocks' checksums tell a torn tail, whose blocks are each good or untouched, from
 * damage (S9).
 */
import { assert } from '../base/assert.ts';
import { aligned, isZero, writeU48 } from '../base/bytes.ts';
import { checksum } from '../base/checksum.ts';
import type { Millis, ShardId, ZoneId } from '../base/ids.ts';
import { millis } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { Unreadable, Writer, ZonePlace } from './log-format.ts';
import { formatVersion } from './log-format.ts';

export const batchHeaderBytes = 64;
const batchMagic = 0x3142564b; // "KVB1"

/** Header of a batch. Lengths are bytes. */
export interface BatchHeader extends Writer {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  /** Start of the batch in its zone. */
  readonly offset: number;
  /** Length of the header with its block checksums. */
  readonly headerLength: number;
  /** Length of the records, without padding. */
  readonly recordsLength: number;
  /** Length of header, records and padding: a multiple of the alignment. */
  readonly totalLength: number;
  readonly recordCount: number;
  /** Committed length of the zone at the owner when the batch was sent (S9). */
  readonly committedLength: number;
  /** Shard time (S18), since 1970. */
  readonly shardTimeMs: Millis;
}

/** Number of the zone's blocks that [start, end) touches. */
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
  out.write(header.instance, start + 56, 'hex');
  out.fill(0, start + batchHeaderBytes, start + headerLength);
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
      instance: place.instance,
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
 * State of the blocks of a batch with a good header. `torn`: some were never written, the others are good (S9: not
 * doubtful).
 */
export type BatchBody = 'good' | 'torn' | 'damaged';

/**
 * Media write a sector wholly or not at all: where the header is good, so is what follows it in its sector.
 * REQUIRES: the whole batch lies in `bytes` from `start` (what is past the end of the medium may be given as zeros).
 */
export function checkBatchBody(bytes: Buffer, start: number, header: BatchHeader, seed: number): BatchBody {
  let missing = false;
  let slot = start + batchHeaderBytes;
  for (let at = header.headerLength; at < header.totalLength; slot += 4) {
    const end = Math.min(header.totalLength, nextBlock(header.offset + at) - header.offset);
    const block = bytes.subarray(start + at, start + end);
    if (checksum(block, (seed ^ (header.offset + at)) >>> 0) !== bytes.readUInt32LE(slot)) {
      const isInHeadersSector = at === header.headerLength && (header.offset + at) % limits.sectorBytes !== 0;
      if (isInHeadersSector || !isZero(block)) return 'damaged';
      missing = true;
    }
    at = end;
  }
  return missing ? 'torn' : 'good';
}
