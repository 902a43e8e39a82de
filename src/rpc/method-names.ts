/**
 * The strings of methods that a connection has seen, found by their bytes: decoding a known one allocates nothing.
 * Bounded: what comes after the table is full, or collides, is decoded each time.
 */
const namesMax = 64;
const nameBytesMax = 64;

interface Name {
  readonly bytes: Buffer;
  readonly text: string;
}

export class MethodNames {
  readonly #names = new Map<number, Name>();

  /** The text of [start, start + length) of `bytes`; invalid UTF-8 becomes U+FFFD and so no method's name. */
  textOf(bytes: Buffer, start: number, length: number): string {
    if (length > nameBytesMax) return bytes.toString('utf8', start, start + length);
    const hash = hashOf(bytes, start, length);
    const known = this.#names.get(hash);
    if (known !== undefined && isEqual(known.bytes, bytes, start, length)) return known.text;
    const text = bytes.toString('utf8', start, start + length);
    if (known === undefined && this.#names.size < namesMax) {
      this.#names.set(hash, { bytes: Buffer.from(bytes.subarray(start, start + length)), text });
    }
    return text;
  }
}

/** A hash below 2^30, so that the map's keys are small integers. */
function hashOf(bytes: Buffer, start: number, length: number): number {
  let hash = length;
  for (let index = start; index < start + length; index++)
    hash = (Math.imul(hash, 31) + (bytes[index] ?? 0)) & 0x3fff_ffff;
  return hash;
}

function isEqual(known: Buffer, bytes: Buffer, start: number, length: number): boolean {
  if (known.length !== length) return false;
  for (let index = 0; index < length; index++) {
    if (known[index] !== bytes[start + index]) return false;
  }
  return true;
}
