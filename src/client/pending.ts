/**
 * The requests that have not settled, in the order of their calls: a list that costs no memory of its own, with its
 * limits.
 */
import { KvError } from '../base/errors.ts';
import type { Request } from './request.ts';

export class PendingRequests {
  count = 0;
  bytes = 0;
  #head: Request | undefined = undefined;
  #tail: Request | undefined = undefined;
  readonly #countMax: number;
  readonly #bytesMax: number;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  /** The back-pressure that a new request meets, if it does. */
  refusal(request: Request): KvError | undefined {
    if (this.count >= this.#countMax) {
      return new KvError(
        'overloaded',
        `${this.count} requests have not settled; the client's requestsMax is ${this.#countMax}: wait for some`,
      );
    }
    if (this.bytes + request.bytes > this.#bytesMax) {
      const message = `${this.bytes} bytes have not settled and ${request.bytes} more would pass the client's bytesMax of ${this.#bytesMax}: wait for some`;
      return new KvError('overloaded', message);
    }
    return undefined;
  }

  add(request: Request): void {
    request.previous = this.#tail;
    if (this.#tail === undefined) this.#head = request;
    else this.#tail.next = request;
    this.#tail = request;
    this.count++;
    this.bytes += request.bytes;
  }

  remove(request: Request): void {
    if (request.previous === undefined) this.#head = request.next;
    else request.previous.next = request.next;
    if (request.next === undefined) this.#tail = request.previous;
    else request.next.previous = request.previous;
    request.previous = undefined;
    request.next = undefined;
    this.count--;
    this.bytes -= request.bytes;
  }

  /** Calls `visit` with each; it may settle the one it is given, no other. */
  forEach(visit: (request: Request) => void): void {
    let request = this.#head;
    while (request !== undefined) {
      const { next } = request;
      visit(request);
      request = next;
    }
  }
}

/** First in, first out; what settled meanwhile is skipped, and swept out before it piles up. */
export class WaitingQueue {
  #items: Request[] = [];
  #start = 0;

  push(request: Request): void {
    if (this.#items.length - this.#start >= 1_024 && this.#items.length >= 2 * this.#sweptCount) this.#sweep();
    this.#items.push(request);
  }

  #sweptCount = 0;

  /** The first that still waits; it stays in the queue. */
  peek(): Request | undefined {
    for (; this.#start < this.#items.length; this.#start++) {
      const request = this.#items[this.#start];
      if (request?.state === 'waiting') return request;
    }
    if (this.#start > 0) {
      this.#items = [];
      this.#start = 0;
    }
    return undefined;
  }

  /** REQUIRES: `peek` returned a request. */
  shift(): void {
    this.#start++;
    if (this.#start >= 1_024 && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
  }

  #sweep(): void {
    this.#items = this.#items.slice(this.#start).filter((request) => request.state === 'waiting');
    this.#start = 0;
    this.#sweptCount = this.#items.length;
  }
}
