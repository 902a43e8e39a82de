/**
 * Scan of a zone after a restart: the intact prefix, `seen`, and the state of the tail (S9). A generator that asks for
 * ranges of the zone and is given their bytes, so that it is pure and never holds more than a few batches.
 *
 *   intact prefix   the zone header and batches with good headers and blocks, one after another from the zone's start
 *   clean           nothing but zeros follows
 *   torn            good batches, batches whose blocks are each good or untouched, and untouched space between them
 *                   follow: appends that never became stable
 *   damaged         anything else follows; good batch headers behind it still count for `seen`
 */
import { asBuffer, isZero } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import type { BatchHeader } from '../../codec/log-batch.ts';
import type { ZonePlace } from '../../codec/log-format.ts';
import { batchHeaderBytes, checkBatchBody, decodeBatchHeader } from '../../codec/log-batch.ts';
import { decodeZoneHeader, samePlace, zoneSeed } from '../../codec/log-format.ts';
import type { TailState } from '../../codec/logger-protocol.ts';

export interface ScanRange {
  readonly offset: number;
  readonly length: number;
}

export interface ScanInput {
  readonly place: ZonePlace;
  readonly zoneSize: number;
  /** Nothing of the zone lies at or beyond it. */
  readonly bound: number;
  /** Batches begin at multiples of it. */
  readonly alignment: number;
  /** Bytes that are asked for at once. */
  readonly chunkBytes?: number;
}

export type ZoneScan =
  | {
      readonly kind: 'scanned';
      /** End of the intact prefix, a batch boundary; 0 when even the zone header is not good. */
      readonly length: number;
      /** Highest committed length in any good batch header. */
      readonly seen: number;
      readonly tail: TailState;
      /** Number of batches in the intact prefix. */
      readonly batches: number;
      /** Place and kind of the damage, when the tail is damaged. */
      readonly damage: { readonly offset: number; readonly reason: string } | undefined;
    }
  | { readonly kind: 'newer-format'; readonly format: number };

type Scan<T> = Generator<ScanRange, T, Uint8Array>;

/** Default of `ScanInput.chunkBytes`. */
export const scanChunkBytes = 1024 * 1024;
const magicBytes = Buffer.from('KVB1', 'latin1');

/** Drives a scan with bytes from memory: for tests and for what is small. */
export function scanBytes(bytes: Uint8Array, input: ScanInput): ZoneScan {
  const scan = scanZone(input);
  let step = scan.next();
  while (step.done !== true) step = scan.next(bytes.subarray(step.value.offset, step.value.offset + step.value.length));
  return step.value;
}

/** Yields ranges within [0, bound) and takes their bytes; a short answer counts as zeros. */
export function* scanZone(input: ScanInput): Scan<ZoneScan> {
  const window = new ScanWindow(input);
  const headBytes = yield* window.view(0, limits.alignmentBytesMax);
  const head = decodeZoneHeader(headBytes);
  if (head.kind === 'newer-format') return head;
  if (head.kind === 'untouched') return yield* withoutHeader(window);
  if (head.kind !== 'zone' || !samePlace(head.header, input.place)) {
    const reason = head.kind === 'damaged' ? head.reason : 'zone header: belongs to another place';
    const seen = yield* seenBehind(window, 0, 0);
    return { kind: 'scanned', length: 0, seen, tail: 'damaged', batches: 0, damage: { offset: 0, reason } };
  }
  let length = head.length;
  let seen = 0;
  let batches = 0;
  for (;;) {
    const piece = yield* window.piece(length);
    if (piece.kind === 'newer-format') return piece;
    if (piece.kind !== 'batch' || piece.body !== 'good') break;
    seen = Math.max(seen, piece.header.committedLength);
    batches += 1;
    length += piece.header.totalLength;
  }
  const rest = yield* classify(window, length, seen);
  return { kind: 'scanned', length, batches, ...rest };
}

interface Rest {
  readonly seen: number;
  readonly tail: TailState;
  readonly damage: { readonly offset: number; readonly reason: string } | undefined;
}

/** The zone header was never written. Batches behind it may be: appends that never became stable. */
function* withoutHeader(window: ScanWindow): Scan<ZoneScan> {
  const first = yield* window.nextBatch(0);
  const touched = yield* window.firstTouched(0);
  if (touched === undefined)
    return { kind: 'scanned', length: 0, seen: 0, tail: 'clean', batches: 0, damage: undefined };
  if (first === undefined || touched < first) {
    const seen = yield* seenBehind(window, 0, 0);
    return {
      kind: 'scanned',
      length: 0,
      seen,
      tail: 'damaged',
      batches: 0,
      damage: { offset: touched, reason: 'bytes without a zone header' },
    };
  }
  const rest = yield* classify(window, first, 0);
  return {
    kind: 'scanned',
    length: 0,
    batches: 0,
    seen: rest.seen,
    tail: rest.tail === 'clean' ? 'torn' : rest.tail,
    damage: rest.damage,
  };
}

/** Classifies what follows the intact prefix, from `start`, a batch boundary. */
function* classify(window: ScanWindow, start: number, seenBefore: number): Scan<Rest> {
  let seen = seenBefore;
  let at = start;
  let tail: TailState = 'clean';
  while (at < window.bound) {
    const piece = yield* window.piece(at);
    if (piece.kind === 'batch' && piece.body !== 'damaged') {
      seen = Math.max(seen, piece.header.committedLength);
      tail = 'torn';
      at += piece.header.totalLength;
      continue;
    }
    if (piece.kind === 'untouched') {
      const touched = yield* window.firstTouched(at);
      if (touched === undefined) break;
      const next = yield* window.nextBatch(at);
      if (next === touched) {
        // An append of which nothing arrived, and behind it one that was in flight with it.
        at = next;
        continue;
      }
      return {
        seen: yield* seenBehind(window, at, seen),
        tail: 'damaged',
        damage: { offset: touched, reason: 'bytes behind untouched ones' },
      };
    }
    if (piece.kind === 'batch') seen = Math.max(seen, piece.header.committedLength);
    const reason = piece.kind === 'damaged' ? piece.reason : 'batch: wrong block checksum';
    return { seen: yield* seenBehind(window, at + 1, seen), tail: 'damaged', damage: { offset: at, reason } };
  }
  return { seen, tail, damage: undefined };
}

/** The highest committed length in good batch headers at or behind `start`. */
function* seenBehind(window: ScanWindow, start: number, seenBefore: number): Scan<number> {
  let seen = seenBefore;
  let at: number | undefined = yield* window.nextBatch(start);
  while (at !== undefined) {
    const piece = yield* window.piece(at);
    if (piece.kind === 'batch') seen = Math.max(seen, piece.header.committedLength);
    at = yield* window.nextBatch(
      piece.kind === 'batch' && piece.body === 'good' ? at + piece.header.totalLength : at + 1,
    );
  }
  return seen;
}

type Piece =
  | { readonly kind: 'batch'; readonly header: BatchHeader; readonly body: 'good' | 'torn' | 'damaged' }
  | { readonly kind: 'untouched' }
  | { readonly kind: 'newer-format'; readonly format: number }
  | { readonly kind: 'damaged'; readonly reason: string };

/** The bytes of the zone through a window of a chunk or a batch, whichever is larger. */
class ScanWindow {
  readonly bound: number;
  readonly #input: ScanInput;
  readonly #seed: number;
  readonly #chunkBytes: number;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(input: ScanInput) {
    this.#input = input;
    this.#chunkBytes = input.chunkBytes ?? scanChunkBytes;
    this.bound = Math.min(input.bound, input.zoneSize);
    this.#seed = zoneSeed(input.place);
  }

  /** Exactly `length` bytes from `offset`; what lies beyond the bound is zeros. */
  *view(offset: number, length: number): Scan<Buffer> {
    const inside = offset >= this.#start && offset + length <= this.#start + this.#bytes.length;
    if (!inside) yield* this.#load(offset, length);
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length);
  }

  *#load(offset: number, length: number): Scan<void> {
    const wanted = Math.max(0, Math.min(Math.max(length, this.#chunkBytes), this.bound - offset));
    const got = wanted > 0 ? asBuffer(yield { offset, length: wanted }) : Buffer.alloc(0);
    this.#start = offset;
    this.#bytes = got.length >= length ? got : Buffer.concat([got, Buffer.alloc(length - got.length)]);
  }

  /** Reads what stands at `at`, where a batch is expected. */
  *piece(at: number): Scan<Piece> {
    if (at >= this.bound) return { kind: 'untouched' };
    const result = yield* this.#header(at);
    if (result.kind !== 'batch')
      return result.kind === 'short' ? { kind: 'damaged', reason: 'batch header: longer than the zone' } : result;
    const { header } = result;
    if (at + header.totalLength > this.#input.zoneSize)
      return { kind: 'damaged', reason: 'batch: longer than the zone' };
    const bytes = yield* this.view(at, header.totalLength);
    return { kind: 'batch', header, body: checkBatchBody(bytes, 0, header, this.#seed) };
  }

  *#header(at: number): Scan<ReturnType<typeof decodeBatchHeader>> {
    let bytes = yield* this.view(at, batchHeaderBytes);
    let result = decodeBatchHeader(bytes, 0, at, this.#input.place, this.#seed);
    if (result.kind === 'short' && at + result.needed <= this.#input.zoneSize) {
      bytes = yield* this.view(at, result.needed);
      result = decodeBatchHeader(bytes, 0, at, this.#input.place, this.#seed);
    }
    return result;
  }

  /** The offset of the first good batch header at or behind `start`. */
  *nextBatch(start: number): Scan<number | undefined> {
    let at = start;
    while (at < this.bound) {
      const hit = yield* this.#nextMagic(at);
      if (hit === undefined) return undefined;
      if (hit % this.#input.alignment === 0 && (yield* this.#header(hit)).kind === 'batch') return hit;
      at = hit + 1;
    }
    return undefined;
  }

  *#nextMagic(start: number): Scan<number | undefined> {
    for (let at = start; at < this.bound; ) {
      const left = at >= this.#start ? this.#start + this.#bytes.length - at : 0;
      const bytes = yield* this.view(
        at,
        left >= magicBytes.length ? left : Math.min(this.#chunkBytes, this.bound - at),
      );
      const hit = bytes.indexOf(magicBytes);
      if (hit >= 0) return at + hit;
      // Overlapping by three bytes, so that a magic across two windows is found.
      at += Math.max(1, bytes.length - (magicBytes.length - 1));
    }
    return undefined;
  }

  /** The offset of the first byte at or behind `start` that is not zero. */
  *firstTouched(start: number): Scan<number | undefined> {
    for (let at = start; at < this.bound; at += this.#chunkBytes) {
      const bytes = yield* this.view(at, Math.min(this.#chunkBytes, this.bound - at));
      if (!isZero(bytes)) return at + bytes.findIndex((byte) => byte !== 0);
    }
    return undefined;
  }
}
