/**
 * What one key may hold. Each key has one writer, which writes one thing after another: sequence 1, 2, ..., a value or
 * a deletion. Of these, the newest acknowledged one must be there, or a later one whose outcome is unknown; never
 * anything older, torn or foreign.
 */
import { sequenceOf, valueOf } from './values.ts';

interface Attempt {
  readonly sequence: number;
  readonly deletes: boolean;
}

export class KeyHistory {
  readonly key: string;
  readonly #seed: number;
  #newest = 0;
  /**
   * The newest that is known to be applied, and those of unknown outcome after it. The first one: nothing was ever
   * written.
   */
  #possible: Attempt[] = [{ sequence: 0, deletes: true }];

  constructor(seed: number, key: string) {
    this.#seed = seed;
    this.key = key;
  }

  /** The next write: its value; undefined for a deletion. */
  begin(deletes: boolean): { readonly sequence: number; readonly value: string | undefined } {
    const sequence = ++this.#newest;
    this.#possible.push({ sequence, deletes });
    return { sequence, value: deletes ? undefined : valueOf(this.#seed, this.key, sequence) };
  }

  acknowledged(sequence: number): void {
    this.#possible = this.#possible.filter((attempt) => attempt.sequence >= sequence);
  }

  notApplied(sequence: number): void {
    this.#possible = this.#possible.filter((attempt) => attempt.sequence !== sequence);
  }

  /**
   * What is wrong with `value` (undefined: no such key); undefined when it may be there. What was read once stays the
   * oldest that may be.
   */
  check(value: string | undefined): string | undefined {
    const found = value === undefined ? this.#deletion() : this.#write(value);
    if (typeof found === 'string') return `${this.key}: ${found}; possible: ${this.#possible.map(describe).join(', ')}`;
    this.acknowledged(found.sequence);
    return undefined;
  }

  /** A deletion says not which it is: the oldest possible one, so that nothing is taken for certain that isn't. */
  #deletion(): Attempt | string {
    return this.#possible.find((attempt) => attempt.deletes) ?? 'nothing is there';
  }

  #write(value: string): Attempt | string {
    const sequence = sequenceOf(value);
    if (sequence === undefined || valueOf(this.#seed, this.key, sequence) !== value)
      return `a torn or foreign value is there: '${value.slice(0, 60)}'`;
    return (
      this.#possible.find((attempt) => attempt.sequence === sequence && !attempt.deletes) ??
      `the write ${sequence} is there`
    );
  }
}

function describe({ sequence, deletes }: Attempt): string {
  return sequence === 0 ? 'nothing' : `${deletes ? 'deletion' : 'write'} ${sequence}`;
}
