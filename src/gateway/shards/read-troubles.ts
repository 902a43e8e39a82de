/** Reads that a replica failed: the first is a line of the log, and then one line a minute says how many. */
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type { Clock, Timer } from '../../env/clock.ts';

type Fields = NonNullable<Parameters<Log>[2]>;

export class ReadTroubles {
  readonly #clock: Clock;
  readonly #log: Log;
  #count = 0;
  /** Those of the newest one. */
  #fields: Fields = {};
  /** Runs while lines are held back. */
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  note(fields: Fields): void {
    this.#count += 1;
    this.#fields = fields;
    if (this.#timer === undefined) this.#say();
  }

  #say(): void {
    this.#timer = undefined;
    if (this.#count === 0) return;
    this.#log('warn', 'reads failed on a replica', { count: this.#count, ...this.#fields });
    this.#count = 0;
    this.#timer = this.#clock.after(times.readTroubleEveryMs, () => this.#say());
  }

  close(): void {
    this.#timer?.cancel();
  }
}
