/**
 * A line of the log for what may happen thousands of times a second. The first is written at once, the rest are
 * counted: once a period, while there are any, a line says how many.
 */
import type { Log, LogLevel } from '../base/log.ts';
import type { Clock, Timer } from './clock.ts';

type Fields = Parameters<Log>[2];

export interface RepeatedLineOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly level: LogLevel;
  readonly event: string;
  /** Shortest time between two lines, ms. */
  readonly periodMs: number;
}

export class RepeatedLine {
  readonly #options: RepeatedLineOptions;
  /** Calls that no line has told yet, and the fields of the newest. */
  #count = 0;
  #fields: Fields;
  #timer: Timer | undefined;

  constructor(options: RepeatedLineOptions) {
    this.#options = options;
  }

  /** It happened once more. The line has `fields` and `count`: how often since the line before. */
  add(fields: Fields): void {
    this.#count += 1;
    this.#fields = fields;
    if (this.#timer === undefined) this.#write();
  }

  /** Writes what was counted. Idempotent. */
  close(): void {
    if (this.#count > 0) this.#log();
    this.drop();
  }

  /** Forgets what was counted. Idempotent. */
  drop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#count = 0;
  }

  #write(): void {
    this.#log();
    this.#timer = this.#options.clock.after(this.#options.periodMs, () => {
      this.#timer = undefined;
      if (this.#count > 0) this.#write();
    });
  }

  #log(): void {
    const { log, level, event } = this.#options;
    log(level, event, { ...this.#fields, count: this.#count });
    this.#count = 0;
  }
}
