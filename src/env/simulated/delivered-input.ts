/**
 * Input that a simulated connection gave to a receiver that releases it: overwritten then, so that whoever still reads
 * it is found. Nothing is kept for a receiver that never does; the first release finds nothing.
 */
export class DeliveredInput {
  #pieces: Uint8Array[] | undefined;

  /** REQUIRES: nobody but the receiver has `bytes`. */
  add(bytes: Uint8Array): void {
    this.#pieces?.push(bytes);
  }

  release(): void {
    for (const piece of this.#pieces ?? []) piece.fill(0xdb);
    this.#pieces = [];
  }
}
