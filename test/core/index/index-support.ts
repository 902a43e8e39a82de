/** What the tests of the index share. */

export interface SeededRandom {
  /** In [0, bound). */
  below(bound: number): number;
  /** In [0, 1). */
  fraction(): number;
}

/** xorshift32: the same numbers for the same seed, everywhere. */
export function seededRandom(seed: number): SeededRandom {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  const fraction = (): number => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
  return { fraction, below: (bound) => Math.floor(fraction() * bound) };
}

/** A key for each number: 8 to 39 bytes, so that many lengths occur. */
export function keyBytes(name: number): Uint8Array {
  const key = new Uint8Array(8 + (name % 32)).fill(name & 0xff);
  new DataView(key.buffer).setFloat64(0, name);
  return key;
}
