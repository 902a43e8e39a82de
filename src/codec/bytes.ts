/** Small helpers on bytes. */

const zeros = Buffer.alloc(64 * 1024);

/** Whether all of `bytes` are zero: never written, on a device that hands out zeroed space. */
export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const piece = bytes.subarray(at, at + zeros.length);
    if (Buffer.compare(piece, piece.length === zeros.length ? zeros : zeros.subarray(0, piece.length)) !== 0) return false;
  }
  return true;
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
