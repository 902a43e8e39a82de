/**
 * One sync at a time: calls that arrive while one is under way share the next, since what they wait for may have been
 * written after the present one began.
 */
import type { Clock } from '../clock.ts';

interface Waiters {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

export class GroupSync {
  readonly #sync: () => Promise<void>;
  readonly #clock: Clock;
  #since: number | undefined;
  #running: Promise<void> | undefined;
  #next: Waiters | undefined;

  constructor(sync: () => Promise<void>, clock: Clock) {
    this.#sync = sync;
    this.#clock = clock;
  }

  /** Time at which the sync under way began, by the clock; undefined: none is. */
  get since(): number | undefined {
    return this.#since;
  }

  /** Settles with the outcome of a sync that begins now or later. */
  request(): Promise<void> {
    this.#next ??= newWaiters();
    const { promise } = this.#next;
    if (this.#running === undefined) this.#begin();
    return promise;
  }

  /** Settles when no sync is under way or asked for. Never rejects. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #begin(): void {
    const waiters = this.#next;
    this.#next = undefined;
    this.#running = undefined;
    this.#since = undefined;
    if (waiters === undefined) return;
    this.#since = this.#clock.now();
    // The next one begins before the waiters of this one go on: who waits already waits longest.
    this.#running = this.#sync().then(
      () => {
        this.#begin();
        waiters.resolve();
      },
      (cause: unknown) => {
        this.#begin();
        waiters.reject(cause);
      },
    );
  }
}

function newWaiters(): Waiters {
  let resolve: () => void = () => undefined;
  let reject: (cause: unknown) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
