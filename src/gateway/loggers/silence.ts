/**
 * Whether no logger gives a sign of life although all that are connected owe one. Then it is this gateway that is cut
 * off, as a rule, and it says so: others, which reach them, take its shards over without waiting for more. A logger
 * whose disk hangs answers pings (logger-link.ts), so it is not silent; nor is one of which nothing is wanted.
 *
 * Looked at with the shards' tick. A process whose own event loop stood still has not heard, and accuses nobody.
 */
import { times } from '../../base/times.ts';

/** Signs of life of one logger. */
export interface LoggerPulse {
  readonly isUp: boolean;
  /** Whether requests wait for its answers. */
  readonly owes: boolean;
  /** Answers that came over its connections; fewer after one was lost. */
  readonly answers: number;
}

/** A look that is later than this shows a loop that stood still. */
const lateMs = 3 * times.restTickMs;

export class Silence {
  readonly #patienceMs: number;
  #answers = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #sinceMs: number | undefined;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  look(nowMs: number, loggers: readonly LoggerPulse[]): void {
    const isLate = nowMs - this.#lookedMs > lateMs;
    const answers = loggers.reduce((sum, logger) => sum + logger.answers, 0);
    const isHeard = answers > this.#answers;
    const up = loggers.filter(({ isUp }) => isUp);
    this.#lookedMs = nowMs;
    this.#answers = answers;
    if (isLate || isHeard) this.#sinceMs = undefined;
    else if (up.length > 0 && up.every(({ owes }) => owes)) this.#sinceMs ??= nowMs;
  }

  /** Lasts until one answers. */
  get isCutOff(): boolean {
    return this.#sinceMs !== undefined && this.#lookedMs - this.#sinceMs >= this.#patienceMs;
  }
}
