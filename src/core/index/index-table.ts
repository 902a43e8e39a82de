/**
 * Hash table from key hashes to entry ids, by extendible hashing (Fagin, Nievergelt, Pippenger, Strong 1979): a
 * directory, indexed by the top bits of the hash, of pages of 2,048 slots with linear probing. A page that is full
 * splits in two, so the table never stops to be rehashed: a split moves at most 2,048 slots (some ten microseconds). A
 * slot holds the whole hash beside the id, so that probing and splitting never touch an entry.
 *
 *   page = (id + 1:u32 hash:u32)* count:u32 depth:u32        id + 1 = 0: the slot is free
 *
 * It owns slots. It does not own keys: two keys of one hash are told apart by the index (key-index.ts).
 */
import { assert } from '../../base/assert.ts';

const slotsPerPage = 2_048;
/** 80% full: a miss looks at some 13 slots on the average, two cache lines. */
const loadMax = 0.8;
/**
 * Greatest depth of the directory: 2^20 pages hold a thousand million keys. Pages that are full at this depth grow
 * instead of splitting.
 */
const depthMax = 20;
/** Memory of a typed array beside its bytes, roughly. */
const arrayOverheadBytes = 200;

export class IndexTable {
  #depth: number;
  /** 32 - depth: hash >>> shift is the directory's index. */
  #shift: number;
  #directory: Uint32Array[];
  #pageBytes = 0;

  /** Room for about `expected` keys before the first split. */
  constructor(expected = 0) {
    this.#depth = Math.min(depthMax, Math.max(1, Math.ceil(Math.log2(Math.max(1, expected) / (slotsPerPage * 0.7)))));
    this.#shift = 32 - this.#depth;
    this.#directory = Array.from({ length: 2 ** this.#depth }, () => this.#page(slotsPerPage, this.#depth));
  }

  get memoryBytes(): number {
    return this.#pageBytes + this.#directory.length * 8;
  }

  /**
   * The page where `hash` belongs. Its slots are probed from `firstSlot(page, hash)` by `nextSlot(page, slot)` up to a
   * free one: `page[slot]` is id + 1 or 0, `page[slot + 1]` the hash.
   */
  pageOf(hash: number): Uint32Array {
    const page = this.#directory[hash >>> this.#shift];
    assert(page !== undefined, 'the directory covers all hashes');
    return page;
  }

  /** REQUIRES: no slot with this id. */
  insert(hash: number, id: number): void {
    let page = this.pageOf(hash);
    while ((page[page.length - 2] ?? 0) >= ((page.length >> 1) - 1) * loadMax) {
      if ((page[page.length - 1] ?? 0) < depthMax) this.#split(page, hash);
      else this.#grow(page, hash);
      page = this.pageOf(hash);
    }
    place(page, hash, id + 1);
  }

  /** Inserts, for loading, and gives true, unless a slot with the same hash is in the way or the page is full. */
  insertQuickly(hash: number, id: number): boolean {
    const page = this.pageOf(hash);
    const countAt = page.length - 2;
    const count = page[countAt] ?? 0;
    if (count >= ((page.length >> 1) - 1) * loadMax) return false;
    let slot = firstSlot(page, hash);
    while (page[slot] !== 0) {
      if (page[slot + 1] === hash) return false;
      slot = nextSlot(page, slot);
    }
    page[slot] = id + 1;
    page[slot + 1] = hash;
    page[countAt] = count + 1;
    return true;
  }

  /** Takes out the slot of `id`. REQUIRES: it is there. */
  remove(hash: number, id: number): void {
    const page = this.pageOf(hash);
    let hole = firstSlot(page, hash);
    while (page[hole] !== id + 1) {
      assert(page[hole] !== 0, 'the table has the entry it is to remove');
      hole = nextSlot(page, hole);
    }
    // Later slots move into the hole where they are reachable there, so that probing needs no tombstones.
    for (let at = nextSlot(page, hole); page[at] !== 0; at = nextSlot(page, at)) {
      const home = firstSlot(page, page[at + 1] ?? 0);
      if (hole <= at ? home <= hole || home > at : home <= hole && home > at) {
        page[hole] = page[at] ?? 0;
        page[hole + 1] = page[at + 1] ?? 0;
        hole = at;
      }
    }
    page[hole] = 0;
    page[hole + 1] = 0;
    page[page.length - 2] = (page[page.length - 2] ?? 0) - 1;
  }

  #page(slots: number, depth: number): Uint32Array {
    const page = new Uint32Array(2 * slots + 2);
    page[page.length - 1] = depth;
    this.#pageBytes += page.byteLength + arrayOverheadBytes;
    return page;
  }

  #split(page: Uint32Array, hash: number): void {
    const depth = page[page.length - 1] ?? 0;
    if (depth === this.#depth) this.#doubleDirectory();
    const zero = this.#page(slotsPerPage, depth + 1);
    const one = this.#page(slotsPerPage, depth + 1);
    for (let at = 0; at < page.length - 2; at += 2) {
      const stored = page[at] ?? 0;
      const storedHash = page[at + 1] ?? 0;
      if (stored !== 0) place(((storedHash >>> (31 - depth)) & 1) === 0 ? zero : one, storedHash, stored);
    }
    this.#replace(page, depth, hash, zero, one);
  }

  #grow(page: Uint32Array, hash: number): void {
    const depth = page[page.length - 1] ?? 0;
    const larger = this.#page((page.length >> 1) * 2 - 2, depth);
    for (let at = 0; at < page.length - 2; at += 2) {
      if (page[at] !== 0) place(larger, page[at + 1] ?? 0, page[at] ?? 0);
    }
    this.#replace(page, depth, hash, larger, larger);
  }

  /**
   * Puts `zero` and `one` where the directory had `page`: it has the directory's entries that share the first `depth`
   * bits of the hash.
   */
  #replace(page: Uint32Array, depth: number, hash: number, zero: Uint32Array, one: Uint32Array): void {
    const count = 2 ** (this.#depth - depth);
    const first = (hash >>> (32 - depth)) * count;
    for (let at = 0; at < count; at++) this.#directory[first + at] = at < count / 2 ? zero : one;
    this.#pageBytes -= page.byteLength + arrayOverheadBytes;
  }

  #doubleDirectory(): void {
    const old = this.#directory;
    const doubled: Uint32Array[] = [];
    for (const page of old) doubled.push(page, page);
    this.#directory = doubled;
    this.#depth++;
    this.#shift--;
  }
}

export function firstSlot(page: Uint32Array, hash: number): number {
  return (hash & ((page.length >> 1) - 2)) << 1;
}

export function nextSlot(page: Uint32Array, slot: number): number {
  return slot + 2 === page.length - 2 ? 0 : slot + 2;
}

function place(page: Uint32Array, hash: number, stored: number): void {
  let at = firstSlot(page, hash);
  while (page[at] !== 0) at = nextSlot(page, at);
  page[at] = stored;
  page[at + 1] = hash;
  page[page.length - 2] = (page[page.length - 2] ?? 0) + 1;
}
