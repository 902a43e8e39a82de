/**
 * Numbers of one client's writes that are under way (S15), at the client itself or at the gateway that is the client
 * for others. Numbers are given out in order, end in any order, and `firstIncomplete`, sent along with each write, is
 * the smallest that has not ended: below it nobody will ever ask again, so the owners may forget. A write that was
 * reported as `unknown` has ended: no repetition follows it. At most `size` numbers lie between the first and the
 * newest.
 */
import { assert } from '../../base/assert.ts';
import type { RequestNumber } from '../../base/ids.ts';
import { requestNumber } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';

export class RequestWindow {
  /** By number modulo size: 1 when it has ended. */
  readonly #ended: Uint8Array;
  #first = 1;
  #next = 1;

  /** REQUIRES: size >= 1. */
  constructor(size: number = limits.clientWindow) {
    assert(size >= 1, 'S15 a window has room for a number');
    this.#ended = new Uint8Array(size);
  }

  /** Bound of number - first incomplete number. */
  get size(): number {
    return this.#ended.length;
  }

  get firstIncomplete(): RequestNumber {
    return requestNumber(this.#first);
  }

  /** Numbers given out that have not ended, and those after the first of them that have. */
  get width(): number {
    return this.#next - this.#first;
  }

  get isFull(): boolean {
    return this.width >= this.#ended.length;
  }

  /** REQUIRES: not full. */
  begin(): RequestNumber {
    assert(!this.isFull, 'S15 the window has room');
    this.#ended[this.#next % this.#ended.length] = 0;
    return requestNumber(this.#next++);
  }

  /** REQUIRES: `number` began and has not ended. */
  end(number: RequestNumber): void {
    const { size } = this;
    assert(
      number >= this.#first && number < this.#next && this.#ended[number % size] === 0,
      'S15 a number ends once, after it began',
    );
    this.#ended[number % size] = 1;
    while (this.#first < this.#next && this.#ended[this.#first % size] === 1) this.#first += 1;
  }
}
