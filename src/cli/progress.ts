/** A progress bar for a person who waits; nothing where no terminal is. Redrawn at most every 100 ms. */
import type { Clock } from '../env/clock.ts';
import type { Output } from './io.ts';
import { formatCount } from './table.ts';

const barWidth = 24;
const redrawMs = 100;

export class Progress {
  readonly #output: Output;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #unit: string;
  readonly #start: number;
  #drawnAt = Number.NEGATIVE_INFINITY;

  /** `unit`: what is counted, as `requests`. */
  constructor(output: Output, clock: Pick<Clock, 'now'>, unit: string) {
    this.#output = output;
    this.#clock = clock;
    this.#unit = unit;
    this.#start = clock.now();
  }

  /** `share`: of the work that is done, 0..1. */
  update(done: number, share: number): void {
    if (!this.#output.isTerminal) return;
    const now = this.#clock.now();
    if (now - this.#drawnAt < redrawMs) return;
    this.#drawnAt = now;
    const filled = Math.round(Math.min(1, Math.max(0, share)) * barWidth);
    const perSecond = (done * 1000) / Math.max(1, now - this.#start);
    const bar = `${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}`;
    const text = `[${bar}] ${formatCount(done)} ${this.#unit}, ${formatCount(perSecond)}/s`;
    this.#output.write(`\r\u001b[K${text.slice(0, this.#output.columns - 1)}`);
  }

  /** Removes the bar: what follows is printed in its place. */
  finish(): void {
    if (this.#output.isTerminal) this.#output.write('\r\u001b[K');
  }
}
