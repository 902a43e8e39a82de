/**
 * Whether one logger may hold a new zone, after it has failed one. It is avoided for a while, four times as long each
 * time it fails again soon, and taken back only when a probe has been answered: a write and a sync of its device, so
 * that one whose disk hangs, is full or has failed for good, and that still says hello, costs a message now and then
 * instead of a pause of all writes and a zone.
 *
 *   fit --failed--> avoided --time over--> due --probe sent--> probed --answered--> fit
 *                      ^                                         |
 *                      '----------- refused, lost ---------------'
 *
 * It remembers: connections that come and go change nothing of it. It does not own who is connected (loggers.ts).
 */
import type { Millis } from '../../base/ids.ts';
import { times } from '../../base/times.ts';
import type { LoggerRefusalCode } from '../../codec/logger-protocol.ts';

/** Way in which a logger failed: it went away, owed an answer for too long, refused, or had no space. */
export type Failing = 'lost' | 'slow' | 'refused' | 'full';

/** Milliseconds for which the first failure is avoided. */
const firstMs: Readonly<Record<Failing, number>> = {
  lost: times.lostLoggerAvoidedMs,
  slow: times.loggerAvoidedMs,
  refused: times.loggerAvoidedMs,
  full: 2 * times.loggerAvoidedMs,
};
const growth = 4;

/** What a refusal says of the logger's fitness. */
export function failingOf(reason: LoggerRefusalCode | 'lost'): Failing {
  if (reason === 'lost') return 'lost';
  return reason === 'device-full' ? 'full' : 'refused';
}

export class LoggerFitness {
  #state: 'fit' | 'avoided' | 'probed' = 'fit';
  #untilMs = 0;
  #stepMs = 0;

  /** It failed as a replica, or refused a probe. */
  failed(how: Failing, nowMs: Millis): void {
    // One failure shows itself in several ways at once: it counts as one.
    if (this.#state === 'avoided' && nowMs < this.#untilMs) return;
    const isForgiven = nowMs - this.#untilMs >= Math.max(this.#stepMs, times.loggerForgivenMs);
    const grown = isForgiven ? 0 : growth * this.#stepMs;
    this.#stepMs = Math.min(times.loggerAvoidedMsMax, Math.max(firstMs[how], grown));
    this.#untilMs = nowMs + this.#stepMs;
    this.#state = 'avoided';
  }

  /** True once, when a probe is to be sent now. */
  takeProbe(nowMs: Millis): boolean {
    if (this.#state !== 'avoided' || nowMs < this.#untilMs) return false;
    this.#state = 'probed';
    return true;
  }

  /** The probe was answered: it writes and syncs. */
  passed(nowMs: Millis): void {
    if (this.#state !== 'probed') return;
    this.#state = 'fit';
    this.#untilMs = nowMs;
  }

  /** The probe was not answered well. */
  refusedProbe(how: Failing, nowMs: Millis): void {
    if (this.#state === 'probed') this.failed(how, nowMs);
  }

  get isFit(): boolean {
    return this.#state === 'fit';
  }
}
