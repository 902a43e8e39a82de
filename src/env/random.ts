/** Randomness. The real one is cryptographically strong, the simulated one comes from a seed. */
export interface Random {
  /** A uniform integer in [0, 2^32). */
  uint32(): number;
  /** `count` uniform bytes, a fresh array. */
  bytes(count: number): Uint8Array;
}

/** A uniform integer in [0, bound). REQUIRES: 1 <= bound <= 2^32. */
export function below(random: Random, bound: number): number {
  return Math.floor((random.uint32() / 2 ** 32) * bound);
}

/** Lower-case hexadecimal digits of `byteCount` random bytes. */
export function randomHex(random: Random, byteCount: number): string {
  return Array.from(random.bytes(byteCount), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
