/**
 * The index of one shard: key -> { version, LBA, record length, value length, expiry }, all of it outside the
 * JavaScript heap, growing by segments and splitting pages, so that neither garbage collection nor growth ever stops
 * the process for long. About 80 bytes for a key of 20.
 *
 * Keeps S12: a put or delete applies iff its version is not older than the indexed one. Deleted keys leave, so what S12
 * says about a key that is not here holds only for records applied in log order; replay from an earlier position is in
 * log order, too.
 *
 * Parts: IndexTable (hash -> entry id), EntryTable (entry id -> fields), KeyArena (the bytes of keys), hashKey.
 * Snapshots: index-snapshot.ts.
 *
 * It owns the three parts and what one write does to all of them. It does not own the log, its order and its positions
 * (core/shard), expiry (it stores the time, nobody here compares it), nor snapshots (index-snapshot.ts,
 * index-loader.ts).
 */
import { assert } from '../../base/assert.ts';
import type { Lba, Version } from '../../base/ids.ts';
import { lba as toLba, version as toVersion } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import { KeyArena } from './index-arena.ts';
import { EntryTable, lostValueLength } from './index-entries.ts';
import type { IndexSeed } from './index-hash.ts';
import { hashKey } from './index-hash.ts';
import { firstSlot, IndexTable, nextSlot } from './index-table.ts';

/** Keys looked at by one put or delete while a sparse segment of the arena is being compacted. */
const compactKeysPerWrite = 4;

/** Called when the record at `lba`, `recordLength` bytes long, is no longer what the index points to. */
export type OnReplaced = (lba: number, recordLength: number) => void;

/** The parts of an index, for snapshots alone. */
export interface IndexParts {
  readonly entries: EntryTable;
  readonly arena: KeyArena;
  readonly table: IndexTable;
  readonly size: number;
}

export class KeyIndex {
  readonly seed: IndexSeed;
  readonly #entries: EntryTable;
  readonly #arena: KeyArena;
  readonly #table: IndexTable;
  readonly #seedLow: number;
  readonly #seedHigh: number;
  readonly #onReplaced: OnReplaced | undefined;
  #size = 0;
  /** Snapshots being taken: keys must not move meanwhile. */
  #pins = 0;
  /** Position of the next key to look at in the arena's sparse segment; -1: its first. */
  #compacting = -1;

  /**
   * `seed`: random, so that clients cannot make keys that collide. `onReplaced`: for counting live bytes by zone;
   * called exactly once for each put that had applied when another put or a delete takes its place, also when that is
   * the same record, applied again in a replay.
   */
  constructor(seed: IndexSeed, onReplaced?: OnReplaced, parts?: IndexParts) {
    this.seed = { low: seed.low >>> 0, high: seed.high >>> 0 };
    this.#seedLow = this.seed.low | 0;
    this.#seedHigh = this.seed.high | 0;
    this.#onReplaced = onReplaced;
    this.#entries = parts?.entries ?? new EntryTable();
    this.#arena = parts?.arena ?? new KeyArena();
    this.#table = parts?.table ?? new IndexTable();
    this.#size = parts?.size ?? 0;
  }

  /** Keys. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of memory, allocated or not yet touched. The caller bounds it: put does not refuse. */
  get memoryBytes(): number {
    return this.#entries.memoryBytes + this.#arena.memoryBytes + this.#table.memoryBytes;
  }

  /** A u32, for `findHashed`, when one key is looked up several times. */
  hash(bytes: Uint8Array, start: number, length: number): number {
    return hashKey(bytes, start, length, this.#seedLow, this.#seedHigh);
  }

  /** Entry id of the key at [start, start + length) of `bytes`, or -1. Good until the key is deleted. */
  find(bytes: Uint8Array, start: number, length: number): number {
    return this.findHashed(this.hash(bytes, start, length), bytes, start, length);
  }

  findHashed(hash: number, bytes: Uint8Array, start: number, length: number): number {
    const page = this.#table.pageOf(hash);
    for (let slot = firstSlot(page, hash); ; slot = nextSlot(page, slot)) {
      const stored = page[slot] ?? 0;
      if (stored === 0) return -1;
      if (page[slot + 1] === hash && this.#arena.equals(this.#entries.keyPosition(stored - 1), bytes, start, length))
        return stored - 1;
    }
  }

  versionOf(id: number): Version {
    return toVersion(this.#entries.version(id));
  }

  lbaOf(id: number): Lba {
    return toLba(this.#entries.lba(id));
  }

  /** Length of the record at `lbaOf(id)`, in bytes. */
  lengthOf(id: number): number {
    return this.#entries.recordLength(id);
  }

  valueLengthOf(id: number): number {
    return this.#entries.valueLength(id);
  }

  /** Whether nobody knows the value: only that there was a newer one than any that the log has. */
  isLost(id: number): boolean {
    return this.#entries.valueLength(id) === lostValueLength;
  }

  /** Milliseconds since 1970; 0: never. */
  expiresAtOf(id: number): number {
    return this.#entries.expiresAt(id);
  }

  /** A copy. */
  keyOf(id: number): Uint8Array {
    return this.#arena.copyOf(this.#entries.keyPosition(id));
  }

  keyLengthOf(id: number): number {
    return this.#entries.keyLength(id);
  }

  /**
   * Applies a put. Gives whether it did: not when the index has a newer version (S12). `expiresAt`: ms since 1970, 0
   * never.
   */
  put(
    bytes: Uint8Array,
    start: number,
    length: number,
    version: number,
    lba: number,
    recordLength: number,
    valueLength: number,
    expiresAt: number,
  ): boolean {
    assert(length >= 1 && length <= limits.keyBytesMax && start + length <= bytes.length, 'a key has 1..1024 bytes');
    assert(version <= lba, 'S12 a version is the LBA of the record or of an earlier copy');
    assert(expiresAt >= 0 && expiresAt < 2 ** 48, 'an expiry fits its field');
    const hash = this.hash(bytes, start, length);
    let id = this.findHashed(hash, bytes, start, length);
    if (id === -1) {
      id = this.#entries.allocate();
      this.#entries.setKey(id, hash, this.#arena.append(bytes, start, length), length);
      this.#table.insert(hash, id);
      this.#size++;
      if (this.#arena.sparseSegment !== -1) this.#compact();
    } else {
      if (version < this.#entries.version(id)) return false;
      this.#onReplaced?.(this.#entries.lba(id), this.#entries.recordLength(id));
    }
    this.#entries.setRecord(id, version, lba, recordLength, valueLength, expiresAt);
    return true;
  }

  /** Applies the record of `recordLength` bytes at `lba` that says of the key that it is lost. */
  lose(bytes: Uint8Array, start: number, length: number, lba: number, recordLength: number): void {
    this.put(bytes, start, length, lba, lba, recordLength, lostValueLength, 0);
  }

  /** Applies a delete. Gives whether a key left: not when the index has a newer version (S12) or no such key. */
  delete(bytes: Uint8Array, start: number, length: number, version: number): boolean {
    const id = this.find(bytes, start, length);
    if (id === -1 || version < this.#entries.version(id)) return false;
    this.#onReplaced?.(this.#entries.lba(id), this.#entries.recordLength(id));
    this.#remove(id);
    if (this.#arena.sparseSegment !== -1) this.#compact();
    return true;
  }

  /** Takes a key out without a record of its own, for S14's purge of entries that point into a dropped zone. */
  purge(id: number): void {
    assert(id < this.#entries.idEnd && !this.#entries.isFree(id), 'the entry exists');
    this.#onReplaced?.(this.#entries.lba(id), this.#entries.recordLength(id));
    this.#remove(id);
  }

  /** Ids are below this. */
  get entryIdEnd(): number {
    return this.#entries.idEnd;
  }

  /**
   * Ids in use among the `count` ids from `fromEntryId`; go on at `fromEntryId + count` until `entryIdEnd`. A key that
   * is there all the time is seen exactly once by such a walk, whatever is put and deleted meanwhile.
   */
  entries(fromEntryId: number, count: number): number[] {
    const found: number[] = [];
    const end = Math.min(this.#entries.idEnd, fromEntryId + count);
    for (let id = fromEntryId; id < end; id++) if (!this.#entries.isFree(id)) found.push(id);
    return found;
  }

  /** Gives the parts as they are, for snapshots; keys stay where they are until `unpin`. */
  pin(): IndexParts {
    this.#pins++;
    return { entries: this.#entries, arena: this.#arena, table: this.#table, size: this.#size };
  }

  unpin(): void {
    assert(this.#pins > 0, 'a pin is taken back once');
    this.#pins--;
  }

  #remove(id: number): void {
    this.#arena.release(this.#entries.keyPosition(id), this.#entries.keyLength(id));
    this.#table.remove(this.#entries.hash(id), id);
    this.#entries.free(id);
    this.#size--;
  }

  /** Moves the next few keys of the first sparse segment to the arena's end; drops the segment after its last one. */
  #compact(): void {
    if (this.#pins > 0) return;
    const number = this.#arena.sparseSegment;
    const segment = this.#arena.segment(number);
    let position = this.#compacting === -1 ? this.#arena.firstPosition(number) : this.#compacting;
    for (let count = 0; count < compactKeysPerWrite && position !== -1 && !this.#arena.isDead(number); count++) {
      const length = this.#arena.lengthAt(position);
      const from = this.#arena.keyStart(position);
      const id = this.find(segment, from, length);
      if (id !== -1 && this.#entries.keyPosition(id) === position) {
        this.#entries.setKeyPosition(id, this.#arena.append(segment, from, length));
        this.#arena.release(position, length);
      }
      position = this.#arena.nextPosition(position, length);
    }
    this.#compacting = position;
    if (!this.#arena.isDead(number)) return;
    this.#arena.dropSparseSegment();
    this.#compacting = -1;
  }
}
