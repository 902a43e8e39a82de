/**
 * Randomness from a seed: sfc32 (Chris Doty-Humphrey's "small fast counting" generator of PractRand), seeded through
 * FNV-1a. The same seed and labels give the same numbers on every machine.
 */
import type { Random } from '../random.ts';

export class SimulatedRandom implements Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string) {
    this.#seed = String(seed);
    this.#a = hash(this.#seed, 0x811c9dc5);
    this.#b = hash(this.#seed, 0x01000193 ^ this.#a);
    this.#c = hash(this.#seed, 0x9e3779b9 ^ this.#b);
    for (let round = 0; round < 15; round++) this.uint32();
  }

  /**
   * A generator for one purpose, independent of how much is drawn from this one or from others: a new consumer doesn't
   * change what the old ones see.
   */
  fork(label: string): SimulatedRandom {
    return new SimulatedRandom(`${this.#seed}/${label}`);
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index += 4) {
      const word = this.uint32();
      bytes[index] = word;
      if (index + 1 < count) bytes[index + 1] = word >>> 8;
      if (index + 2 < count) bytes[index + 2] = word >>> 16;
      if (index + 3 < count) bytes[index + 3] = word >>> 24;
    }
    return bytes;
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** True once in `1 / probability` on average. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }
}

function hash(text: string, start: number): number {
  let value = start | 0;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
    value ^= value >>> 15;
  }
  return value | 0;
}
