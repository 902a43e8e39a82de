/**
 * Hash of a key for the index: HalfSipHash-1-3 with a 64-bit seed (Aumasson and Bernstein 2012; the variant and the
 * test vectors are those of Linux' `hsiphash` on 32-bit machines). A keyed hash, because keys come from clients: who
 * does not know the seed cannot make keys that collide, whereas murmur3 and xxHash have collisions that hold for every
 * seed. All arithmetic is on 32-bit words, which JavaScript has.
 */

/** Two u32, drawn at random for each index. */
export interface IndexSeed {
  readonly low: number;
  readonly high: number;
}

/** A u32 of the `length` bytes at `start`. REQUIRES: the range lies in `bytes`. */
export function hashKey(bytes: Uint8Array, start: number, length: number, low: number, high: number): number {
  let v0 = low | 0;
  let v1 = high | 0;
  let v2 = 0x6c796765 ^ low;
  let v3 = 0x74656462 ^ high;
  const end = start + length;
  const wholeEnd = end - (length & 3);
  for (let at = start; ; at += 4) {
    const word = at < wholeEnd ? wordAt(bytes, at) : lastWord(bytes, at, end, length);
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
    if (at >= wholeEnd) break;
  }
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return (v1 ^ v3) >>> 0;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

/** The bytes after the last whole word, and the length in the top byte. */
function lastWord(bytes: Uint8Array, at: number, end: number, length: number): number {
  let word = length << 24;
  if (at < end) word |= bytes[at] ?? 0;
  if (at + 1 < end) word |= (bytes[at + 1] ?? 0) << 8;
  if (at + 2 < end) word |= (bytes[at + 2] ?? 0) << 16;
  return word;
}
