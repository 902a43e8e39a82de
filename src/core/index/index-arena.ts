/**
 * The bytes of all keys, in segments of 512 KiB that are only ever appended to. A key lies in one segment:
 *
 *   key = length:u16 bytes, zero-padded to a multiple of 4
 *
 * and its position is (segment * segment size + offset) / 4, a u32: 16 GiB of keys. Space of deleted keys comes back by
 * moving what lives in a sparse segment to the end and dropping the segment (KeyIndex does it, a few keys at a time).
 *
 * It owns the bytes of keys and how many of them live. It does not own which entry has which key, nor when a sparse
 * segment is compacted (key-index.ts).
 */
import { assert } from '../../base/assert.ts';

export const arenaSegmentBytes = 512 * 1024;
const segmentShift = 17;
const offsetMask = 2 ** segmentShift - 1;
export const arenaSegmentsMax = 2 ** (32 - segmentShift);
const none = new Uint8Array(0);

/** Bytes that a key takes here. */
function spaceOf(length: number): number {
  return (length + 5) & ~3;
}

export class KeyArena {
  /** A dropped segment is an empty array; its number is used again. */
  readonly #segments: Uint8Array[] = [];
  /** Bytes appended to each segment, and how many of them belong to keys that live. */
  readonly #used: number[] = [];
  readonly #live: number[] = [];
  readonly #dropped: number[] = [];
  /** Full segments of which less than half lives, each once. */
  readonly #sparse: number[] = [];
  #current = -1;
  #liveBytes = 0;
  #memoryBytes = 0;

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  /** REQUIRES: the segment has keys. */
  firstPosition(number: number): number {
    return (number << segmentShift) >>> 0;
  }

  /** Start of the key's bytes in its segment. */
  keyStart(position: number): number {
    return ((position & offsetMask) << 2) + 2;
  }

  /** The appended part of a segment, not a copy; empty for a dropped one. */
  segment(number: number): Uint8Array {
    return this.#segments[number]?.subarray(0, this.#used[number]) ?? none;
  }

  append(bytes: Uint8Array, start: number, length: number): number {
    const space = spaceOf(length);
    let used = this.#used[this.#current] ?? arenaSegmentBytes;
    if (used + space > arenaSegmentBytes) {
      this.#addSegment();
      used = 0;
    }
    const segment = this.#segments[this.#current] ?? none;
    segment[used] = length & 0xff;
    segment[used + 1] = length >>> 8;
    const to = used + 2;
    for (let at = 0; at < length; at++) segment[to + at] = bytes[start + at] ?? 0;
    this.#used[this.#current] = used + space;
    this.#live[this.#current] = (this.#live[this.#current] ?? 0) + space;
    this.#liveBytes += space;
    return ((this.#current << segmentShift) | (used >>> 2)) >>> 0;
  }

  equals(position: number, bytes: Uint8Array, start: number, length: number): boolean {
    const segment = this.#segments[position >>> segmentShift] ?? none;
    const from = (position & offsetMask) << 2;
    if (segment[from] !== (length & 0xff) || segment[from + 1] !== length >>> 8) return false;
    for (let at = 0; at < length; at++) if (segment[from + 2 + at] !== bytes[start + at]) return false;
    return true;
  }

  /** Whether two keys of the same length are equal. */
  sameKey(position: number, other: number, length: number): boolean {
    return this.equals(position, this.#segments[other >>> segmentShift] ?? none, this.keyStart(other), length);
  }

  /** The key's length; 0 where no key begins, or none that ends in its segment: only damage leads there. */
  lengthAt(position: number): number {
    const number = position >>> segmentShift;
    const segment = this.#segments[number] ?? none;
    const from = (position & offsetMask) << 2;
    const length = (segment[from] ?? 0) | ((segment[from + 1] ?? 0) << 8);
    return from + 2 + length <= (this.#used[number] ?? 0) ? length : 0;
  }

  copyOf(position: number): Uint8Array {
    const from = ((position & offsetMask) << 2) + 2;
    return (this.#segments[position >>> segmentShift] ?? none).slice(from, from + this.lengthAt(position));
  }

  /** The key's bytes are wanted no more. */
  release(position: number, length: number): void {
    const number = position >>> segmentShift;
    const before = this.#live[number] ?? 0;
    const space = spaceOf(length);
    assert(before >= space, 'a key is released once');
    this.#live[number] = before - space;
    this.#liveBytes -= space;
    const half = (this.#used[number] ?? 0) / 2;
    if (number !== this.#current && before >= half && before - space < half) this.#sparse.push(number);
  }

  /** The segment to compact next, or -1. It stays the same until it is dropped. */
  get sparseSegment(): number {
    return this.#sparse[0] ?? -1;
  }

  isDead(number: number): boolean {
    return this.#live[number] === 0;
  }

  /** Gives back the memory of the segment to compact. REQUIRES: no key in it lives. */
  dropSparseSegment(): void {
    const number = this.#sparse.shift() ?? -1;
    assert(number !== this.#current && this.#live[number] === 0, 'only a dead segment is dropped');
    this.#memoryBytes -= this.#segments[number]?.length ?? 0;
    this.#segments[number] = none;
    this.#used[number] = 0;
    this.#dropped.push(number);
  }

  /**
   * Takes over the bytes of a segment from a snapshot. Keys in it live when `adopt` says so. REQUIRES: a segment's
   * memory, full size.
   */
  restore(number: number, memory: Uint8Array, used: number): void {
    assert(memory.length === arenaSegmentBytes && number < arenaSegmentsMax, 'a segment of the arena');
    while (this.#segments.length <= number) {
      this.#dropped.push(this.#segments.length);
      this.#segments.push(none);
      this.#used.push(0);
      this.#live.push(0);
    }
    const at = this.#dropped.indexOf(number);
    assert(at !== -1, 'a segment is restored once');
    this.#dropped.splice(at, 1);
    this.#segments[number] = memory;
    this.#used[number] = used;
    this.#memoryBytes += memory.length;
  }

  /** Counts a key of a restored segment as living. */
  adopt(position: number, length: number): void {
    const number = position >>> segmentShift;
    this.#live[number] = (this.#live[number] ?? 0) + spaceOf(length);
    this.#liveBytes += spaceOf(length);
  }

  /** Position of the key that was appended to its segment after the one at `position`; -1 after the last one. */
  nextPosition(position: number, length: number): number {
    const number = position >>> segmentShift;
    const offset = ((position & offsetMask) << 2) + spaceOf(length);
    return offset >= (this.#used[number] ?? 0) ? -1 : ((number << segmentShift) | (offset >>> 2)) >>> 0;
  }

  /** Ends a restoring, after all keys are adopted and twins released: sparse segments are to be compacted. */
  seal(): void {
    this.#sparse.length = 0;
    for (let number = 0; number < this.#segments.length; number++) this.#noteIfSparse(number);
  }

  #noteIfSparse(number: number): void {
    if ((this.#live[number] ?? 0) < (this.#used[number] ?? 0) / 2) this.#sparse.push(number);
  }

  #addSegment(): void {
    if (this.#current !== -1) this.#noteIfSparse(this.#current);
    const number = this.#dropped.pop() ?? this.#segments.length;
    assert(number < arenaSegmentsMax, 'the key arena has room: the caller bounds memoryBytes');
    this.#segments[number] = new Uint8Array(arenaSegmentBytes);
    this.#used[number] = 0;
    this.#live[number] = 0;
    this.#memoryBytes += arenaSegmentBytes;
    this.#current = number;
  }
}
