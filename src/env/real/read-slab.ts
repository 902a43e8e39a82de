/**
 * Memory that a socket reads into: piece after piece of one slab, so that thousands of small answers cost one
 * allocation. Left to itself node:net allocates 64 KiB for every read, however little arrives (docs/performance.md).
 * What was read is overwritten only behind `rewind`.
 */
const slabBytesMin = 2 * 1024;
const slabBytesMax = 128 * 1024;
/** A share of the slab that is worth a read of its own; behind it a new slab begins. */
const roomShare = 4;

export class ReadSlab {
  #slab = Buffer.allocUnsafeSlow(slabBytesMin);
  #room = this.#slab;

  /** Memory for the next read. */
  get room(): Buffer {
    return this.#room;
  }

  /** The `length` bytes that were read into `room`. */
  take(length: number): Buffer {
    const bytes = this.#room.subarray(0, length);
    const left = this.#room.length - length;
    if (left >= this.#slab.length / roomShare) {
      this.#room = this.#room.subarray(length);
    } else {
      // A connection that hears little holds little.
      this.#slab = Buffer.allocUnsafeSlow(Math.min(2 * this.#slab.length, slabBytesMax));
      this.#room = this.#slab;
    }
    return bytes;
  }

  /** Reads go to the start of the slab again. REQUIRES: nobody needs what was read so far. */
  rewind(): void {
    this.#room = this.#slab;
  }
}
