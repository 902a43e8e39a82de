/**
 * Values that say who wrote them and cannot be mistaken for others: a name, unique in a life, then bytes that follow
 * from it. Whatever is read is checked wholly; a history speaks of names.
 */

/** Bytes of `name|` and, up to `length`, what follows from the name. At least the name. */
export function encodeValue(name: string, length: number): Uint8Array {
  const head = Buffer.from(`${name}|`, 'latin1');
  const bytes = Buffer.allocUnsafe(Math.max(length, head.length));
  head.copy(bytes);
  fill(bytes, head.length);
  return bytes;
}

/** The name; undefined when these bytes are no value that anybody wrote. */
export function decodeValue(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf('|');
  if (end <= 0) return undefined;
  const name = buffer.toString('latin1', 0, end);
  return Buffer.compare(buffer, encodeValue(name, buffer.length)) === 0 ? name : undefined;
}

/** A pattern in which no 512 bytes are like others, and no long run is zero. */
function fill(bytes: Buffer, from: number): void {
  let state = bytes.length;
  for (let index = 0; index < from; index += 1) state = Math.imul(state ^ (bytes[index] ?? 0), 0x01000193);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let index = from;
  for (; index + 8 <= bytes.length; index += 8) {
    state = Math.imul(state ^ index, 0x01000193);
    view.setInt32(index, state, true);
    view.setInt32(index + 4, ~state ^ index, true);
  }
  for (; index < bytes.length; index += 1) bytes[index] = (state >>> 8) + index;
}
