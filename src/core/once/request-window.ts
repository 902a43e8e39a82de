/**
 * Numbers of one client's writes to one shard that are under way (S15), at the client itself or at the gateway that is
 * the client for others. Numbers are given out in order, end in any order, and `firstIncomplete`, sent along with each
 * write, is the smallest that has not ended: below it nobody will ever ask again, so the owner may forget. A write that
 * was reported as `unknown` has ended: no repetition follows it. At most `size` numbers lie between the first and the
 * newest.
 *
 * Windows of one client draw from one counter: a number names a write, whichever its shard. Shards remember clients
 * each for itself, so each has a window of its own, and a write that hangs at one fills only that (request-windows.ts).
 */
import { assert } from '../../base/assert.ts';
import type { RequestNumber } from '../../base/ids.ts';
import { requestNumber } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';

/** Counter of one client. */
export interface RequestNumbers {
  next: number;
}

export class RequestWindow {
  readonly #numbers: RequestNumbers;
  /** By number modulo size: 1 while it has begun here and has not ended. */
  readonly #open: Uint8Array;
  #openCount = 0;
  /** The smallest open number, if there is one. */
  #first = 1;

  /** REQUIRES: size >= 1. */
  constructor(size: number = limits.clientWindow, numbers: RequestNumbers = { next: 1 }) {
    assert(size >= 1, 'S15 a window has room for a number');
    this.#open = new Uint8Array(size);
    this.#numbers = numbers;
  }

  /** Bound of number - first incomplete number. */
  get size(): number {
    return this.#open.length;
  }

  get firstIncomplete(): RequestNumber {
    return requestNumber(this.#openCount === 0 ? this.#numbers.next : this.#first);
  }

  /** Numbers from the first that has not ended to the newest. */
  get width(): number {
    return this.#numbers.next - this.firstIncomplete;
  }

  get isFull(): boolean {
    return this.width >= this.size;
  }

  /** REQUIRES: not full. */
  begin(): RequestNumber {
    assert(!this.isFull, 'S15 the window has room');
    const number = this.#numbers.next++;
    if (this.#openCount === 0) this.#first = number;
    this.#open[number % this.size] = 1;
    this.#openCount += 1;
    return requestNumber(number);
  }

  /** REQUIRES: `number` began here and has not ended. */
  end(number: RequestNumber): void {
    const { size } = this;
    assert(
      number >= this.#first && number - this.#first < size && this.#open[number % size] === 1,
      'S15 a number ends once, after it began',
    );
    this.#open[number % size] = 0;
    this.#openCount -= 1;
    if (this.#openCount > 0) while (this.#open[this.#first % size] !== 1) this.#first += 1;
  }
}
