/** Events of a life, for people: the last ones always, all of them when asked for. */
import type { Log } from '../src/base/log.ts';

const keptMax = 60;

export class Transcript {
  readonly #now: () => number;
  readonly #print: ((line: string) => void) | undefined;
  readonly #last: string[] = [];
  #count = 0;
  readonly #listeners: ((who: string, what: string, fields: Fields) => void)[] = [];

  /** `print` gets every line at once. */
  constructor(now: () => number, print?: (line: string) => void) {
    this.#now = now;
    this.#print = print;
  }

  /** Lines so far: part of what two runs of a seed must agree in. */
  get count(): number {
    return this.#count;
  }

  get last(): readonly string[] {
    return this.#last;
  }

  onNote(listener: (who: string, what: string, fields: Fields) => void): void {
    this.#listeners.push(listener);
  }

  note(who: string, what: string, fields: Fields = {}): void {
    this.#count += 1;
    for (const listener of this.#listeners) listener(who, what, fields);
    const line = `${this.#now().toFixed(3).padStart(11)} ${who.padEnd(10)} ${what}${describe(fields)}`;
    this.#print?.(line);
    this.#last.push(line);
    if (this.#last.length > 2 * keptMax) this.#last.splice(0, keptMax);
  }

  /** Log of one process. */
  log(who: string): Log {
    return (level, event, fields) => {
      if (level !== 'debug') this.note(who, level === 'info' ? event : `${level}: ${event}`, fields);
    };
  }
}

export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

function describe(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${String(value)}`)
    .join('');
}
