/**
 * Values by (shard, LBA). What is committed at an LBA never changes, so nothing here is ever stale; a record that was
 * overwritten or moved is dead weight until it falls out.
 *
 * What falls out is chosen by SIEVE (Zhang et al., "SIEVE is simpler than LRU", NSDI 2024): values stand in the order
 * of their arrival, a read marks its value, and a hand that goes from old to new takes out the first one that is not
 * marked and unmarks the others. A read moves nothing, and values that are read only once leave sooner than with LRU,
 * so that a scan does not empty the cache.
 */
import { assert } from '../../base/assert.ts';

/** Reckoned for each value beside its bytes: map slot, node, typed array and its memory's header. */
export const entryOverheadBytes = 256;
/** A value above capacity / 16 is not kept: it would push out many others. */
const largestShare = 16;

interface Node {
  readonly values: Map<number, Node>;
  readonly lba: number;
  readonly bytes: Uint8Array;
  marked: boolean;
  older: Node | undefined;
  newer: Node | undefined;
}

export class ValueCache {
  /** By shard: LBA -> node. */
  readonly #shards: Map<number, Node>[] = [];
  readonly #capacity: number;
  #bytes = 0;
  #count = 0;
  #oldest: Node | undefined = undefined;
  #newest: Node | undefined = undefined;
  #hand: Node | undefined = undefined;

  /** `capacity` in bytes; 0: nothing is kept. */
  constructor(capacity: number) {
    assert(Number.isSafeInteger(capacity) && capacity >= 0, 'a capacity is a size in bytes');
    this.#capacity = capacity;
  }

  /** In bytes; 0: off. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Never above the capacity. */
  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** The value's own memory: not to be changed. It stays good when it falls out of the cache. */
  get(shard: number, lba: number): Uint8Array | undefined {
    const node = this.#shards[shard]?.get(lba);
    if (node === undefined) return undefined;
    node.marked = true;
    return node.bytes;
  }

  /** Copies the value in. A value that is too large, or there already, changes nothing. */
  set(shard: number, lba: number, bytes: Uint8Array): void {
    const size = bytes.length + entryOverheadBytes;
    if (size > this.#capacity / largestShare) return;
    while (this.#shards.length <= shard) this.#shards.push(new Map());
    const values = this.#shards[shard];
    if (values === undefined || values.has(lba)) return;
    while (this.#bytes + size > this.#capacity) this.#evict();
    const node: Node = {
      values,
      lba,
      bytes: new Uint8Array(bytes),
      marked: false,
      older: this.#newest,
      newer: undefined,
    };
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.newer = node;
    this.#newest = node;
    values.set(lba, node);
    this.#bytes += size;
    this.#count++;
  }

  #evict(): void {
    let node = this.#hand ?? this.#oldest;
    while (node?.marked === true) {
      node.marked = false;
      node = node.newer ?? this.#oldest;
    }
    assert(node !== undefined, 'what takes bytes can fall out');
    this.#hand = node.newer;
    if (node.older === undefined) this.#oldest = node.newer;
    else node.older.newer = node.newer;
    if (node.newer === undefined) this.#newest = node.older;
    else node.newer.older = node.older;
    node.values.delete(node.lba);
    this.#bytes -= node.bytes.length + entryOverheadBytes;
    this.#count--;
  }
}
