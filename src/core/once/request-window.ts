/**
 * The numbers of one client's writes that are under way (S15): numbers are given out in order, end in any order, and
 * `firstIncomplete` is the smallest that has not ended. At most `size` numbers lie between it and the newest.
 */
import { assert } from '../../base/assert.ts';
import type { RequestNumber } from '../../base/ids.ts';
import { requestNumber } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';

export class RequestWindow {
  readonly #ended: Uint8Array;
  #first = 1;
  #next = 1;

  constructor(size: number = limits.clientWindow) {
    this.#ended = new Uint8Array(size);
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

  end(number: RequestNumber): void {
    assert(number >= this.#first && number < this.#next, 'S15 a number ends once, after it began');
    this.#ended[number % this.#ended.length] = 1;
    while (this.#first < this.#next && this.#ended[this.#first % this.#ended.length] === 1) this.#first += 1;
  }
}
