/**
 * Runs asynchronous work, at most so many at a time, in order. What waits is bounded by its callers: each request waits
 * once.
 */
export class WorkQueue {
  readonly #atOnce: number;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;
  #onIdle: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** REQUIRES: `work` handles its own failures; one that escapes is a bug and ends the process. */
  add(work: () => Promise<void>): void {
    this.#waiting.push(work);
    this.#next();
  }

  #next(): void {
    if (this.#running >= this.#atOnce) return;
    const work = this.#waiting.shift();
    if (work === undefined) return;
    this.#running += 1;
    void work().then(() => {
      this.#running -= 1;
      this.#next();
      if (this.#running > 0) return;
      const listeners = this.#onIdle;
      this.#onIdle = [];
      for (const listener of listeners) listener();
    });
  }

  /** Drops what waits and resolves when nothing runs. */
  async close(): Promise<void> {
    this.#waiting.length = 0;
    if (this.#running > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }
}
