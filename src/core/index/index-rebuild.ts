/**
 * Rebuilds what a snapshot does not hold from the entries and keys that were read: hash table, free entries and counts
 * of living bytes. Every entry is checked; of two entries of one key (the copy was fuzzy) the newer version stays
 * (S12).
 */
import { limits } from '../../base/limits.ts';
import type { KeyArena } from './index-arena.ts';
import type { EntryTable } from './index-entries.ts';
import { entriesPerSegment, entryWord, entryWords } from './index-entries.ts';
import { firstSlot, IndexTable, nextSlot } from './index-table.ts';

export interface Rebuilt {
  readonly table: IndexTable;
  /** Number of keys. */
  readonly size: number;
}

/** Buckets by the top 10 bits of the hash: at ten million keys a bucket's pages of the table are 128 KiB. */
const bucketCount = 1_024;
const bucketShift = 22;

/**
 * Yields after each step of a few milliseconds; gives what is wrong with an entry, if something is. REQUIRES: entries
 * and arena hold all that was read, nothing else uses them.
 */
export function rebuildIndex(entries: EntryTable, arena: KeyArena): Generator<undefined, Rebuilt | string> {
  return new Rebuilder(entries, arena).run();
}

class Rebuilder {
  readonly #entries: EntryTable;
  readonly #arena: KeyArena;
  #size = 0;

  constructor(entries: EntryTable, arena: KeyArena) {
    this.#entries = entries;
    this.#arena = arena;
  }

  /**
   * Checks all entries, then fills the hash table in the order of the hashes' top bits: entries in the order of their
   * ids would touch a page of the table each, at random, which costs several times as much for millions of keys.
   */
  *run(): Generator<undefined, Rebuilt | string> {
    const ends = new Uint32Array(bucketCount + 1);
    // Downwards, so that free entries with small ids are used first.
    for (let number = this.#entries.segmentCount - 1; number >= 0; number--) {
      const reason = this.#checkSegment(number, ends);
      if (reason !== undefined) return reason;
      yield;
    }
    for (let bucket = 1; bucket <= bucketCount; bucket++) ends[bucket] = (ends[bucket] ?? 0) + (ends[bucket - 1] ?? 0);
    this.#size = ends[bucketCount] ?? 0;
    const sorted = new Uint32Array(2 * this.#size);
    for (let number = 0; number < this.#entries.segmentCount; number++) {
      this.#sortSegment(number, sorted, ends);
      yield;
    }
    const table = new IndexTable(this.#size);
    for (let at = 0; at < sorted.length; at += 2 * entriesPerSegment) {
      this.#fillRange(table, sorted, at, Math.min(sorted.length, at + 2 * entriesPerSegment));
      yield;
    }
    this.#arena.seal();
    return { table, size: this.#size };
  }

  /** Number of a segment's entries in use, free or not. */
  #entryCount(number: number): number {
    return Math.min(entriesPerSegment, this.#entries.idEnd - number * entriesPerSegment);
  }

  /** Counts the entries of each bucket in `counts`, one further on. */
  #checkSegment(number: number, counts: Uint32Array): string | undefined {
    // Imported constants are looked up at each use: copies make this loop three times as fast.
    const { keyPosition, hash, keyLength: keyLengthWord } = entryWord;
    const stride = entryWords;
    const { words, floats } = this.#entries.memoryOf(number);
    const first = number * entriesPerSegment;
    for (let index = this.#entryCount(number) - 1; index >= 0; index--) {
      const at = index * stride;
      const keyLength = (words[at + keyLengthWord] ?? 0) & 0xffff;
      if (keyLength === 0) {
        this.#entries.free(first + index);
        continue;
      }
      const position = words[at + keyPosition] ?? 0;
      const reason = this.#checkEntry(keyLength, position, floats[index * 5] ?? 0, floats[index * 5 + 1] ?? 0);
      if (reason !== undefined) return `${reason} (entry ${first + index})`;
      this.#arena.adopt(position, keyLength);
      const bucket = (words[at + hash] ?? 0) >>> bucketShift;
      counts[bucket + 1] = (counts[bucket + 1] ?? 0) + 1;
    }
    return undefined;
  }

  #checkEntry(keyLength: number, position: number, entryVersion: number, entryLba: number): string | undefined {
    if (keyLength > limits.keyBytesMax || this.#arena.lengthAt(position) !== keyLength) return 'entry: no such key';
    if (!Number.isSafeInteger(entryVersion) || entryVersion < 0) return 'entry: impossible version';
    if (!Number.isSafeInteger(entryLba) || entryVersion > entryLba) return 'entry: impossible LBA';
    return undefined;
  }

  /** Writes id and hash of entries to `sorted`, by bucket; `next` has the place for the next one of each. */
  #sortSegment(number: number, sorted: Uint32Array, next: Uint32Array): void {
    const { words } = this.#entries.memoryOf(number);
    const { hash: hashWord, keyLength } = entryWord;
    const stride = entryWords;
    const first = number * entriesPerSegment;
    const count = this.#entryCount(number);
    for (let index = 0; index < count; index++) {
      if (((words[index * stride + keyLength] ?? 0) & 0xffff) === 0) continue;
      const hash = words[index * stride + hashWord] ?? 0;
      const at = next[hash >>> bucketShift] ?? 0;
      next[hash >>> bucketShift] = at + 1;
      sorted[2 * at] = first + index;
      sorted[2 * at + 1] = hash;
    }
  }

  #fillRange(table: IndexTable, sorted: Uint32Array, start: number, end: number): void {
    for (let at = start; at < end; at += 2) {
      const id = sorted[at] ?? 0;
      const hash = sorted[at + 1] ?? 0;
      if (table.insertQuickly(hash, id)) continue;
      const twin = this.#findTwin(table, hash, id);
      if (twin === -1) table.insert(hash, id);
      else this.#resolve(table, hash, id, twin);
    }
  }

  /** The entry in the table that has the same key as `id`, or -1. */
  #findTwin(table: IndexTable, hash: number, id: number): number {
    const page = table.pageOf(hash);
    for (let slot = firstSlot(page, hash); page[slot] !== 0; slot = nextSlot(page, slot)) {
      if (page[slot + 1] !== hash) continue;
      const other = (page[slot] ?? 0) - 1;
      const length = this.#entries.keyLength(id);
      if (
        length === this.#entries.keyLength(other) &&
        this.#arena.sameKey(this.#entries.keyPosition(id), this.#entries.keyPosition(other), length)
      )
        return other;
    }
    return -1;
  }

  /** Two entries of one key: the newer version stays (S12). */
  #resolve(table: IndexTable, hash: number, id: number, twin: number): void {
    const loser = this.#entries.version(id) < this.#entries.version(twin) ? id : twin;
    if (loser === twin) {
      table.remove(hash, twin);
      table.insert(hash, id);
    }
    this.#arena.release(this.#entries.keyPosition(loser), this.#entries.keyLength(loser));
    this.#entries.free(loser);
    this.#size--;
  }
}
