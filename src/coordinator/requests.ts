/** Checks of every implementation before it sends a request, so that all refuse the same ones in the same words. */
import { coordinatorLimits, type Compare, type Write } from './coordinator.ts';

const encoder = new TextEncoder();

/** @throws RangeError when `key` isn't 1..512 bytes of well-formed text without NUL. */
export function checkKey(key: string): void {
  if (key === '') throw new RangeError('a coordinator key has at least one byte');
  checkText(key, 'key');
}

/** A prefix may be empty: all keys. @throws RangeError */
export function checkPrefix(prefix: string): void {
  checkText(prefix, 'prefix');
}

function checkText(text: string, what: string): void {
  if (/[\p{Surrogate}\0]/u.test(text)) throw new RangeError(`a coordinator ${what} is well-formed text without NUL`);
  const size = encoder.encode(text).length;
  if (size > coordinatorLimits.keyBytesMax) {
    throw new RangeError(
      `a coordinator ${what} has at most ${coordinatorLimits.keyBytesMax} bytes, got ${size}: '${text.slice(0, 40)}...'`,
    );
  }
}

export function checkRevision(revision: number, what: string): void {
  if (!Number.isSafeInteger(revision) || revision < 0)
    throw new RangeError(`${what} must be a revision (0, 1, ...), got ${revision}`);
}

/** @throws RangeError when the transaction is malformed. */
export function checkTransaction(compares: readonly Compare[], writes: readonly Write[]): void {
  const items = compares.length + writes.length;
  if (items === 0 || items > coordinatorLimits.transactionItemsMax) {
    throw new RangeError(
      `a transaction has 1..${coordinatorLimits.transactionItemsMax} compares and writes, got ${items}`,
    );
  }
  for (const compare of compares) {
    checkKey(compare.key);
    checkRevision(compare.revision, `the compare of '${compare.key}'`);
  }
  const written = new Set<string>();
  for (const write of writes) {
    checkKey(write.key);
    if (written.has(write.key)) throw new RangeError(`a transaction writes a key once, got '${write.key}' twice`);
    written.add(write.key);
    const size = write.value?.length ?? 0;
    if (size > coordinatorLimits.valueBytesMax) {
      throw new RangeError(
        `a coordinator value has at most ${coordinatorLimits.valueBytesMax} bytes, got ${size} for '${write.key}'`,
      );
    }
  }
}

/**
 * Order of keys: by code points, which is the order of their UTF-8 bytes (JavaScript's own order is another one beyond
 * U+FFFF).
 */
export function compareKeys(left: string, right: string): number {
  const [a, b] = [left[Symbol.iterator](), right[Symbol.iterator]()];
  for (;;) {
    const [x, y] = [a.next(), b.next()];
    if (x.done === true || y.done === true) return (x.done === true ? 0 : 1) - (y.done === true ? 0 : 1);
    const difference = (x.value.codePointAt(0) ?? 0) - (y.value.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
}

/** The smallest text above every text that begins with `prefix`; undefined when there is none. */
export function prefixEnd(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // The code points of surrogates are no characters: after U+D7FF comes U+E000.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}
