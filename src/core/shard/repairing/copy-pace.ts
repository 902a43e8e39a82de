/** Pace of what reads and copies zones: so many bytes a second, a piece at a time, so that clients hardly notice. */
import type { Millis } from '../../../base/ids.ts';

export class CopyPace {
  readonly #bytesPerSecond: number;
  /** When the bytes that went are paid for. */
  #paidMs = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  isDue(nowMs: Millis): boolean {
    return nowMs >= this.#paidMs;
  }

  get dueMs(): number {
    return this.#paidMs;
  }

  /** Time that was not used is not made up for. */
  took(bytes: number, nowMs: Millis): void {
    this.#paidMs = Math.max(nowMs, this.#paidMs) + (bytes * 1000) / this.#bytesPerSecond;
  }
}
