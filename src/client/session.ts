/**
 * The numbers of one client id (S15). A write keeps its number through all its retries; the owner of a shard applies a
 * number once. `first`, sent along, is the smallest number whose promise has not settled: below it nobody will ever ask
 * again, so the owners may forget. A write that was reported as `unknown` counts as settled: no retry follows it.
 */
import { assert } from '../base/assert.ts';

export class Session {
  readonly client: number;
  /** number - first stays below this. */
  readonly window: number;
  #first = 1;
  #next = 1;
  /** By number modulo window: 1 when it has settled. */
  readonly #settled: Uint8Array;

  /** REQUIRES: client >= 1, window >= 1. */
  constructor(client: number, window: number) {
    assert(client >= 1 && window >= 1, 'S15 a session has an id and a window');
    this.client = client;
    this.window = window;
    this.#settled = new Uint8Array(window);
  }

  get first(): number {
    return this.#first;
  }

  get hasRoom(): boolean {
    return this.#next - this.#first < this.window;
  }

  /** REQUIRES: hasRoom. */
  take(): number {
    assert(this.hasRoom, 'S15 the window has room');
    this.#settled[this.#next % this.window] = 0;
    return this.#next++;
  }

  /** REQUIRES: `number` was taken and has not settled before. */
  settle(number: number): void {
    const { window } = this;
    assert(
      number >= this.#first && number < this.#next && this.#settled[number % window] === 0,
      'S15 a number settles once',
    );
    this.#settled[number % window] = 1;
    while (this.#first < this.#next && this.#settled[this.#first % window] === 1) this.#first++;
  }
}
