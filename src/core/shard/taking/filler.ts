/**
 * S19: completes the shorter copies of a zone before its length is recorded, from the tail that the taker has read and
 * checked. One round: each copy gets all that it lacks at once, in pieces; who has not answered in time is left out.
 * Walk: TAKE-OVER 6/7.
 */
import { assert, present } from '../../../base/assert.ts';
import type { Uuid } from '../../../base/ids.ts';
import type { Filled, Lost, Refused } from '../events.ts';
import type { ReadBatch } from '../following/log-reader.ts';
import type { Piece } from '../following/pieces.ts';
import { piecesOf } from '../following/pieces.ts';
import type { ShardLimits } from '../limits.ts';

/** Whole batches for one copy. */
export interface FillPiece extends Piece {
  readonly logger: Uuid;
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
      const own = piecesOf(lacking, end, this.#pieceBytes);
      const last = present(own.at(-1), 'what is lacking has a piece');
      assert(last.offset + last.bytes.length === this.#to, 'S19 a Fill ends at the length that will be recorded');
      pieces.push(...own.map((piece) => ({ logger, ...piece })));
    }
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
