/** Plain data as MessagePack: for messages that nobody is in a hurry to write. */
import { assert } from '../base/assert.ts';
import type { MessageWriter } from './message-writer.ts';

/** Depth beyond which plain data is a mistake (or a cycle). */
const depthMax = 64;

/** Undefined and null (nil), booleans, numbers, strings, Uint8Array, arrays, objects with string keys. */
export function writePlainData(out: MessageWriter, value: unknown, depth = 0): void {
  assert(depth <= depthMax, 'plain data in a message is not deeper than 64');
  if (value === undefined || value === null) out.nil();
  else if (typeof value === 'boolean') out.boolean(value);
  else if (typeof value === 'string') out.text(value);
  else if (typeof value === 'number') writeNumber(out, value);
  else if (value instanceof Uint8Array) out.binary(value);
  else if (Array.isArray(value)) {
    out.array(value.length);
    for (const member of value) writePlainData(out, member, depth + 1);
  } else {
    assert(typeof value === 'object', 'a message carries plain data');
    const entries = Object.entries(value);
    out.map(entries.length);
    for (const [key, member] of entries) {
      out.text(key);
      writePlainData(out, member, depth + 1);
    }
  }
}

function writeNumber(out: MessageWriter, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) out.integer(value);
  else out.float(value);
}
