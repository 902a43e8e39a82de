/**
 * The search for an order of one key's operations: Wing & Gong's, which places one call after another that could have
 * come first among those left, and backtracks; with Lowe's memory of configurations that led nowhere. See
 * linearizability.ts for the sources.
 *
 * The calls and ends of the required operations stand in a doubly linked list in the order of the history: whatever is
 * called before the first end that is left can be next. A call that is placed is unlinked with its end, and linked
 * again when it is taken back.
 *
 * What makes it fast beyond that, and beyond what deductions.ts settles before; none of it excludes an order that no
 * other one stands for:
 * - a call that fits and can only look (a read) is placed at once and for good: it may come first in any order that
 *   works;
 * - versions: a call may not raise the floor above what another one that is left needs;
 * - optional calls (outcome unknown) come last: most of them explain nothing and are never placed;
 * - an optional call is placed only where the next one looks at what it did: one that is overwritten unseen can be left
 *   out;
 * - of optional calls that do the same, the first one invoked goes first.
 */
import { present } from '../../src/base/assert.ts';
import { Configurations } from './configurations.ts';
import { settleReadWrites } from './deductions.ts';
import type { Operation } from './operations.ts';
import { floorMax, initialState, isBlind, type RegisterState, step } from './register.ts';

export interface SearchLimits {
  /** Calls that could be placed, those taken back and those that led to a configuration known already included. */
  readonly stepsMax: number;
  /** Memory for configurations. */
  readonly configurationBytesMax: number;
}

export interface SearchResult {
  readonly kind: 'found' | 'impossible' | 'gave-up';
  readonly steps: number;
  /** Of `gave-up`. */
  readonly reason?: string;
  /**
   * The longest order found, of indexes into the operations, and what stood there after it. Of `found`: all required
   * ones.
   */
  readonly order: readonly number[];
  readonly state: RegisterState;
}

interface Placed {
  readonly operation: number;
  /** Where the search goes on when this one is taken back: an entry of the list, or beyond them an optional call. */
  readonly cursor: number;
  readonly before: RegisterState;
  /** It only looked: there is no need to try others in its place. */
  readonly isFinal: boolean;
}

/** REQUIRES: the operations are in order of invocation. */
export function findOrder(operations: readonly Operation[], limits: SearchLimits): SearchResult {
  return new Search(settleReadWrites(operations), limits).run();
}

const at = (array: Int32Array | Float64Array, index: number): number => present(array[index], 'entry');

/**
 * A doubly linked ring of 0..size-1 and its head, `size`, from which members are taken and put back in the opposite
 * order.
 */
class Ring {
  readonly head: number;
  readonly next: Int32Array;
  readonly #previous: Int32Array;

  /** In the order of `members`. */
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

class Search {
  readonly #operations: readonly Operation[];
  readonly #limits: SearchLimits;
  /** Calls and ends of the required operations, in the order of the history. Entry -> operation. */
  readonly #entryOperation: Int32Array;
  readonly #isEnd: Uint8Array;
  readonly #entryIndex: Float64Array;
  readonly #callEntry: Int32Array;
  readonly #endEntry: Int32Array;
  readonly #entries: Ring;
  /** Required operations with a limit for the floor, lowest first. */
  readonly #byFloor: Ring;
  readonly #floorMax: Float64Array;
  /**
   * Optional operations in order of invocation, and for each operation the optional one before it that does the same,
   * or -1.
   */
  readonly #optional: readonly number[];
  readonly #twin: Int32Array;
  readonly #bits: Int32Array;
  #hash = 0;
  #requiredLeft: number;
  readonly #known: Configurations;
  readonly #placed: Placed[] = [];
  #state: RegisterState = initialState;
  #steps = 0;
  #isFull = false;
  #best: readonly number[] = [];
  #bestState: RegisterState = initialState;
  #bestLeft: number;

  constructor(operations: readonly Operation[], limits: SearchLimits) {
    this.#operations = operations;
    this.#limits = limits;
    const count = operations.length;
    const required = [...operations.keys()].filter((index) => this.#operation(index).isRequired);
    this.#optional = [...operations.keys()].filter((index) => !this.#operation(index).isRequired);
    this.#requiredLeft = required.length;
    this.#bestLeft = required.length + 1;
    const marks = required
      .flatMap((operation) => [
        { operation, isEnd: 0, index: this.#operation(operation).invokeIndex },
        { operation, isEnd: 1, index: this.#operation(operation).endIndex },
      ])
      .sort((a, b) => a.index - b.index);
    this.#entryOperation = Int32Array.from(marks, (mark) => mark.operation);
    this.#isEnd = Uint8Array.from(marks, (mark) => mark.isEnd);
    this.#entryIndex = Float64Array.from(marks, (mark) => mark.index);
    this.#callEntry = new Int32Array(count);
    this.#endEntry = new Int32Array(count);
    for (const [entry, mark] of marks.entries())
      (mark.isEnd === 1 ? this.#endEntry : this.#callEntry)[mark.operation] = entry;
    this.#entries = new Ring(marks.length, [...marks.keys()]);
    this.#floorMax = Float64Array.from(operations, (operation) =>
      operation.isRequired ? floorMax(operation.call) : Infinity,
    );
    const limited = required.filter((index) => at(this.#floorMax, index) !== Infinity);
    this.#byFloor = new Ring(
      count,
      limited.sort((a, b) => at(this.#floorMax, a) - at(this.#floorMax, b)),
    );
    this.#twin = this.#twins(count);
    this.#bits = new Int32Array(Math.ceil(count / 32));
    this.#known = new Configurations(this.#bits.length, limits.configurationBytesMax);
  }

  #operation(index: number): Operation {
    return present(this.#operations[index], 'operation');
  }

  #twins(count: number): Int32Array {
    const twins = new Int32Array(count).fill(-1);
    const last = new Map<string, number>();
    for (const index of this.#optional) {
      const same = JSON.stringify(this.#operation(index).call);
      twins[index] = last.get(same) ?? -1;
      last.set(same, index);
    }
    return twins;
  }

  run(): SearchResult {
    let cursor = this.#entries.first();
    while (this.#requiredLeft > 0) {
      const next = this.#placeNext(cursor);
      if (this.#isFull)
        return this.#result('gave-up', `more than ${this.#limits.configurationBytesMax} bytes of configurations`);
      if (this.#steps > this.#limits.stepsMax)
        return this.#result('gave-up', `no order found in ${this.#limits.stepsMax} steps`);
      if (next) {
        cursor = this.#entries.first();
        continue;
      }
      const back = this.#takeBack();
      if (back === undefined) return this.#result('impossible');
      cursor = back;
    }
    this.#remember();
    return this.#result('found');
  }

  #result(kind: SearchResult['kind'], reason?: string): SearchResult {
    return {
      kind,
      steps: this.#steps,
      order: this.#best,
      state: this.#bestState,
      ...(reason === undefined ? {} : { reason }),
    };
  }

  /** Places the first call from `cursor` on that may be next. */
  #placeNext(cursor: number): boolean {
    const optionalStart = this.#entries.head + 1;
    if (cursor < optionalStart) {
      for (let entry = cursor; this.#isEnd[entry] === 0; entry = at(this.#entries.next, entry)) {
        if (this.#tryRequired(entry)) return true;
      }
    }
    this.#remember();
    const end = this.#firstEnd();
    for (let index = Math.max(0, cursor - optionalStart); index < this.#optional.length; index++) {
      const operation = present(this.#optional[index], 'optional operation');
      if (this.#operation(operation).invokeIndex > end) return false;
      if (this.#tryOptional(operation, optionalStart + index + 1)) return true;
    }
    return false;
  }

  /** Index of the first end that is left: what is invoked later comes later. */
  #firstEnd(): number {
    let entry = this.#entries.first();
    while (this.#isEnd[entry] === 0) entry = at(this.#entries.next, entry);
    return at(this.#entryIndex, entry);
  }

  #tryRequired(entry: number): boolean {
    const operation = at(this.#entryOperation, entry);
    const { call } = this.#operation(operation);
    const last = this.#placed.at(-1);
    if (last !== undefined && isBlind(call) && !this.#operation(last.operation).isRequired) return false;
    const after = step(this.#state, call);
    if (after === undefined || !this.#leavesRoom(operation, after)) return false;
    return this.#place(operation, at(this.#entries.next, entry), after);
  }

  #tryOptional(operation: number, cursor: number): boolean {
    if (this.#isPlaced(operation)) return false;
    const twin = at(this.#twin, operation);
    if (twin >= 0 && !this.#isPlaced(twin)) return false;
    const { call } = this.#operation(operation);
    const last = this.#placed.at(-1);
    if (last !== undefined && isBlind(call) && !this.#operation(last.operation).isRequired) return false;
    const after = step(this.#state, call);
    if (after === undefined || after === this.#state || !this.#leavesRoom(operation, after)) return false;
    return this.#place(operation, cursor, after);
  }

  /** Every other required call that is left can still be placed, as far as the floor says. */
  #leavesRoom(operation: number, after: RegisterState): boolean {
    if (after.floor === this.#state.floor) return true;
    const first = this.#byFloor.first();
    const lowest = first === operation ? at(this.#byFloor.next, first) : first;
    return lowest === this.#byFloor.head || after.floor <= at(this.#floorMax, lowest);
  }

  #place(operation: number, cursor: number, after: RegisterState): boolean {
    // A deletion that doesn't say what it found changes nothing here, but may have to come later.
    const isFinal = after === this.#state && !isBlind(this.#operation(operation).call);
    this.#steps++;
    this.#flip(operation);
    if (!isFinal) {
      const added = this.#known.add(this.#bits, this.#hash, after);
      if (added !== 'added') {
        this.#isFull = added === 'full';
        this.#flip(operation);
        return false;
      }
    }
    this.#placed.push({ operation, cursor, before: this.#state, isFinal });
    this.#state = after;
    if (this.#operation(operation).isRequired) {
      this.#requiredLeft--;
      this.#entries.take(at(this.#callEntry, operation));
      this.#entries.take(at(this.#endEntry, operation));
      if (at(this.#floorMax, operation) !== Infinity) this.#byFloor.take(operation);
    }
    return true;
  }

  /** Takes the last call back whose place could have another one. Where to go on; undefined when there is none. */
  #takeBack(): number | undefined {
    for (;;) {
      const last = this.#placed.pop();
      if (last === undefined) return undefined;
      const { operation, cursor, before, isFinal } = last;
      this.#flip(operation);
      this.#state = before;
      if (this.#operation(operation).isRequired) {
        this.#requiredLeft++;
        if (at(this.#floorMax, operation) !== Infinity) this.#byFloor.putBack(operation);
        this.#entries.putBack(at(this.#endEntry, operation));
        this.#entries.putBack(at(this.#callEntry, operation));
      }
      if (!isFinal) return cursor;
    }
  }

  #remember(): void {
    if (this.#requiredLeft >= this.#bestLeft) return;
    this.#bestLeft = this.#requiredLeft;
    this.#best = this.#placed.map((placed) => placed.operation);
    this.#bestState = this.#state;
  }

  #isPlaced(operation: number): boolean {
    return ((at(this.#bits, operation >>> 5) >>> (operation & 31)) & 1) === 1;
  }

  #flip(operation: number): void {
    const word = operation >>> 5;
    this.#bits[word] = at(this.#bits, word) ^ (1 << (operation & 31));
    this.#hash ^= Math.imul(operation + 1, 0x9e3779b1) ^ Math.imul((operation + 7) ^ (operation << 11), 0x85ebca6b);
  }
}
