/**
 * Check of the bytes that a logger is given to append: headers and their places (S16). The blocks behind them are not
 * checked: that would cost a pass over every byte on the path of every write; whoever reads them checks them.
 */
import { asBuffer } from '../../base/bytes.ts';
import type { BatchHeader } from '../../codec/log-batch.ts';
import type { AppendItem } from '../../codec/logger-protocol.ts';
import { checkBatchBody, decodeBatchHeader } from '../../codec/log-batch.ts';
import type { Writer, ZonePlace } from '../../codec/log-format.ts';
import { decodeRecord, decodeZoneHeader, recordKind, samePlace } from '../../codec/log-format.ts';

/** Place that an append goes to, and the alignment of its device. Lengths are bytes. */
export interface AppendTarget {
  readonly place: ZonePlace;
  /** `zoneSeed(place)`. */
  readonly seed: number;
  readonly offset: number;
  readonly zoneSize: number;
  readonly alignment: number;
  /** Bytes of the last batch that come later; absent: none. */
  readonly rest?: number;
}

export type AppendCheck =
  /** `committed`: the highest committed length in the batches' headers (S9's `seen`). */
  | { readonly kind: 'good'; readonly batches: number; readonly committed: number }
  | { readonly kind: 'malformed'; readonly reason: string };

/**
 * Offset 0 must begin with a zone header for this place; whole batches for their places follow, at least one, and
 * nothing else.
 */
export function checkAppend(input: Uint8Array, target: AppendTarget): AppendCheck {
  return checkBatches(input, target, () => true);
}

/**
 * The same, and every block of the batches is good: what fills a copy was read from another (S19). A zone header alone
 * will do: the zone may end with it.
 */
export function checkFill(input: Uint8Array, target: AppendTarget): AppendCheck {
  const bytes = asBuffer(input);
  const isBodyGood = (at: number, header: BatchHeader): boolean =>
    checkBatchBody(bytes, at, header, target.seed) === 'good';
  return checkBatches(input, target, isBodyGood, target.offset === 0 ? 0 : 1);
}

/** Writer of a zone, from the zone header that its bytes begin with; undefined: they do not. */
export function writerOf(input: Uint8Array): Writer | undefined {
  const result = decodeZoneHeader(asBuffer(input));
  if (result.kind !== 'zone') return undefined;
  const { epoch, instance } = result.header;
  return { epoch, instance };
}

function checkBatches(
  input: Uint8Array,
  target: AppendTarget,
  isBodyGood: (at: number, header: BatchHeader) => boolean,
  batchesLeast = 1,
): AppendCheck {
  const bytes = asBuffer(input);
  let at = 0;
  if (target.offset === 0) {
    const length = zoneHeaderFor(bytes, target);
    if (typeof length === 'string') return { kind: 'malformed', reason: length };
    at = length;
  }
  let batches = 0;
  let committed = 0;
  while (at < bytes.length) {
    const offset = target.offset + at;
    const result = decodeBatchHeader(bytes, at, offset, target.place, target.seed);
    if (result.kind !== 'batch')
      return { kind: 'malformed', reason: `byte ${at}: ${'reason' in result ? result.reason : result.kind}` };
    const { totalLength, committedLength } = result.header;
    if (totalLength % target.alignment !== 0)
      return { kind: 'malformed', reason: `byte ${at}: the batch is not aligned` };
    const missing = at + totalLength - bytes.length;
    if (missing > 0 && missing !== target.rest)
      return { kind: 'malformed', reason: `byte ${at}: the batch ends beyond the append` };
    if (!isBodyGood(at, result.header)) return { kind: 'malformed', reason: `byte ${at}: wrong checksum of a block` };
    // What is committed was acknowledged before, so it lies below. A larger one would make every seal of this zone
    // doubtful (S9).
    if (committedLength > offset)
      return { kind: 'malformed', reason: `byte ${at}: committed length ${committedLength} is beyond the batch` };
    committed = Math.max(committed, committedLength);
    batches += 1;
    at += totalLength;
  }
  if (at < bytes.length + (target.rest ?? 0))
    return { kind: 'malformed', reason: `an append has ${target.rest} bytes to come that no header speaks of` };
  return batches >= batchesLeast
    ? { kind: 'good', batches, committed }
    : { kind: 'malformed', reason: 'an append carries at least one batch' };
}

/**
 * Whether the append puts nothing: deletes, and the small records that go with them, free more than they take.
 * REQUIRES: `checkAppend` called it good.
 */
export function holdsNoPuts(input: Uint8Array, target: AppendTarget): boolean {
  const bytes = asBuffer(input);
  const head = target.offset === 0 ? decodeZoneHeader(bytes) : undefined;
  let at = head?.kind === 'zone' ? head.length : 0;
  while (at < bytes.length) {
    const offset = target.offset + at;
    const batch = decodeBatchHeader(bytes, at, offset, target.place, target.seed);
    if (batch.kind !== 'batch') return false;
    const { headerLength, recordsLength, totalLength } = batch.header;
    const end = headerLength + recordsLength;
    for (let within = headerLength; within < end; ) {
      const record = decodeRecord(bytes, at + within, target.seed, offset + within);
      if (record.kind !== 'record' || record.record.kind === recordKind.put) return false;
      within += record.record.length;
    }
    at += totalLength;
  }
  return true;
}

/** Length of the zone header, or what is wrong with it. */
function zoneHeaderFor(bytes: Buffer, target: AppendTarget): number | string {
  const result = decodeZoneHeader(bytes);
  if (result.kind !== 'zone') return `zone header: ${'reason' in result ? result.reason : result.kind}`;
  const { header } = result;
  if (!samePlace(header, target.place)) return 'zone header: belongs to another place (S16)';
  if (header.zoneSize !== target.zoneSize) return `zone header: zone size ${header.zoneSize}, not ${target.zoneSize}`;
  if (header.alignment % target.alignment !== 0)
    return `zone header: alignment ${header.alignment} on a device of ${target.alignment}`;
  return result.length;
}

/** Bytes of its append that come behind these. */
export function restOf(item: AppendItem): number {
  return item.rest ?? 0;
}
