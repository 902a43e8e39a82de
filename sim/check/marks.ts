/**
 * Calls and ends of the required operations that are left, in the order of the history: whatever is called before the
 * first end can be next. Operations are taken and put back in the opposite order.
 */
import { present } from '../../src/base/assert.ts';
import type { Operation } from './operations.ts';

export const at = (array: Int32Array | Float64Array, index: number): number => present(array[index], 'entry');

/**
 * A doubly linked ring of 0..size-1 and its head, `size`, from which members are taken and put back in the opposite
 * order.
 */
export class Ring {
  readonly head: number;
  readonly next: Int32Array;
  readonly #previous: Int32Array;

  /** `members`: those that it holds, in this order. */
  constructor(size: number, members: readonly number[]) {
    this.head = size;
    this.next = new Int32Array(size + 1);
    this.#previous = new Int32Array(size + 1);
    let last = size;
    for (const member of [...members, size]) {
      this.next[last] = member;
      this.#previous[member] = last;
      last = member;
    }
  }

  first(): number {
    return at(this.next, this.head);
  }

  take(member: number): void {
    this.next[at(this.#previous, member)] = at(this.next, member);
    this.#previous[at(this.next, member)] = at(this.#previous, member);
  }

  putBack(member: number): void {
    this.next[at(this.#previous, member)] = member;
    this.#previous[at(this.next, member)] = member;
  }
}

/** An entry is a call or an end. */
export class Marks {
  readonly entries: Ring;
  readonly #operation: Int32Array;
  readonly #isEnd: Uint8Array;
  /** Index of the event in the history. */
  readonly #eventIndex: Float64Array;
  /** By operation. */
  readonly #call: Int32Array;
  readonly #end: Int32Array;

  /** `required`: indexes into `operations`. */
  constructor(operations: readonly Operation[], required: readonly number[]) {
    const marks = required
      .flatMap((operation) => {
        const { invokeIndex, endIndex } = present(operations[operation], 'operation');
        return [
          { operation, isEnd: 0, index: invokeIndex },
          { operation, isEnd: 1, index: endIndex },
        ];
      })
      .sort((a, b) => a.index - b.index);
    this.#operation = Int32Array.from(marks, (mark) => mark.operation);
    this.#isEnd = Uint8Array.from(marks, (mark) => mark.isEnd);
    this.#eventIndex = Float64Array.from(marks, (mark) => mark.index);
    this.#call = new Int32Array(operations.length);
    this.#end = new Int32Array(operations.length);
    for (const [entry, mark] of marks.entries()) (mark.isEnd === 1 ? this.#end : this.#call)[mark.operation] = entry;
    this.entries = new Ring(marks.length, [...marks.keys()]);
  }

  isCall(entry: number): boolean {
    return this.#isEnd[entry] === 0;
  }

  next(entry: number): number {
    return at(this.entries.next, entry);
  }

  operationOf(entry: number): number {
    return at(this.#operation, entry);
  }

  /** Index of the first end that is left: what is invoked later comes later. */
  get firstEnd(): number {
    let entry = this.entries.first();
    while (this.isCall(entry)) entry = this.next(entry);
    return at(this.#eventIndex, entry);
  }

  take(operation: number): void {
    this.entries.take(at(this.#call, operation));
    this.entries.take(at(this.#end, operation));
  }

  putBack(operation: number): void {
    this.entries.putBack(at(this.#end, operation));
    this.entries.putBack(at(this.#call, operation));
  }
}
