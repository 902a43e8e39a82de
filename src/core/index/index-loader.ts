/**
 * Loads what index-snapshot.ts wrote. Bytes come in pieces of any size; damage is a result that says where, and a
 * damaged snapshot gives nothing. Segments are read into the memory they stay in.
 *
 * It owns the order of chunks and the memory that each goes to. It does not own how chunks come together
 * (chunk-assembler.ts), their forms (codec/index-snapshot.ts), nor the hash table, free entries and counts of living
 * bytes, which are rebuilt (index-rebuild.ts), so that nothing has to be trusted about them.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { ShardId, Uuid } from '../../base/ids.ts';
import { clientId, version } from '../../base/ids.ts';
import type {
  ChunkHead,
  ChunkKind,
  ClientIdRange,
  SnapshotHeader,
  SnapshotProblem,
} from '../../codec/index-snapshot.ts';
import {
  chunkKind,
  decodeForgotten,
  decodeOnceClients,
  decodeSnapshotHeader,
  hostIsLittleEndian,
} from '../../codec/index-snapshot.ts';
import { ChunkAssembler } from './chunk-assembler.ts';
import { arenaSegmentBytes, arenaSegmentsMax, KeyArena } from './index-arena.ts';
import { EntrySegment, EntryTable, entriesPerSegment, entryBytes } from './index-entries.ts';
import type { Rebuilt } from './index-rebuild.ts';
import { rebuildIndex } from './index-rebuild.ts';
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
  chunkKind.forgotten,
  chunkKind.end,
];

export interface LoaderOptions {
  /** Callback of the index that is loaded; not called for what the snapshot holds. */
  readonly onReplaced?: OnReplaced;
  readonly onceLimits?: OnceLimits | undefined;
}

/**
 * `push` pieces until they end, then `finish`. To keep the event loop free while a large index is rebuilt, call
 * `rebuild` until it gives false before `finish`.
 */
export class SnapshotLoader {
  readonly #expected: SnapshotExpected;
  readonly #options: LoaderOptions;
  readonly #chunks: ChunkAssembler;
  #problem: SnapshotProblem | undefined;
  /** Kind of the newest chunk, an index in `order`. */
  #stage = 0;
  #header: SnapshotHeader | undefined;
  readonly #entries = new EntryTable();
  /** Segment that entries are arriving in. */
  #entrySegment: EntrySegment | undefined;
  readonly #arena = new KeyArena();
  #lastKeySegment = -1;
  readonly #once: OnceTable;
  #forgotten: readonly ClientIdRange[] = [];
  #steps: Generator<undefined, Rebuilt | string> | undefined;
  #rebuilt: Rebuilt | undefined;

  constructor(expected: SnapshotExpected, options: LoaderOptions = {}) {
    this.#expected = expected;
    this.#options = options;
    this.#chunks = new ChunkAssembler({
      prepare: (head) => this.#prepare(head),
      accept: (head, memory) => this.#accept(head, memory),
    });
    this.#once = new OnceTable(options.onceLimits ?? onceLimits);
    if (!hostIsLittleEndian) this.#fail('this machine is big-endian');
  }

  /** Takes the next bytes. Gives what is wrong with the snapshot, once something is. */
  push(piece: Uint8Array): SnapshotProblem | undefined {
    let at = 0;
    while (at < piece.length && this.#problem === undefined) {
      if (this.#stage === order.length - 1) return this.#fail('bytes after the end');
      const taken = this.#chunks.take(piece, at);
      if (typeof taken === 'string') return this.#fail(taken);
      at += taken;
    }
    return this.#problem;
  }

  /** One step of rebuilding, a few milliseconds. Gives whether there are more. REQUIRES: all bytes were pushed. */
  rebuild(): boolean {
    if (this.#problem !== undefined || this.#rebuilt !== undefined || this.#stage !== order.length - 1) return false;
    this.#steps ??= rebuildIndex(this.#entries, this.#arena);
    const step = this.#steps.next();
    if (step.done !== true) return true;
    if (typeof step.value === 'string') this.#fail(step.value);
    else this.#rebuilt = step.value;
    return false;
  }

  /** REQUIRES: all bytes were pushed. Call it once. */
  finish(): SnapshotResult {
    while (this.rebuild());
    if (this.#problem !== undefined) return this.#problem;
    const header = this.#header;
    if (header === undefined || this.#rebuilt === undefined) return this.#fail('the snapshot is cut off');
    this.#once.restoreFloor(header.floor, this.#forgotten);
    const parts = { entries: this.#entries, arena: this.#arena, ...this.#rebuilt };
    return {
      kind: 'loaded',
      header,
      index: new KeyIndex(header.seed, this.#options.onReplaced, parts),
      once: this.#once,
    };
  }

  #fail(reason: string): SnapshotProblem {
    this.#problem ??= { kind: 'damaged', reason, offset: this.#chunks.offset };
    return this.#problem;
  }

  #prepare(head: ChunkHead): Uint8Array | string {
    if (order.indexOf(head.kind) < this.#stage) return 'chunk: out of order';
    switch (head.kind) {
      case chunkKind.entries:
        if (head.length > entriesPerSegment * entryBytes || head.length % entryBytes !== 0)
          return 'entries: impossible length';
        if (head.number !== this.#entries.segmentCount || this.#entries.idEnd % entriesPerSegment !== 0)
          return 'entries: out of order';
        this.#entrySegment = new EntrySegment();
        return this.#entrySegment.bytes;
      case chunkKind.keys:
        if (head.length > arenaSegmentBytes) return 'keys: impossible length';
        if (head.number <= this.#lastKeySegment || head.number >= arenaSegmentsMax) return 'keys: out of order';
        return new Uint8Array(arenaSegmentBytes);
      default:
        return new Uint8Array(head.length);
    }
  }

  #accept(head: ChunkHead, memory: Uint8Array): string | undefined {
    this.#stage = order.indexOf(head.kind);
    switch (head.kind) {
      case chunkKind.header:
        return this.#acceptHeader(memory);
      case chunkKind.entries:
        assert(this.#entrySegment !== undefined, 'the segment was prepared');
        this.#entries.restore(this.#entrySegment, head.length / entryBytes);
        return undefined;
      case chunkKind.keys:
        this.#lastKeySegment = head.number;
        this.#arena.restore(head.number, memory, head.length);
        return undefined;
      case chunkKind.once:
        return this.#acceptOnce(memory);
      case chunkKind.forgotten:
        return this.#acceptForgotten(memory);
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

  #acceptForgotten(payload: Uint8Array): string | undefined {
    if (this.#forgotten.length > 0) return 'forgotten: comes twice';
    const ranges = decodeForgotten(payload, this.#header?.floor ?? 0);
    if (typeof ranges === 'string') return ranges;
    this.#forgotten = ranges;
    return undefined;
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
