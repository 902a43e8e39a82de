/**
 * Chunks of a snapshot, put together from pieces of any size and checked: each head, then its payload, which goes
 * straight into the memory where it will stay. What chunks hold is their taker's business.
 */
import type { ChunkHead } from '../../codec/index-snapshot.ts';
import { ChunkChecker, chunkHeadBytes, decodeChunkHead } from '../../codec/index-snapshot.ts';

export interface ChunkTaker {
  /** Memory for the payload, at least as long; or what is wrong with the head. */
  prepare(head: ChunkHead): Uint8Array | string;
  /** `memory` holds a payload whose checksum is right. Gives what is wrong with it, if something is. */
  accept(head: ChunkHead, memory: Uint8Array): string | undefined;
}

const noBytes: Uint8Array = new Uint8Array(0);

export class ChunkAssembler {
  readonly #taker: ChunkTaker;
  readonly #checker = new ChunkChecker();
  readonly #headBytes = Buffer.alloc(chunkHeadBytes);
  /** Bytes that are there of the head, or of the payload once the head is known. */
  #filled = 0;
  #head: ChunkHead | undefined;
  #memory = noBytes;
  #offset = 0;

  constructor(taker: ChunkTaker) {
    this.#taker = taker;
  }

  /** Bytes from the snapshot's start to the chunk that is arriving. */
  get offset(): number {
    return this.#offset;
  }

  /** Takes bytes of `piece` from `at` on; gives how many, or what is wrong with them. REQUIRES: there are some. */
  take(piece: Uint8Array, at: number): number | string {
    return this.#head === undefined ? this.#takeHead(piece, at) : this.#takePayload(piece, at, this.#head);
  }

  #takeHead(piece: Uint8Array, at: number): number | string {
    const count = Math.min(chunkHeadBytes - this.#filled, piece.length - at);
    this.#headBytes.set(piece.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled < chunkHeadBytes) return count;
    const head = decodeChunkHead(this.#headBytes);
    if (typeof head === 'string') return head;
    const memory = this.#taker.prepare(head);
    if (typeof memory === 'string') return memory;
    if (head.length === 0) return 'chunk: empty';
    this.#head = head;
    this.#memory = memory;
    this.#filled = 0;
    return count;
  }

  #takePayload(piece: Uint8Array, at: number, head: ChunkHead): number | string {
    const count = Math.min(head.length - this.#filled, piece.length - at);
    this.#memory.set(piece.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled < head.length) return count;
    const payload = this.#memory.subarray(0, head.length);
    const reason = this.#checker.check(this.#headBytes, head, payload) ?? this.#taker.accept(head, this.#memory);
    if (reason !== undefined) return reason;
    this.#offset += chunkHeadBytes + head.length;
    this.#head = undefined;
    this.#filled = 0;
    return count;
  }
}
