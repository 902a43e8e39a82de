/**
 * Entries of the index, one for each key, in segments of 8,192, with ids that stay while the key does. One entry, 40
 * bytes:
 *
 *    0 version:f64   8 lba:f64
 *   16 record length:u32   20 value length:u32   24 key position:u32 (KeyArena)   28 hash:u32
 *   32 expiry low:u32      36 key length:u16 + expiry high:u16 << 16              expiry: ms since 1970, 0 never
 *
 * Value length 2^32 - 1: the key is lost. Key length 0: the entry is free, and its key position is the id of the next
 * free one + 1, or 0.
 */
import { assert } from '../../base/assert.ts';

/** Value length of a key that is lost (S9): there is no value, and nobody knows which there was. */
export const lostValueLength = 0xffff_ffff;

export const entryBytes = 40;
export const entriesPerSegment = 8_192;
const segmentShift = 13;
const indexMask = entriesPerSegment - 1;
/** Ids are below 2^32 - 1: the hash table stores id + 1. */
const segmentsMax = 2 ** (32 - segmentShift) - 1;

/** Places of the fields that loading reads directly, in u32 from the start of an entry. */
export const entryWords = 10;
export const entryWord = { keyPosition: 6, hash: 7, keyLength: 9 } as const;

export class EntrySegment {
  readonly floats: Float64Array;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  constructor() {
    const memory = new ArrayBuffer(entriesPerSegment * entryBytes);
    this.floats = new Float64Array(memory);
    this.words = new Uint32Array(memory);
    this.bytes = new Uint8Array(memory);
  }
}

export class EntryTable {
  readonly #segments: EntrySegment[] = [];
  /** Ids at or above it were never used. */
  #idEnd = 0;
  /** Id + 1 of the first free entry below `#idEnd`; 0: there is none. */
  #free = 0;

  get memoryBytes(): number {
    return this.#segments.length * (entriesPerSegment * entryBytes + 600);
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get idEnd(): number {
    return this.#idEnd;
  }

  /** The used part of a segment, not a copy. */
  segment(number: number): Uint8Array {
    const segment = this.#segmentOf(number << segmentShift);
    return segment.bytes.subarray(
      0,
      Math.min(entriesPerSegment, this.#idEnd - number * entriesPerSegment) * entryBytes,
    );
  }

  /** Memory of a segment, for loading. */
  memoryOf(number: number): EntrySegment {
    return this.#segmentOf(number << segmentShift);
  }

  allocate(): number {
    if (this.#free !== 0) {
      const id = this.#free - 1;
      this.#free = this.keyPosition(id);
      // The next key of this id begins with no version (S12).
      this.#segmentOf(id).floats[(id & indexMask) * 5] = 0;
      return id;
    }
    if (this.#idEnd >>> segmentShift === this.#segments.length) {
      assert(this.#segments.length < segmentsMax, 'the index has room: the caller bounds memoryBytes');
      this.#segments.push(new EntrySegment());
    }
    return this.#idEnd++;
  }

  free(id: number): void {
    const { words } = this.#segmentOf(id);
    const at = (id & indexMask) * 10;
    words[at + 9] = 0;
    words[at + 6] = this.#free;
    this.#free = id + 1;
  }

  /**
   * Takes over a segment from a snapshot; entries are not looked at before `relink`. REQUIRES: in order, all but the
   * last one full.
   */
  restore(segment: EntrySegment, count: number): void {
    assert(this.#idEnd === this.#segments.length * entriesPerSegment, 'only the last segment is not full');
    this.#segments.push(segment);
    this.#idEnd += count;
  }

  isFree(id: number): boolean {
    return this.keyLength(id) === 0;
  }

  version(id: number): number {
    return this.#segmentOf(id).floats[(id & indexMask) * 5] ?? 0;
  }

  lba(id: number): number {
    return this.#segmentOf(id).floats[(id & indexMask) * 5 + 1] ?? 0;
  }

  recordLength(id: number): number {
    return this.#segmentOf(id).words[(id & indexMask) * 10 + 4] ?? 0;
  }

  valueLength(id: number): number {
    return this.#segmentOf(id).words[(id & indexMask) * 10 + 5] ?? 0;
  }

  keyPosition(id: number): number {
    return this.#segmentOf(id).words[(id & indexMask) * 10 + 6] ?? 0;
  }

  hash(id: number): number {
    return this.#segmentOf(id).words[(id & indexMask) * 10 + 7] ?? 0;
  }

  expiresAt(id: number): number {
    const { words } = this.#segmentOf(id);
    const at = (id & indexMask) * 10;
    return ((words[at + 9] ?? 0) >>> 16) * 2 ** 32 + (words[at + 8] ?? 0);
  }

  keyLength(id: number): number {
    return (this.#segmentOf(id).words[(id & indexMask) * 10 + 9] ?? 0) & 0xffff;
  }

  setKey(id: number, hash: number, position: number, length: number): void {
    const { words } = this.#segmentOf(id);
    const at = (id & indexMask) * 10;
    words[at + 6] = position;
    words[at + 7] = hash;
    words[at + 9] = length;
  }

  setKeyPosition(id: number, position: number): void {
    this.#segmentOf(id).words[(id & indexMask) * 10 + 6] = position;
  }

  /** REQUIRES: `version` is not older than the entry's (S12). */
  setRecord(
    id: number,
    version: number,
    lba: number,
    recordLength: number,
    valueLength: number,
    expiresAt: number,
  ): void {
    const { floats, words } = this.#segmentOf(id);
    const index = id & indexMask;
    assert(version >= (floats[index * 5] ?? 0), 'S12 an entry never gets an older version');
    floats[index * 5] = version;
    floats[index * 5 + 1] = lba;
    const at = index * 10;
    words[at + 4] = recordLength;
    words[at + 5] = valueLength;
    const high = Math.floor(expiresAt / 2 ** 32);
    words[at + 8] = expiresAt - high * 2 ** 32;
    words[at + 9] = ((words[at + 9] ?? 0) & 0xffff) | (high << 16);
  }

  #segmentOf(id: number): EntrySegment {
    const segment = this.#segments[id >>> segmentShift];
    assert(segment !== undefined, 'the entry exists');
    return segment;
  }
}
