/**
 * One direction of a simulated connection: bytes and, last, how it ends, delivered in order after random delays. What a
 * blocked path or a paused receiver holds back stays here until it goes on.
 *
 * It owns the bytes under way and when they arrive. It does not own why a path is blocked, nor what an end means to its
 * receiver (network.ts).
 */
import type { Timer } from '../clock.ts';
import type { SimulatedClock } from './clock.ts';
import type { SimulatedRandom } from './random.ts';

/** `end`: all was sent. `reset`: cut off. */
export type PipeEnd = 'end' | 'reset';

export interface PipeOptions {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** Rate that one connection can carry. */
  readonly bytesPerMs: number;
  /** Probability that a piece that arrives is cut at a random place and the rest comes later. */
  readonly splitProbability: number;
  /** Probability that two pieces that have arrived come as one. */
  readonly joinProbability: number;
  /** A receiver gets no longer pieces than this. */
  readonly pieceBytesMax: number;
  /** Bytes under way that the sender's system takes; what is written beyond them waits. */
  readonly windowBytes: number;
}

export interface PipeReceiver {
  onBytes(bytes: Uint8Array): void;
  onEnd(end: PipeEnd): void;
  readonly isPaused: boolean;
}

/** Way from one host to another, as it is at the moment. */
export interface Path {
  readonly isBlocked: boolean;
  /** Milliseconds that everything takes longer than usual. */
  readonly lateMs: number;
}

interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export class Pipe {
  readonly #clock: SimulatedClock;
  readonly #random: SimulatedRandom;
  readonly #options: PipeOptions;
  readonly #path: Path;
  readonly #receiver: PipeReceiver;
  readonly #onTaken: () => void;
  #pieces: Piece[] = [];
  #first = 0;
  #lastAt = 0;
  #bytes = 0;
  #end: { readonly at: number; readonly how: PipeEnd } | undefined;
  #closed = false;
  #timer: Timer | undefined;

  /** `onTaken`: the receiver took something. */
  constructor(
    clock: SimulatedClock,
    random: SimulatedRandom,
    options: PipeOptions,
    path: Path,
    receiver: PipeReceiver,
    onTaken: () => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
    this.#path = path;
    this.#receiver = receiver;
    this.#onTaken = onTaken;
  }

  /** Bytes written beyond the window. */
  get waitingBytes(): number {
    return Math.max(0, this.#bytes - this.#options.windowBytes);
  }

  write(chunks: readonly Uint8Array[]): void {
    if (this.#closed || this.#end !== undefined) return;
    let at = Number.NaN;
    for (const chunk of chunks) {
      this.#bytes += chunk.length;
      for (let start = 0; start < chunk.length; start += this.#options.pieceBytesMax) {
        const bytes =
          chunk.length <= this.#options.pieceBytesMax
            ? chunk
            : chunk.subarray(start, start + this.#options.pieceBytesMax);
        // What is written at once sets out at once; long data then arrive bit by bit.
        if (Number.isNaN(at)) at = this.#arrival();
        at += bytes.length / this.#options.bytesPerMs;
        this.#pieces.push({ at, bytes });
      }
    }
    if (Number.isNaN(at)) return;
    this.#lastAt = at;
    this.kick();
  }

  /** Nothing follows. `how` arrives behind what was written. */
  finish(how: PipeEnd): void {
    if (this.#closed || this.#end !== undefined) return;
    this.#end = { at: this.#arrival(), how };
    this.kick();
  }

  /** The sender's process is gone: what its system has taken arrives, the rest is lost. */
  truncate(how: PipeEnd): void {
    let excess = this.waitingBytes;
    while (excess > 0) {
      const last = this.#pieces.pop();
      if (last === undefined) break;
      const kept = Math.max(0, last.bytes.length - excess);
      this.#bytes -= last.bytes.length - kept;
      excess -= last.bytes.length - kept;
      if (kept > 0) this.#pieces.push({ at: last.at, bytes: last.bytes.subarray(0, kept) });
    }
    if (this.#end !== undefined && how === 'reset') this.#end = { at: this.#end.at, how };
    this.finish(how);
  }

  /** Nothing arrives any more. */
  close(): void {
    this.#closed = true;
    this.#pieces = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Goes on after the path was healed or the receiver resumed. */
  kick(): void {
    if (this.#timer !== undefined || this.#closed || this.#receiver.isPaused || this.#path.isBlocked) return;
    const at = this.#pieces[this.#first]?.at ?? this.#end?.at;
    if (at === undefined) return;
    this.#timer = this.#clock.after(at - this.#clock.now(), () => {
      this.#timer = undefined;
      this.#deliver();
      this.kick();
    });
  }

  /** Time at which what is sent now begins to arrive: not before what was sent earlier. */
  #arrival(): number {
    const { delayMinMs, delayMaxMs } = this.#options;
    const delayMs = this.#path.lateMs + delayMinMs + this.#random.fraction() * (delayMaxMs - delayMinMs);
    return Math.max(this.#lastAt, this.#clock.now() + delayMs);
  }

  /** All that has arrived, until the receiver pauses or a piece was split. */
  #deliver(): void {
    const now = this.#clock.now();
    let blocked = this.#path.isBlocked;
    while (!blocked && !this.#closed && !this.#receiver.isPaused) {
      const piece = this.#pieces[this.#first];
      if (piece === undefined) return this.#deliverEnd(now);
      if (piece.at > now) return;
      blocked = this.#deliverPiece(piece, now);
    }
  }

  /** True when the rest of the piece comes later. */
  #deliverPiece(piece: Piece, now: number): boolean {
    let bytes = piece.bytes;
    this.#advance();
    const next = this.#pieces[this.#first];
    if (next !== undefined && next.at <= now && this.#chance(this.#options.joinProbability)) {
      bytes = Buffer.concat([bytes, next.bytes]);
      this.#advance();
    }
    let rest = bytes.length > this.#options.pieceBytesMax ? this.#options.pieceBytesMax : bytes.length;
    const split = rest > 1 && this.#chance(this.#options.splitProbability);
    if (split) rest = 1 + Math.floor(this.#random.fraction() * (rest - 1));
    if (rest < bytes.length) {
      this.#pieces[--this.#first] = {
        at: split ? now + this.#options.delayMinMs : piece.at,
        bytes: bytes.subarray(rest),
      };
      bytes = bytes.subarray(0, rest);
    }
    this.#bytes -= bytes.length;
    this.#receiver.onBytes(bytes);
    this.#onTaken();
    return split;
  }

  #deliverEnd(now: number): void {
    const end = this.#end;
    if (end === undefined || end.at > now) return;
    this.close();
    this.#receiver.onEnd(end.how);
  }

  #advance(): void {
    this.#first++;
    if (this.#first > 64 && this.#first * 2 > this.#pieces.length) {
      // One slot stays in front: the rest of a piece that was split goes there.
      this.#pieces = this.#pieces.slice(this.#first - 1);
      this.#first = 1;
    }
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random.chance(probability);
  }
}
