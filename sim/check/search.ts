/**
 * The search for an order of one key's operations: Wing & Gong's, which places one call after another that could have
 * come first among those left, and backtracks; with Lowe's memory of configurations that led nowhere. See
 * linearizability.ts for the sources.
 *
 * The calls and ends of the required operations stand in the order of the history (marks.ts): whatever is called before
 * the first end that is left can be next. A call that is placed is taken out with its end, and put back when it is
 * taken back.
 *
 * Reasons why it is fast beyond that, and beyond what deductions.ts settles before; none excludes an order that no
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
import { at, Marks, Ring } from './marks.ts';
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
  /** Reason of `gave-up`. */
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
  /** Cursor at which the search goes on when this one is taken back: an entry, or beyond them an optional call. */
  readonly cursor: number;
  readonly before: RegisterState;
  /** True when it only looked: there is no need to try others in its place. */
  readonly isFinal: boolean;
}

/** REQUIRES: the operations are in order of invocation. */
export function findOrder(operations: readonly Operation[], limits: SearchLimits): SearchResult {
  return new Search(settleReadWrites(operations), limits).run();
}

class Search {
  readonly #operations: readonly Operation[];
  readonly #limits: SearchLimits;
  readonly #marks: Marks;
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
  #best: { readonly order: readonly number[]; readonly state: RegisterState; readonly left: number };

  constructor(operations: readonly Operation[], limits: SearchLimits) {
    this.#operations = operations;
    this.#limits = limits;
    const count = operations.length;
    const required = [...operations.keys()].filter((index) => this.#operation(index).isRequired);
    this.#optional = [...operations.keys()].filter((index) => !this.#operation(index).isRequired);
    this.#requiredLeft = required.length;
    this.#best = { order: [], state: initialState, left: required.length + 1 };
    this.#marks = new Marks(operations, required);
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
    let cursor = this.#marks.entries.first();
    while (this.#requiredLeft > 0) {
      const next = this.#placeNext(cursor);
      if (this.#isFull)
        return this.#result('gave-up', `more than ${this.#limits.configurationBytesMax} bytes of configurations`);
      if (this.#steps > this.#limits.stepsMax)
        return this.#result('gave-up', `no order found in ${this.#limits.stepsMax} steps`);
      if (next) {
        cursor = this.#marks.entries.first();
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
      order: this.#best.order,
      state: this.#best.state,
      ...(reason === undefined ? {} : { reason }),
    };
  }

  /** Places the first call from `cursor` on that may be next. */
  #placeNext(cursor: number): boolean {
    const marks = this.#marks;
    const optionalStart = marks.entries.head + 1;
    if (cursor < optionalStart) {
      for (let entry = cursor; marks.isCall(entry); entry = marks.next(entry)) {
        if (this.#tryRequired(entry)) return true;
      }
    }
    this.#remember();
    const { firstEnd } = marks;
    for (let index = Math.max(0, cursor - optionalStart); index < this.#optional.length; index++) {
      const operation = present(this.#optional[index], 'optional operation');
      if (this.#operation(operation).invokeIndex > firstEnd) return false;
      if (this.#tryOptional(operation, optionalStart + index + 1)) return true;
    }
    return false;
  }

  #tryRequired(entry: number): boolean {
    const operation = this.#marks.operationOf(entry);
    const { call } = this.#operation(operation);
    const last = this.#placed.at(-1);
    if (last !== undefined && isBlind(call) && !this.#operation(last.operation).isRequired) return false;
    const after = step(this.#state, call);
    if (after === undefined || !this.#leavesRoom(operation, after)) return false;
    return this.#place(operation, this.#marks.next(entry), after);
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

  /** True when every other required call that is left can still be placed, as far as the floor says. */
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
      this.#marks.take(operation);
      if (at(this.#floorMax, operation) !== Infinity) this.#byFloor.take(operation);
    }
    return true;
  }

  /** Takes the last call back whose place could have another one. Gives where to go on; undefined: nowhere. */
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
        this.#marks.putBack(operation);
      }
      if (!isFinal) return cursor;
    }
  }

  #remember(): void {
    if (this.#requiredLeft >= this.#best.left) return;
    const order = this.#placed.map((placed) => placed.operation);
    this.#best = { order, state: this.#state, left: this.#requiredLeft };
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
