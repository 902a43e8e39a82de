/**
 * Asserts are for programmer errors and broken invariants: they are on in production, since a process that no longer
 * knows its state must stop before it answers.
 */

/** An invariant did not hold. Never caught on purpose: the process ends. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/**
 * REQUIRES: `rule` cites the rule of docs/invariants.md (`'S3 ...'`) or says in words what must hold.
 * @throws AssertionFailure when `condition` is false.
 */
export function assert(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new AssertionFailure(rule);
}

/** The `default:` of a `switch` over a union: a type error at compile time when a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${JSON.stringify(value)}`);
}

/**
 * The value, which the caller knows to be there.
 * @throws AssertionFailure when it is not.
 */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionFailure(`missing: ${what}`);
  return value;
}
