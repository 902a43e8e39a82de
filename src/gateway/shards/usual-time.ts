/**
 * How long loggers usually take to give a record, and after which time another one is asked, too ("The Tail at Scale",
 * CACM 2013). Mean and deviation are learnt as TCP learns its timeout (RFC 6298): when all become slow the bound grows
 * with them, so that what is asked twice stays little.
 */
import { times } from '../../base/times.ts';

/** Shares of a new time in the mean and in the deviation. */
const meanShare = 1 / 8;
const deviationShare = 1 / 4;
const deviations = 4;
/** Bytes that any logger is given one millisecond for, beside the usual time. */
const bytesPerMs = 50_000;

export class UsualTime {
  #meanMs = 0;
  #deviationMs = 0;

  /** A record of `bytes` came after `tookMs`. */
  took(tookMs: number, bytes: number): void {
    const error = Math.max(0, tookMs - bytes / bytesPerMs) - this.#meanMs;
    this.#deviationMs += deviationShare * (Math.abs(error) - this.#deviationMs);
    this.#meanMs += meanShare * error;
  }

  /** Milliseconds after which a record of `bytes` is asked of another logger, too. */
  boundMs(bytes: number): number {
    const usualMs = this.#meanMs + deviations * this.#deviationMs;
    return Math.min(times.hedgeMaxMs, Math.max(times.hedgeMinMs, usualMs)) + bytes / bytesPerMs;
  }
}
