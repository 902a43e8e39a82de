/**
 * Appends that are too long to stand before others: they go to their logger in pieces, a few at a time, and the next
 * piece follows when one is stable there. So what other shards append and confirm meanwhile waits for a piece, on the
 * connection as in the logger's syncs, and never for 16 MiB.
 *
 *   append --piece, piece ..--> logger;  answer to a piece: progress;  answer to the last: appended (S5)
 *
 * It owns the appends in pieces and what waits behind them in their zones: a zone's appends keep their order (S2). It
 * does not own ordinary appends (outbox.ts), nor what a logger does with a piece (core/logger/logger-machine.ts).
 */
import { limits } from '../../base/limits.ts';
import type { AppendItem, LoggerLost, LoggerRefusal, ZoneRef } from '../../codec/logger-protocol.ts';
import type { LoggerClient } from '../../rpc/logger-client.ts';

/** Sizes are bytes. */
export interface PieceSizes {
  /** Longest append that is not cut. */
  readonly appendWholeBytesMax: number;
  /** Longest piece: a multiple of every alignment, with room for the headers of zone and batch. */
  readonly appendPieceBytes: number;
}

/** An append that waits or is under way. `end`: of its bytes in the zone. */
export interface PendingAppend extends AppendItem {
  readonly end: number;
}

export type AppendResult = { readonly kind: 'ok' } | LoggerRefusal | LoggerLost | undefined;

export interface LongAppendsParts extends PieceSizes {
  readonly client: Pick<LoggerClient, 'append' | 'appendPiece'>;
  /** A piece is stable, of which nothing is appended yet. */
  readonly onProgress: (append: PendingAppend) => void;
  /** Called once for each append. */
  readonly onAnswer: (append: PendingAppend, result: AppendResult) => void;
}

interface LongAppend {
  readonly append: PendingAppend;
  sent: number;
  failed: boolean;
}

export class LongAppends {
  readonly #parts: LongAppendsParts;
  /** In order; all of the first ones' pieces were sent before the next begins. */
  readonly #waiting: LongAppend[] = [];
  #underWay = 0;
  #sending = false;

  constructor(parts: LongAppendsParts) {
    this.#parts = parts;
  }

  /** True: the append is taken, being long itself or behind a long one of its zone. */
  take(append: PendingAppend): boolean {
    const isLong = append.bytes.length > this.#parts.appendWholeBytesMax;
    if (!isLong && !this.#waiting.some((one) => isSameZone(one.append, append))) return false;
    this.#waiting.push({ append, sent: 0, failed: false });
    return true;
  }

  /** Sends pieces, as many as may be under way. */
  send(): void {
    // An answer that comes while a piece is being sent (there is no connection) sends no other one in between.
    if (this.#sending) return;
    this.#sending = true;
    while (this.#underWay < limits.appendPiecesInFlight) {
      const [first] = this.#waiting;
      if (first === undefined) break;
      if (!first.failed) this.#sendPiece(first);
      if (first.failed || first.sent === first.append.bytes.length) this.#waiting.shift();
    }
    this.#sending = false;
  }

  #sendPiece(long: LongAppend): void {
    const { shard, zone, epoch, instance, offset, bytes } = long.append;
    const from = long.sent;
    long.sent = pieceEnd(offset, from, bytes.length, this.#parts.appendPieceBytes);
    const rest = bytes.length - long.sent;
    const piece = { shard, zone, epoch, instance, offset: offset + from, bytes: bytes.subarray(from, long.sent), rest };
    const { client } = this.#parts;
    this.#underWay += 1;
    const answered = (result: AppendResult): void => {
      this.#underWay -= 1;
      this.#answered(long, rest === 0, result);
      this.send();
    };
    if (from > 0 || rest > 0) client.appendPiece(piece, answered);
    else client.append([long.append], (answer) => answered(answer.kind === 'ok' ? answer.value[0] : answer));
  }

  #answered(long: LongAppend, isLast: boolean, result: AppendResult): void {
    const { onAnswer, onProgress } = this.#parts;
    // What becomes of the pieces behind one that was refused says nothing more.
    if (long.failed) return;
    long.failed = result?.kind !== 'ok';
    if (isLast || long.failed) onAnswer(long.append, result);
    else onProgress(long.append);
  }
}

function isSameZone(a: ZoneRef, b: ZoneRef): boolean {
  return a.shard === b.shard && a.zone === b.zone;
}

/**
 * End of the piece from `from` of an append at `offset`. Pieces end where blocks of the zone do: of what a power loss
 * leaves, each block is whole or untouched (S9).
 */
function pieceEnd(offset: number, from: number, length: number, pieceBytes: number): number {
  const end = offset + from + pieceBytes;
  return Math.min(end - (end % limits.blockBytes) - offset, length);
}
