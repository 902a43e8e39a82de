/**
 * Deliberate faults, each one edit of a compiled file in a copy of the build: the product has no switches for them.
 * `find` must occur exactly once, so that a mutant cannot silently change nothing when the product changes.
 */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Edit {
  readonly name: string;
  /** Rule of docs/invariants.md that it breaks. */
  readonly rule: string;
  /** Second guards that must go as well before the rule is broken, each with why. */
  readonly also?: readonly Edit[];
}
