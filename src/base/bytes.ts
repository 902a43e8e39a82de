/** Bytes in memory: views, zeros, rounding, and integers that no method of Buffer reads or writes. */

const zeros = Buffer.alloc(64 * 1024);

/** Whether all of `bytes` are zero: never written, on a device that hands out zeroed space. */
export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const piece = bytes.subarray(at, at + zeros.length);
    if (Buffer.compare(piece, piece.length === zeros.length ? zeros : zeros.subarray(0, piece.length)) !== 0)
      return false;
  }
  return true;
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Rounds up to a multiple of `alignment`, a power of two. */
export function aligned(length: number, alignment: number): number {
  return Math.ceil(length / alignment) * alignment;
}

/** Writes an integer below 2^48, little-endian. */
export function writeU48(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUIntLE(value, offset, 6);
}

/** Writes a safe integer as a little-endian u64. */
export function writeU64(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32LE(value % 2 ** 32, offset);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4);
}

/** Reads a little-endian u64; NaN when it is no safe integer (its upper half is 2^21 or more), which is damage. */
export function readU64(bytes: Buffer, offset: number): number {
  const high = bytes.readUInt32LE(offset + 4);
  return high < 2 ** 21 ? high * 2 ** 32 + bytes.readUInt32LE(offset) : Number.NaN;
}
