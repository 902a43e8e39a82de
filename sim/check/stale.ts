/**
 * Stale reads, which any gateway answers from what it has applied (S14): they show what is committed, and one life of a
 * gateway never goes back. So what one has shown, every linearizable read that begins later knows, too; and the place
 * of a key's state in the log never falls from one answer of a gateway's life to what is asked of it afterwards.
 *
 * A state of a key is a number: 0 before its first record, n behind its nth one.
 */
import type { HistoryEvent } from '../history.ts';
import type { CommittedLog, LogRecord } from './logs.ts';
import { Violation } from './violation.ts';

/** States of one key that have been shown: nothing that is asked later may be older. */
class KeyStates {
  readonly #key: string;
  readonly #records: readonly LogRecord[];
  /** By version, and by value for answers without a version. */
  readonly #states = new Map<number | string, number>();
  /** Shown by anybody, and by each life of a gateway. */
  #shown = 0;
  readonly #shownAt = new Map<string, number>();
  /** Stale answers that were older than what was known. */
  older = 0;
  /** What had been shown when they began, of calls that are open. */
  readonly #floors = new Map<number, number>();

  constructor(key: string, records: readonly LogRecord[]) {
    this.#key = key;
    this.#records = records;
    for (const [index, { lba, name }] of records.entries()) {
      if (name === undefined) continue;
      this.#states.set(lba, index + 1);
      this.#states.set(name, index + 1);
    }
  }

  began({ process, f, at }: HistoryEvent): void {
    this.#floors.set(process, f === 'stale' ? (this.#shownAt.get(at ?? '') ?? 0) : this.#shown);
  }

  /** @throws Violation */
  ended(event: HistoryEvent): void {
    const floor = this.#floors.get(event.process) ?? 0;
    this.#floors.delete(event.process);
    if (event.type !== 'ok') return;
    const state = this.#stateOf(event, floor);
    if (state === undefined || state < floor) this.#violated(event, state, floor);
    else this.#show(event, state);
  }

  #show({ f, at }: HistoryEvent, state: number): void {
    if (f === 'stale') {
      const name = at ?? '';
      this.#shownAt.set(name, Math.max(state, this.#shownAt.get(name) ?? 0));
      if (state < this.#shown) this.older += 1;
    }
    this.#shown = Math.max(state, this.#shown);
  }

  /** The state that the answer shows; of those without the key the first from `floor` on. Undefined: there is none. */
  #stateOf({ value, version }: HistoryEvent, floor: number): number | undefined {
    const isAbsent = value === null && (version ?? 0) === 0;
    if (!isAbsent) return this.#states.get(version ?? value ?? '');
    for (let state = floor; state <= this.#records.length; state += 1)
      if (state === 0 || this.#records[state - 1]?.name === undefined) return state;
    return undefined;
  }

  #violated(event: HistoryEvent, state: number | undefined, floor: number): never {
    const { f, process, time, value, version, at } = event;
    const what = `${f} ${this.#key} of process ${process} at ${time.toFixed(3)} gave ${value ?? 'nothing'} of version ${version ?? 'unknown'}`;
    if (state === undefined && floor === 0) throw new Violation(`S14 ${what}, which was never committed`);
    throw new Violation(
      `S14 ${what}, though record ${floor} of the key had been shown${at === undefined ? '' : ` by ${at}`}`,
    );
  }
}

/** Gives how many stale answers were older than what somebody had been shown. @throws Violation */
export function checkStale(events: readonly HistoryEvent[], log: Pick<CommittedLog, 'historyOf'>): number {
  const keys = new Map<string, KeyStates>();
  for (const event of events) {
    if (event.f !== 'stale' && event.f !== 'get' && event.f !== 'has') continue;
    let states = keys.get(event.key);
    if (states === undefined) keys.set(event.key, (states = new KeyStates(event.key, log.historyOf(event.key))));
    if (event.type === 'invoke') states.began(event);
    else states.ended(event);
  }
  return [...keys.values()].reduce((sum, { older }) => sum + older, 0);
}
