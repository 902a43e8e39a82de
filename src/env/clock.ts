import type { Millis } from '../base/ids.ts';

/** A timer that was set. */
export interface Timer {
  /** The callback is not called any more. Idempotent. */
  cancel(): void;
}

/** Time and scheduling. Clocks decide when to suspect and expire, never what is true (docs/design.md section 3). */
export interface Clock {
  /** Monotonic milliseconds with a fraction, from an arbitrary start. */
  now(): Millis;
  /** Milliseconds since 1970 by this machine's wall clock; may jump. */
  wall(): Millis;
  /** Calls `callback` once, `delayMs` from now or later. Does not keep the process alive by itself. */
  after(delayMs: number, callback: () => void): Timer;
  /**
   * Calls `callback` at the end of this turn of the event loop: once all input that was ready has been handled.
   * Callbacks run in the order of the calls; one that asks for the end of turn again gets the next turn's. This is
   * where group commit happens.
   */
  endOfTurn(callback: () => void): void;
}

/** Resolves `ms` from now, or later. */
export function pause(clock: Pick<Clock, 'after'>, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
