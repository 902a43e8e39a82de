/** CRC-32 (ISO-HDLC, zlib's), which Node computes natively. */
import { crc32 } from 'node:zlib';

/** Checksum of `bytes`, continuing from `seed` (a u32; 0 to begin). */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return crc32(bytes, seed);
}
