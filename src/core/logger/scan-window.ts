/**
 * Window through which a scan sees a zone: a generator asks for ranges and is given their bytes, so that scans are pure
 * and never hold more than a few batches.
 */
import { asBuffer, isZero } from '../../base/bytes.ts';
import type { BatchHeader } from '../../codec/log-batch.ts';
import { batchHeaderBytes, checkBatchBody, decodeBatchHeader } from '../../codec/log-batch.ts';
import type { ZonePlace } from '../../codec/log-format.ts';
import { zoneSeed } from '../../codec/log-format.ts';

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

export type Scan<T> = Generator<ScanRange, T, Uint8Array>;

/** Default of `ScanInput.chunkBytes`. */
export const scanChunkBytes = 1024 * 1024;
const magicBytes = Buffer.from('KVB1', 'latin1');

export type Piece =
  | { readonly kind: 'batch'; readonly header: BatchHeader; readonly body: 'good' | 'torn' | 'damaged' }
  | { readonly kind: 'untouched' }
  | { readonly kind: 'newer-format'; readonly format: number }
  | { readonly kind: 'damaged'; readonly reason: string };

/** Bytes of the zone through a window of a chunk or a batch, whichever is larger. */
export class ScanWindow {
  readonly bound: number;
  readonly #input: ScanInput;
  readonly seed: number;
  readonly #chunkBytes: number;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(input: ScanInput) {
    this.#input = input;
    this.#chunkBytes = input.chunkBytes ?? scanChunkBytes;
    this.bound = Math.min(input.bound, input.zoneSize);
    this.seed = zoneSeed(input.place);
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
    return { kind: 'batch', header, body: checkBatchBody(bytes, 0, header, this.seed) };
  }

  *#header(at: number): Scan<ReturnType<typeof decodeBatchHeader>> {
    let bytes = yield* this.view(at, batchHeaderBytes);
    let result = decodeBatchHeader(bytes, 0, at, this.#input.place, this.seed);
    if (result.kind === 'short' && at + result.needed <= this.#input.zoneSize) {
      bytes = yield* this.view(at, result.needed);
      result = decodeBatchHeader(bytes, 0, at, this.#input.place, this.seed);
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

/** Drives a scan with bytes from memory, which begin at `start` of the zone: for tests and for what is small. */
export function scanInMemory<T>(scan: Scan<T>, bytes: Uint8Array, start = 0): T {
  let step = scan.next();
  while (step.done !== true) {
    const from = Math.max(0, step.value.offset - start);
    step = scan.next(bytes.subarray(from, from + step.value.length));
  }
  return step.value;
}
