/** Batches that were read and checked, as pieces to be written into another copy of their zone (S19, S10). */
import { assert } from '../../../base/assert.ts';
import type { ReadBatch } from './log-reader.ts';

/** Whole batches, to follow the first `offset` bytes of a copy. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Pieces of at most `pieceBytes`, but for longer batches, in order. REQUIRES: the batches follow one another
 * without a gap, the first of them a copy's first `end` bytes.
 */
export function piecesOf(batches: readonly ReadBatch[], end: number, pieceBytes: number): Piece[] {
  const pieces: Piece[] = [];
  let parts: Uint8Array[] = [];
  let offset = end;
  let bytes = 0;
  const flush = (): void => {
    if (bytes > 0) pieces.push({ offset, bytes: Buffer.concat(parts) });
    offset += bytes;
    bytes = 0;
    parts = [];
  };
  for (const { header, bytes: source, start, lead } of batches) {
    // The zone header goes with the first batch, unless it is all that the copy holds.
    const before = lead > 0 && end === 0 ? lead : 0;
    assert(header.offset - before === offset + bytes, 'S19 a Fill has no gap');
    const part = source.subarray(start - before, start + header.totalLength);
    if (bytes + part.length > pieceBytes) flush();
    parts.push(part);
    bytes += part.length;
  }
  flush();
  return pieces;
}
