/**
 * A register that is linearizable by construction, with clients whose calls wait before and after the moment they take
 * effect.
 */
import type { HistoryEvent } from '../../../sim/history.ts';
import { below, type Random } from '../../../src/env/random.ts';
import { cas, type Draft, del, type Drafts, failed, get, put, refused, unknownOf } from './events.ts';

export interface LifeOptions {
  readonly processes: number;
  readonly calls: number;
  readonly keys: number;
  /** Calls in a hundred whose outcome their client never learns. */
  readonly unknownPercent: number;
  /** Clients are told versions. */
  readonly hasVersions: boolean;
  /** Values written: distinct ones, or few that come again and again. */
  readonly values: 'distinct' | 'few';
}

interface KeyState {
  value: string | null;
  version: number;
  /** Versions that were given before. */
  readonly old: number[];
}

interface OpenCall {
  readonly key: string;
  readonly asked: Drafts;
  answer: Drafts | undefined;
}

export function linearizableLife(random: Random, options: LifeOptions): readonly HistoryEvent[] {
  return new Life(random, options).run();
}

class Life {
  readonly #random: Random;
  readonly #options: LifeOptions;
  readonly #keys = new Map<string, KeyState>();
  readonly #events: HistoryEvent[] = [];
  readonly #processes: { id: number; call: OpenCall | undefined }[];
  /** Unknown calls that have not taken effect yet. */
  readonly #late: OpenCall[] = [];
  #nextProcess: number;
  #started = 0;
  #version = 0;

  constructor(random: Random, options: LifeOptions) {
    this.#random = random;
    this.#options = options;
    this.#processes = Array.from({ length: options.processes }, (_, id) => ({ id, call: undefined }));
    this.#nextProcess = options.processes;
  }

  run(): readonly HistoryEvent[] {
    while (this.#started < this.#options.calls || this.#processes.some(({ call }) => call !== undefined)) this.#turn();
    return this.#events;
  }

  #turn(): void {
    // One in three unknown calls is never carried out in practice: its turn does not come.
    const [late] = below(this.#random, 6) === 0 ? this.#late.splice(below(this.#random, this.#late.length + 1), 1) : [];
    if (late !== undefined) this.#apply(late);
    const process = this.#processes[below(this.#random, this.#processes.length)];
    if (process === undefined) return;
    const { call } = process;
    if (call === undefined) {
      if (this.#started < this.#options.calls) process.call = this.#invoke(process.id);
    } else if (below(this.#random, 200) < this.#options.unknownPercent) {
      this.#push(call.key, unknownOf(call.asked).end);
      if (call.answer === undefined) this.#late.push(call);
      process.call = undefined;
      process.id = this.#nextProcess++;
    } else if (call.answer === undefined) {
      this.#apply(call);
    } else {
      this.#push(call.key, call.answer.end);
      process.call = undefined;
    }
  }

  #invoke(process: number): OpenCall {
    const key = `k${below(this.#random, this.#options.keys)}`;
    const number = this.#started++;
    const value = this.#options.values === 'few' ? `v${below(this.#random, 2)}` : `v${number}`;
    const asked = this.#ask(process, value, this.#state(key));
    this.#push(key, asked.invoke);
    return { key, asked, answer: undefined };
  }

  #ask(process: number, value: string, state: KeyState): Drafts {
    const kind = below(this.#random, this.#options.hasVersions ? 12 : 9);
    if (kind < 5) return get(process, null);
    if (kind < 8) return put(process, value);
    if (kind === 8) return del(process);
    const expected = [0, state.version, state.version, state.old[below(this.#random, state.old.length + 1)] ?? 0][
      below(this.#random, 4)
    ];
    return cas(process, expected ?? 0, kind === 11 ? null : value);
  }

  #state(key: string): KeyState {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    const fresh: KeyState = { value: null, version: 0, old: [] };
    this.#keys.set(key, fresh);
    return fresh;
  }

  /** The moment at which the call takes effect. */
  #apply(call: OpenCall): void {
    const { process, f, value, version } = call.asked.invoke;
    const state = this.#state(call.key);
    const { hasVersions } = this.#options;
    if (f === 'get') call.answer = get(process, state.value, hasVersions ? state.version : undefined);
    else if (f === 'put') call.answer = put(process, value ?? '', this.#write(state, value));
    else if (f === 'del') call.answer = del(process, this.#remove(state, hasVersions));
    else if (version !== state.version) call.answer = this.#refuse(process, version ?? 0, value, state.version);
    else call.answer = cas(process, version, value, value === null ? this.#forget(state) : this.#write(state, value));
  }

  #refuse(process: number, expected: number, value: string | null, current: number): Drafts {
    return below(this.#random, 4) === 0
      ? failed(cas(process, expected, value))
      : refused(process, expected, value, current);
  }

  #write(state: KeyState, value: string | null): number | undefined {
    this.#version += 1 + below(this.#random, 3);
    if (state.version !== 0) state.old.push(state.version);
    state.value = value;
    state.version = this.#version;
    return this.#options.hasVersions ? this.#version : undefined;
  }

  #remove(state: KeyState, isTold: boolean): boolean | undefined {
    const existed = state.value !== null;
    this.#forget(state);
    return isTold ? existed : undefined;
  }

  #forget(state: KeyState): undefined {
    state.value = null;
    state.version = 0;
  }

  #push(key: string, draft: Draft): void {
    this.#events.push({ ...draft, key, time: this.#events.length });
  }
}
