/**
 * S19: completes the shorter copies of a zone before its length is recorded, from the tail that the taker has read and
 * checked. One round: each copy gets all that it lacks at once, in pieces; who has not answered in time is left out.
 * Walk: TAKE-OVER 6/7.
 */
import { assert } from '../../../base/assert.ts';
import type { Uuid } from '../../../base/ids.ts';
import type { Filled, Lost, Refused } from '../events.ts';
import type { ReadBatch } from '../following/log-reader.ts';
import type { ShardLimits } from '../limits.ts';

/** Whole batches for one copy, to follow its first `offset` bytes. */
export interface FillPiece {
  readonly logger: Uuid;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class Filler {
  /** Intact length of each copy to be filled. */
  readonly ends: ReadonlyMap<Uuid, number>;
  /** From here the tail is needed. */
  readonly from: number;
  readonly #to: number;
  readonly #pieceBytes: number;
  readonly #batches: ReadBatch[] = [];
  readonly #waiting = new Set<Uuid>();
  readonly #filled = new Set<Uuid>();
  #sent = false;

  /** `ends`: copies that end before `to`; those that lack more than `fillBytesMax` are not filled. */
  constructor(
    ends: ReadonlyMap<Uuid, number>,
    to: number,
    { fillBytesMax, fillPieceBytes }: Pick<ShardLimits, 'fillBytesMax' | 'fillPieceBytes'>,
  ) {
    this.#to = to;
    this.#pieceBytes = fillPieceBytes;
    this.ends = new Map([...ends].filter(([, end]) => end < to && to - end <= fillBytesMax));
    this.from = Math.min(to, ...this.ends.values());
  }

  keep(batch: ReadBatch): void {
    if (batch.header.offset >= this.from) this.#batches.push(batch);
  }

  /** All pieces for those copies that `isUp` allows. REQUIRES: the tail from `from` on was kept; called once. */
  pieces(isUp: (logger: Uuid) => boolean): FillPiece[] {
    assert(!this.#sent, 'S19 one round of filling');
    this.#sent = true;
    const pieces: FillPiece[] = [];
    for (const [logger, end] of this.ends) {
      const lacking = this.#batches.filter(({ header }) => header.offset >= end);
      // Nothing is lacking where the zone ends with its header.
      if (!isUp(logger) || lacking.length === 0) continue;
      this.#waiting.add(logger);
      pieces.push(...this.#piecesFrom(logger, end, lacking));
    }
    return pieces;
  }

  #piecesFrom(logger: Uuid, end: number, batches: readonly ReadBatch[]): FillPiece[] {
    const pieces: FillPiece[] = [];
    let parts: Uint8Array[] = [];
    let offset = end;
    let bytes = 0;
    const flush = (): void => {
      if (bytes > 0) pieces.push({ logger, offset, bytes: Buffer.concat(parts) });
      offset += bytes;
      bytes = 0;
      parts = [];
    };
    for (const { header, bytes: source, start, lead } of batches) {
      // The zone header goes with the first batch, unless it is all that the copy holds.
      const before = lead > 0 && end === 0 ? lead : 0;
      assert(header.offset - before === offset + bytes, 'S19 a Fill has no gap');
      const part = source.subarray(start - before, start + header.totalLength);
      if (bytes + part.length > this.#pieceBytes) flush();
      parts.push(part);
      bytes += part.length;
    }
    flush();
    assert(offset === this.#to, 'S19 a Fill ends at the length that will be recorded');
    return pieces;
  }

  /** Whether nobody's answer is awaited. */
  get isDone(): boolean {
    return this.#waiting.size === 0;
  }

  /** Copies that are complete and stable. */
  get filled(): readonly Uuid[] {
    return [...this.#filled];
  }

  answered(logger: Uuid, answer: Filled | Lost | Refused): void {
    if (!this.#waiting.has(logger)) return;
    if (answer.kind === 'filled' && answer.length < this.#to) return; // More pieces are on their way.
    this.#waiting.delete(logger);
    if (answer.kind === 'filled') this.#filled.add(logger);
  }
}
