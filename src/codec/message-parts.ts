/** Steps that readers of messages share: a count, a number in its range, what a later version added, the complaint. */
import { MessageFormatError } from './message-reader.ts';
import type { MessageReader } from './message-reader.ts';

/** @throws MessageFormatError at the reader's position. */
export function malformed(reader: MessageReader, what: string): never {
  throw new MessageFormatError(what, reader.position);
}

/** An integer from `least` to `most`. */
export function natural(reader: MessageReader, least: number, most: number, what: string): number {
  const value = reader.integer();
  if (value < least || value > most) malformed(reader, `${what} is out of range: ${value}`);
  return value;
}

/** Reads the head of an array of at least `least` members; gives how many more there are. */
export function arrayOf(reader: MessageReader, least: number, what: string): number {
  const count = reader.array();
  if (count < least) malformed(reader, `${what} has ${count} members, not ${least}`);
  return count - least;
}

/** Passes over the members that a later version added. */
export function skipRest(reader: MessageReader, count: number): void {
  for (let left = count; left > 0; left -= 1) reader.skip();
}
