/** A progress bar for a person who waits; nothing where no terminal is. Redrawn at most every 100 ms. */
import type { Clock } from '../env/clock.ts';
import type { Output } from './io.ts';
import { formatCount } from './table.ts';

const barWidth = 24;
const redrawMs = 100;

export class Progress {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #title: string;
  readonly #total: number;
  readonly #start: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #done = 0;

  /** `total`: of the units that `advance` counts. */
  constructor(output: Output, clock: Clock, title: string, total: number) {
    this.#output = output;
    this.#clock = clock;
    this.#title = title;
    this.#total = total;
    this.#start = clock.now();
  }

  advance(count = 1): void {
    this.#done += count;
    if (this.#output.isTerminal && this.#clock.now() - this.#drawnAt >= redrawMs) this.#draw();
  }

  /** Removes the bar: what follows is printed in its place. */
  finish(): void {
    if (this.#output.isTerminal) this.#output.write('\r\u001b[K');
  }

  #draw(): void {
    this.#drawnAt = this.#clock.now();
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const filled = Math.round(share * barWidth);
    const perSecond = (this.#done * 1000) / Math.max(1, this.#drawnAt - this.#start);
    const bar = `${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}`;
    const text = `${this.#title} [${bar}] ${formatCount(this.#done)} of ${formatCount(this.#total)}, ${formatCount(perSecond)}/s`;
    this.#output.write(`\r\u001b[K${text.slice(0, this.#output.columns - 1)}`);
  }
}
