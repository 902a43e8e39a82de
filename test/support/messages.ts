/** Arbitrary plain data for messages, and the library that is the oracle. */
import { Buffer } from 'node:buffer';
import { decode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { MessageWriter } from '../../src/codec/message-writer.ts';

export const runs = { seed: 20261124, numRuns: 500 } as const;

/** Numbers at and around the borders of all width classes. */
export const borderIntegers: readonly number[] = [
  0,
  1,
  31,
  32,
  127,
  128,
  255,
  256,
  32767,
  32768,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
]
  .flatMap((value) => [value, -value, -value - 1, value - 1])
  .filter((value) => Number.isSafeInteger(value))
  .map((value) => value + 0);

/** No half of a surrogate pair, for which UTF-8 has no form. */
function isWellFormed(text: string): boolean {
  return Buffer.from(text).toString() === text;
}

const key = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => text !== '__proto__' && isWellFormed(text));
const bytes = fc.uint8Array({ maxLength: 300 });

/** What `MessageWriter.value` takes and a decoder gives back equal. */
export const plainData: fc.Arbitrary<unknown> = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.constantFrom(...borderIntegers),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).filter((value) => !Object.is(value, -0)),
    fc.string({ unit: 'binary', maxLength: 300 }).filter(isWellFormed),
    bytes,
    fc.array(tie('node'), { maxLength: 20 }),
    fc.dictionary(key, tie('node'), { maxKeys: 20, noNullPrototype: true }),
  ),
})).node;

export function written(write: (out: MessageWriter) => void): Buffer {
  const out = new MessageWriter();
  write(out);
  return Buffer.concat(out.take());
}

export function encoded(value: unknown): Buffer {
  return written((out) => out.value(value));
}

/** Decoded by the library. */
export function oracle(message: Uint8Array): unknown {
  return decode(message);
}

/** `Buffer` and `Uint8Array` of the same bytes are equal for us, not for deepStrictEqual. */
export function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, normal(member)]));
  return value;
}
