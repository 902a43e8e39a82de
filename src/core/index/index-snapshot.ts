/**
 * Snapshots of a shard's index and once-only table, taken while both go on changing: `IndexSnapshot` copies at most 1
 * MiB a call, so that the event loop never waits for it. The result is *fuzzy*: it is the state of no single moment.
 * But loaded and replayed from the watermark of its start it gives exactly the live state, by S12:
 *
 *  - A key that no record after the watermark touches keeps its entry and its bytes (entry ids stay, keys do not move
 *    while a snapshot is taken), so it is in the snapshot as it is.
 *  - For any other key the last record r in the log lies after the watermark, so the replay comes to it. Whatever the
 *    snapshot has for the key is nothing, or what some record up to r left there: its version is not above r's, so r
 *    applies. Versions only grow along the log, so what the replay applies before r is overwritten by r: a put by its
 *    own put, a deleted key's old entry by the delete.
 *  - A key can be in two entries of the snapshot (deleted, its entry copied before, and put again into an entry copied
 *    later): the newer version wins at loading, too.
 *  - An entry's key is in the snapshot because key segments are copied after entry segments and are only appended to
 *    meanwhile.
 *  - The once-only table: see its own argument; its forgotten ids are those at the watermark.
 *
 * Loading: index-loader.ts. Replay must reach the position where the snapshot was finished before the index is served;
 * before that, keys may seem newer than the position.
 *
 * It owns the order of copying and the argument above. It does not own the form of chunks (codec/index-snapshot.ts),
 * files, nor when a snapshot is taken (the gateway's).
 */
import { unreachable } from '../../base/assert.ts';
import type { Millis, ShardId, Uuid } from '../../base/ids.ts';
import { clientId } from '../../base/ids.ts';
import type { ClientIdRange, OnceResultState, SnapshotHeader } from '../../codec/index-snapshot.ts';
import {
  ChunkEncoder,
  chunkKind,
  encodeForgotten,
  encodeOnceClient,
  encodeSnapshotHeader,
  onceClientBytes,
  onceResultBytes,
} from '../../codec/index-snapshot.ts';
import type { IndexParts, KeyIndex } from './key-index.ts';
import type { OnceTable } from '../once/once-table.ts';

/** State that is to be kept: a ShardState is one. */
export interface SnapshotSource {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zoneSize: number;
  readonly index: KeyIndex;
  readonly once: OnceTable;
  readonly position: { readonly zone: number; readonly offset: number };
  readonly shardTimeMs: Millis;
}

export interface SnapshotLimits {
  /** Bytes of a chunk of once-only results; at least what one result takes. */
  readonly onceChunkBytes: number;
  /** Results looked at in one step. */
  readonly onceResultsPerStep: number;
}

export const snapshotLimits: SnapshotLimits = { onceChunkBytes: 256 * 1024, onceResultsPerStep: 1_024 };

/**
 * The chunks of a snapshot, one a call. Everything applied between calls is allowed; `close` when it is given up before
 * its end.
 */
export class IndexSnapshot {
  readonly header: SnapshotHeader;
  readonly #limits: SnapshotLimits;
  readonly #index: KeyIndex;
  readonly #once: OnceTable;
  readonly #parts: IndexParts;
  readonly #encoder = new ChunkEncoder();
  readonly #clients: readonly number[];
  /** Those of the watermark, as the header's floor is. */
  readonly #forgotten: readonly ClientIdRange[];
  #stage: 'header' | 'entries' | 'keys' | 'once' | 'end' | 'done' = 'header';
  #next = 0;
  /** First result that did not fit the last chunk. */
  #nextNumber = 0;
  /** Known once all entries are copied: later segments hold no key of theirs. */
  #keySegments = 0;

  constructor(source: SnapshotSource, bounds: SnapshotLimits = snapshotLimits) {
    this.#limits = bounds;
    this.#index = source.index;
    this.#once = source.once;
    this.#parts = source.index.pin();
    this.#clients = source.once.clientIds();
    this.#forgotten = [...source.once.forgottenRanges];
    this.header = {
      cluster: source.cluster,
      shard: source.shard,
      zoneSize: source.zoneSize,
      watermark: { ...source.position },
      shardTimeMs: source.shardTimeMs,
      floor: source.once.floor,
      seed: source.index.seed,
      entrySegments: this.#parts.entries.segmentCount,
    };
  }

  /** The next chunk, in memory of its own; undefined after the last one. */
  next(): Uint8Array | undefined {
    switch (this.#stage) {
      case 'header':
        this.#stage = 'entries';
        return this.#encoder.encode(chunkKind.header, 0, encodeSnapshotHeader(this.header));
      case 'entries':
        return this.#nextEntries();
      case 'keys':
        return this.#nextKeys();
      case 'once':
        return this.#nextOnce();
      case 'end':
        this.close();
        return this.#encoder.end();
      case 'done':
        return undefined;
      default:
        return unreachable(this.#stage);
    }
  }

  /** Keys may move again. Idempotent; done by itself after the last chunk. */
  close(): void {
    if (this.#stage === 'done') return;
    this.#stage = 'done';
    this.#index.unpin();
  }

  #nextEntries(): Uint8Array | undefined {
    const number = this.#next++;
    if (number < this.header.entrySegments)
      return this.#encoder.encode(chunkKind.entries, number, this.#parts.entries.segment(number));
    this.#stage = 'keys';
    this.#next = 0;
    this.#keySegments = this.#parts.arena.segmentCount;
    return this.#nextKeys();
  }

  #nextKeys(): Uint8Array | undefined {
    for (;;) {
      const number = this.#next++;
      if (number >= this.#keySegments) break;
      const segment = this.#parts.arena.segment(number);
      if (segment.length > 0) return this.#encoder.encode(chunkKind.keys, number, segment);
    }
    this.#stage = 'once';
    this.#next = 0;
    return this.#nextOnce();
  }

  #nextOnce(): Uint8Array | undefined {
    const out = Buffer.allocUnsafe(this.#limits.onceChunkBytes);
    const end = this.#fillOnce(out);
    if (end > 0) return this.#encoder.encode(chunkKind.once, 0, out.subarray(0, end));
    this.#stage = 'end';
    if (this.#forgotten.length === 0) return this.next();
    return this.#encoder.encode(chunkKind.forgotten, 0, encodeForgotten(this.#forgotten));
  }

  #fillOnce(out: Buffer): number {
    let at = 0;
    let resultsLeft = this.#limits.onceResultsPerStep;
    while (this.#next < this.#clients.length && resultsLeft > 0) {
      const state = this.#once.stateOf(clientId(this.#clients[this.#next] ?? 0), this.#nextNumber, resultsLeft);
      if (state === undefined) {
        this.#toNextClient();
        continue;
      }
      const fitting = this.#fitting(state.results, out.length - at - onceClientBytes);
      if (out.length - at < onceClientBytes || (fitting === 0 && state.results.length > 0)) break;
      at = encodeOnceClient(out, at, { ...state, results: state.results.slice(0, fitting) });
      const complete = fitting === state.results.length && fitting < resultsLeft;
      resultsLeft -= fitting;
      if (complete) this.#toNextClient();
      else this.#nextNumber = (state.results[fitting - 1]?.number ?? 0) + 1;
    }
    return at;
  }

  #toNextClient(): void {
    this.#next++;
    this.#nextNumber = 0;
  }

  #fitting(results: readonly OnceResultState[], room: number): number {
    let count = 0;
    let used = 0;
    for (const result of results) {
      used += onceResultBytes(result.reply);
      if (used > room) break;
      count++;
    }
    return count;
  }
}
