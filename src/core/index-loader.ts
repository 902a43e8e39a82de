/**
 * Loads what index-snapshot.ts wrote. Bytes come in pieces of any size; damage is a result that says where, and a damaged snapshot gives
 * nothing. Segments are read into the memory they stay in; the hash table, the free entries and the counts of living bytes are rebuilt from them,
 * so that nothing has to be trusted about them.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { ShardId, Uuid } from '../base/ids.ts';
import { clientId, version } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { ChunkHead, ChunkKind, SnapshotHeader, SnapshotProblem } from '../codec/index-snapshot.ts';
import {
  ChunkChecker, chunkHeadBytes, chunkKind, decodeChunkHead, decodeOnceClients, decodeSnapshotHeader, hostIsLittleEndian,
} from '../codec/index-snapshot.ts';
import { arenaSegmentBytes, arenaSegmentsMax, KeyArena } from './index-arena.ts';
import { EntrySegment, EntryTable, entriesPerSegment, entryBytes } from './index-entries.ts';
import { IndexTable } from './index-table.ts';
import type { OnReplaced } from './key-index.ts';
import { KeyIndex } from './key-index.ts';
import type { OnceLimits } from './once-table.ts';
import { onceLimits, OnceTable } from './once-table.ts';

export type SnapshotResult =
  | { readonly kind: 'loaded'; readonly header: SnapshotHeader; readonly index: KeyIndex; readonly once: OnceTable }
  | SnapshotProblem;

export interface SnapshotExpected {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zoneSize: number;
}

/** Kinds of chunks in the order they come. */
const order: readonly ChunkKind[] = [chunkKind.header, chunkKind.entries, chunkKind.keys, chunkKind.once, chunkKind.end];

export interface LoaderOptions {
  /** Of the index that is loaded; not called for what the snapshot holds. */
  readonly onReplaced?: OnReplaced;
  readonly onceLimits?: OnceLimits;
}

/**
 * `push` pieces until they end, then `finish`. To keep the event loop free while a large index is rebuilt, call `rebuild` some thousand
 * entries at a time before `finish`.
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
  // Rebuilding: ids from here on are done.
  #table: IndexTable | undefined;
  #rebuiltFrom = -1;
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

  /** Rebuilds from about `entriesMax` more entries. Gives whether there are more. REQUIRES: all bytes were pushed. */
  rebuild(entriesMax: number): boolean {
    if (this.#problem !== undefined || this.#stage !== order.length - 1) return false;
    if (this.#table === undefined) {
      this.#table = new IndexTable(this.#entries.idEnd);
      this.#rebuiltFrom = this.#entries.idEnd;
    }
    // Downwards, so that free entries with small ids are used first.
    const end = Math.max(0, this.#rebuiltFrom - entriesMax);
    for (let id = this.#rebuiltFrom - 1; id >= end; id--) {
      const reason = this.#rebuildEntry(this.#table, id);
      if (reason !== undefined) {
        this.#fail(`${reason} (entry ${id})`);
        return false;
      }
    }
    this.#rebuiltFrom = end;
    return end > 0;
  }

  /** REQUIRES: all bytes were pushed. Call it once. */
  finish(): SnapshotResult {
    while (this.rebuild(entriesPerSegment));
    if (this.#problem !== undefined) return this.#problem;
    const header = this.#header;
    if (header === undefined || this.#table === undefined) return this.#fail('the snapshot is cut off');
    this.#arena.seal();
    this.#once.restoreFloor(header.floor);
    const parts = { entries: this.#entries, arena: this.#arena, table: this.#table, size: this.#size };
    return { kind: 'loaded', header, index: new KeyIndex(header.seed, this.#options.onReplaced, parts), once: this.#once };
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
        if (head.length > entriesPerSegment * entryBytes || head.length % entryBytes !== 0) return 'entries: impossible length';
        if (head.number !== this.#entries.segmentCount || this.#entries.idEnd % entriesPerSegment !== 0) return 'entries: out of order';
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
    if (header.cluster !== cluster || header.shard !== shard || header.zoneSize !== zoneSize) return 'header: of another cluster, shard or zone size';
    this.#header = header;
    return undefined;
  }

  #acceptOnce(payload: Uint8Array): string | undefined {
    const clients = decodeOnceClients(payload, (this.#options.onceLimits ?? onceLimits).window);
    if (typeof clients === 'string') return clients;
    for (const { client, first, partial, results } of clients) {
      this.#once.restore({ client: clientId(client), first, partial, results: results.map((result) => ({ ...result, version: version(result.version) })) });
    }
    return undefined;
  }

  #rebuildEntry(table: IndexTable, id: number): string | undefined {
    const entries = this.#entries;
    const keyLength = entries.keyLength(id);
    if (keyLength === 0) {
      entries.free(id);
      return undefined;
    }
    const position = entries.keyPosition(id);
    if (keyLength > limits.keyBytesMax || this.#arena.lengthAt(position) !== keyLength) return 'entry: no such key';
    const entryVersion = entries.version(id);
    if (!Number.isSafeInteger(entryVersion) || !Number.isSafeInteger(entries.lba(id)) || entryVersion > entries.lba(id)) return 'entry: impossible version';
    const hash = entries.hash(id);
    const twin = table.findTwin(hash, (other) => this.#arena.sameKey(position, entries.keyPosition(other), keyLength));
    if (twin !== -1) {
      // S12: the newer version wins.
      if (entryVersion < entries.version(twin)) {
        entries.free(id);
        return undefined;
      }
      table.remove(hash, twin);
      this.#arena.release(entries.keyPosition(twin), keyLength);
      entries.free(twin);
      this.#size--;
    }
    table.insert(hash, id);
    this.#arena.adopt(position, keyLength);
    this.#size++;
    return undefined;
  }
}

/** Loads a snapshot that is there as a whole. */
export function loadSnapshot(pieces: Iterable<Uint8Array>, expected: SnapshotExpected, options: LoaderOptions = {}): SnapshotResult {
  const loader = new SnapshotLoader(expected, options);
  for (const piece of pieces) {
    const problem = loader.push(piece);
    if (problem !== undefined) return problem;
  }
  return loader.finish();
}
