/**
 * Keeps the process alive while a program waits for something that neither a socket nor a referenced timer stands for.
 */

const longMs = 2 ** 30;

export class ProcessHold {
  #timer: NodeJS.Timeout | undefined = undefined;
  #holds = 0;

  hold(): void {
    this.#holds++;
    this.#timer ??= setInterval(() => undefined, longMs);
    this.#timer.ref();
  }

  /** REQUIRES: as many `hold` before. */
  release(): void {
    if (--this.#holds === 0) this.#timer?.unref();
  }
}
