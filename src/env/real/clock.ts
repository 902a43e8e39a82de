/** The machine's time and Node's event loop. */
import type { Millis } from '../../base/ids.ts';
import { millis } from '../../base/ids.ts';
import type { Clock, Timer } from '../clock.ts';

/** Longer delays overflow Node's timers, which would then fire at once. */
const delayMsMax = 2 ** 31 - 1;

export class RealClock implements Clock {
  #callbacks: (() => void)[] = [];
  readonly #runCallbacks = (): void => {
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) callback();
  };

  now(): Millis {
    return millis(performance.now());
  }

  wall(): Millis {
    return millis(Date.now());
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), delayMsMax));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }

  endOfTurn(callback: () => void): void {
    // One immediate for all of a turn: they run in the check phase, after the poll phase has handled all input that was
    // ready.
    if (this.#callbacks.push(callback) === 1) setImmediate(this.#runCallbacks);
  }
}
