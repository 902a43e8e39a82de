/** Cryptographically strong randomness. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../random.ts';

/** System calls are dear and numbers small, so they are drawn from a pool that is filled now and then. */
const poolWords = 256;

export class RealRandom implements Random {
  readonly #pool = new Uint32Array(poolWords);
  #next = poolWords;

  uint32(): number {
    if (this.#next === poolWords) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    const value = this.#pool[this.#next] ?? 0;
    this.#pool[this.#next++] = 0;
    return value;
  }

  bytes(count: number): Uint8Array {
    return randomFillSync(new Uint8Array(count));
  }
}
