/**
 * Loads what index-snapshot.ts wrote. Bytes come in pieces of any size; damage is a result that says where, and a
 * damaged snapshot gives nothing. Segments are read into the memory they stay in; the hash table, the free entries and
 * the counts of living bytes are rebuilt from them, so that nothing has to be trusted about them.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { ShardId, Uuid } from '../../base/ids.ts';
import { clientId, version } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { ChunkHead, ChunkKind, SnapshotHeader, SnapshotProblem } from '../../codec/index-snapshot.ts';
import {
  ChunkChecker,
  chunkHeadBytes,
  chunkKind,
  decodeChunkHead,
  decodeOnceClients,
  decodeSnapshotHeader,
  hostIsLittleEndian,
} from '../../codec/index-snapshot.ts';
import { arenaSegmentBytes, arenaSegmentsMax, KeyArena } from './index-arena.ts';
import { EntrySegment, EntryTable, entriesPerSegment, entryBytes, entryWord, entryWords } from './index-entries.ts';
import { firstSlot, IndexTable, nextSlot } from './index-table.ts';
import type { OnReplaced } from './key-index.ts';
import { KeyIndex } from './key-index.ts';
import type { OnceLimits } from '../once/once-table.ts';
import { onceLimits, OnceTable } from '../once/once-table.ts';

export type SnapshotResult =
  | { readonly kind: 'loaded'; readonly header: SnapshotHeader; readonly index: KeyIndex; readonly once: OnceTable }
  | SnapshotProblem;

export interface SnapshotExpected {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zoneSize: number;
}

/** Kinds of chunks in the order they come. */
const order: readonly ChunkKind[] = [
  chunkKind.header,
  chunkKind.entries,
  chunkKind.keys,
  chunkKind.once,
  chunkKind.end,
];

/** By the top 10 bits of the hash: at ten million keys a bucket's pages of the table are 128 KiB. */
const bucketCount = 1_024;
const bucketShift = 22;

export interface LoaderOptions {
  /** Callback of the index that is loaded; not called for what the snapshot holds. */
  readonly onReplaced?: OnReplaced;
  readonly onceLimits?: OnceLimits;
}

/**
 * `push` pieces until they end, then `finish`. To keep the event loop free while a large index is rebuilt, call
 * `rebuild` until it gives false before `finish`.
 */
export class SnapshotLoader {
  readonly #expected: SnapshotExpected;
  readonly #options: LoaderOptions;
  readonly #checker = new ChunkChecker();
  #problem: SnapshotProblem | undefined;
  #offset = 0;
  // The chunk that is arriving.
  readonly #headBytes = Buffer.alloc(chunkHeadBytes);
  #filled = 0;
  #head: ChunkHead | undefined;
  #payload: Uint8Array = new Uint8Array(0);
  #entrySegment: EntrySegment | undefined;
  // What has arrived.
  #header: SnapshotHeader | undefined;
  #stage = 0;
  readonly #entries = new EntryTable();
  readonly #arena = new KeyArena();
  readonly #once: OnceTable;
  #lastKeySegment = -1;
  // Rebuilding.
  #steps: Generator<undefined, string | undefined> | undefined;
  #table: IndexTable | undefined;
  #size = 0;

  constructor(expected: SnapshotExpected, options: LoaderOptions = {}) {
    this.#expected = expected;
    this.#options = options;
    this.#once = new OnceTable(options.onceLimits ?? onceLimits);
    if (!hostIsLittleEndian) this.#fail('this machine is big-endian');
  }

  /** Takes the next bytes. Gives what is wrong with the snapshot, once something is. */
  push(piece: Uint8Array): SnapshotProblem | undefined {
    let at = 0;
    while (at < piece.length && this.#problem === undefined) {
      if (this.#stage === order.length - 1) return this.#fail('bytes after the end');
      at += this.#head === undefined ? this.#takeHead(piece, at) : this.#takePayload(piece, at, this.#head);
    }
    return this.#problem;
  }

  /** One step of rebuilding, a few milliseconds. Gives whether there are more. REQUIRES: all bytes were pushed. */
  rebuild(): boolean {
    if (this.#problem !== undefined || this.#stage !== order.length - 1) return false;
    this.#steps ??= this.#rebuild();
    const step = this.#steps.next();
    if (step.done !== true) return true;
    if (step.value !== undefined) this.#fail(step.value);
    return false;
  }

  /** REQUIRES: all bytes were pushed. Call it once. */
  finish(): SnapshotResult {
    while (this.rebuild());
    if (this.#problem !== undefined) return this.#problem;
    const header = this.#header;
    if (header === undefined || this.#table === undefined) return this.#fail('the snapshot is cut off');
    this.#once.restoreFloor(header.floor);
    const parts = { entries: this.#entries, arena: this.#arena, table: this.#table, size: this.#size };
    return {
      kind: 'loaded',
      header,
      index: new KeyIndex(header.seed, this.#options.onReplaced, parts),
      once: this.#once,
    };
  }

  #fail(reason: string): SnapshotProblem {
    this.#problem ??= { kind: 'damaged', reason, offset: this.#offset };
    return this.#problem;
  }

  #takeHead(piece: Uint8Array, at: number): number {
    const count = Math.min(chunkHeadBytes - this.#filled, piece.length - at);
    this.#headBytes.set(piece.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled < chunkHeadBytes) return count;
    const head = decodeChunkHead(this.#headBytes);
    const reason = typeof head === 'string' ? head : this.#prepare(head);
    if (reason !== undefined) this.#fail(reason);
    else if (typeof head !== 'string' && head.length === 0) this.#fail('chunk: empty');
    return count;
  }

  /** Makes room for the payload, in the memory where it will stay. */
  #prepare(head: ChunkHead): string | undefined {
    const stage = order.indexOf(head.kind);
    if (stage < this.#stage) return 'chunk: out of order';
    this.#head = head;
    this.#filled = 0;
    switch (head.kind) {
      case chunkKind.entries:
        if (head.length > entriesPerSegment * entryBytes || head.length % entryBytes !== 0)
          return 'entries: impossible length';
        if (head.number !== this.#entries.segmentCount || this.#entries.idEnd % entriesPerSegment !== 0)
          return 'entries: out of order';
        this.#entrySegment = new EntrySegment();
        this.#payload = this.#entrySegment.bytes;
        return undefined;
      case chunkKind.keys:
        if (head.length > arenaSegmentBytes) return 'keys: impossible length';
        if (head.number <= this.#lastKeySegment || head.number >= arenaSegmentsMax) return 'keys: out of order';
        this.#payload = new Uint8Array(arenaSegmentBytes);
        return undefined;
      default:
        this.#payload = new Uint8Array(head.length);
        return undefined;
    }
  }

  #takePayload(piece: Uint8Array, at: number, head: ChunkHead): number {
    const count = Math.min(head.length - this.#filled, piece.length - at);
    this.#payload.set(piece.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled < head.length) return count;
    const payload = this.#payload.subarray(0, head.length);
    const reason = this.#checker.check(this.#headBytes, head, payload) ?? this.#accept(head, payload);
    if (reason !== undefined) this.#fail(reason);
    this.#offset += chunkHeadBytes + head.length;
    this.#stage = order.indexOf(head.kind);
    this.#head = undefined;
    this.#filled = 0;
    return count;
  }

  #accept(head: ChunkHead, payload: Uint8Array): string | undefined {
    switch (head.kind) {
      case chunkKind.header:
        return this.#acceptHeader(payload);
      case chunkKind.entries:
        assert(this.#entrySegment !== undefined, 'the segment was prepared');
        this.#entries.restore(this.#entrySegment, head.length / entryBytes);
        return undefined;
      case chunkKind.keys:
        this.#lastKeySegment = head.number;
        this.#arena.restore(head.number, this.#payload, head.length);
        return undefined;
      case chunkKind.once:
        return this.#acceptOnce(payload);
      case chunkKind.end:
        return this.#entries.segmentCount === this.#header?.entrySegments ? undefined : 'entries: a segment is missing';
      default:
        return unreachable(head.kind);
    }
  }

  #acceptHeader(payload: Uint8Array): string | undefined {
    const header = decodeSnapshotHeader(payload);
    if ('kind' in header) {
      this.#problem = header;
      return undefined;
    }
    const { cluster, shard, zoneSize } = this.#expected;
    if (header.cluster !== cluster || header.shard !== shard || header.zoneSize !== zoneSize)
      return 'header: of another cluster, shard or zone size';
    this.#header = header;
    return undefined;
  }

  #acceptOnce(payload: Uint8Array): string | undefined {
    const clients = decodeOnceClients(payload, (this.#options.onceLimits ?? onceLimits).window);
    if (typeof clients === 'string') return clients;
    for (const { client, first, partial, results } of clients) {
      this.#once.restore({
        client: clientId(client),
        first,
        partial,
        results: results.map((result) => ({ ...result, version: version(result.version) })),
      });
    }
    return undefined;
  }

  /**
   * Checks all entries, then fills the hash table in the order of the hashes' top bits: entries in the order of their
   * ids would touch a page of the table each, at random, which costs several times as much for millions of keys. Gives
   * what is wrong with an entry, if something is.
   */
  *#rebuild(): Generator<undefined, string | undefined> {
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
    this.#table = new IndexTable(this.#size);
    for (let at = 0; at < sorted.length; at += 2 * entriesPerSegment) {
      this.#fillRange(this.#table, sorted, at, Math.min(sorted.length, at + 2 * entriesPerSegment));
      yield;
    }
    this.#arena.seal();
    return undefined;
  }

  /** Entries in use of a segment, free or not. */
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

/** Loads a snapshot that is there as a whole. */
export function loadSnapshot(
  pieces: Iterable<Uint8Array>,
  expected: SnapshotExpected,
  options: LoaderOptions = {},
): SnapshotResult {
  const loader = new SnapshotLoader(expected, options);
  for (const piece of pieces) {
    const problem = loader.push(piece);
    if (problem !== undefined) return problem;
  }
  return loader.finish();
}
