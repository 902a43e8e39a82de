/**
 * Clients of the fault test: loops of gets, puts, deletes and compare-and-set writes on a few keys, every call recorded
 * in the simulator's form of a history.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { History, type HistoryEvent } from '../../sim/history.ts';
import { Recorder, type Done } from '../../sim/recorder.ts';
import { encodeValue } from '../../sim/values.ts';
import type { ErrorCode } from '../../src/base/errors.ts';
import type { Client } from '../../src/client/index.ts';
import { below } from '../../src/env/random.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';

/** Errors that faults explain; a history with any other ends the run. */
const explained: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'condition-failed',
  'unavailable',
  'not-owner',
  'timeout',
  'connection-lost',
  'overloaded',
  'coordinator-unavailable',
]);
const valueBytesMax = 2_000;

export interface LoadOptions {
  /** Errors that a row's fault explains beside those of any. */
  readonly explains?: readonly ErrorCode[] | undefined;
  /** Pause of a lane between two calls, up to: bounds the length of the history. */
  readonly pauseMsMax?: number;
}

export class Load {
  readonly keys: readonly string[];
  readonly #history = new History();
  readonly #recorder: Recorder;
  readonly #lanes: Promise<void>[] = [];
  readonly #pauseMsMax: number;
  #isStopped = false;

  constructor(keys: number, { explains = [], pauseMsMax = 6 }: LoadOptions = {}) {
    this.#pauseMsMax = pauseMsMax;
    this.keys = Array.from({ length: keys }, (_, index) => `key${index}`);
    this.#recorder = new Recorder(
      this.#history,
      () => performance.now(),
      () => undefined,
      { isCalm: false, explains: (code) => explained.has(code) || explains.includes(code) },
    );
  }

  get events(): readonly HistoryEvent[] {
    return this.#history.events;
  }

  /**
   * Begins `lanes` loops of calls through `client`; what they do follows from the seed. `reads`: they do no more than
   * read, so that reads are measured while writes wait.
   */
  start(client: Client, lanes: number, seed: number, kind: 'all' | 'reads' = 'all'): void {
    for (let lane = 0; lane < lanes; lane += 1) {
      const running = this.#run(client, new SimulatedRandom(seed).fork(`${kind} ${lane}`), kind);
      // A failure is thrown where it is awaited, in `stop`.
      running.catch(() => undefined);
      this.#lanes.push(running);
    }
  }

  /** Ends the loops when their calls have settled. @throws WrongAnswer one was told what can't be */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#lanes);
  }

  /** Reads all keys at once, each as a process of its own. @throws WrongAnswer */
  async readAll(client: Client): Promise<void> {
    await Promise.all(this.keys.map((key) => this.#get(client, this.#recorder.newProcess(), key)));
  }

  async #run(client: Client, random: SimulatedRandom, lane: 'all' | 'reads'): Promise<void> {
    let process = this.#recorder.newProcess();
    const known = new Map<string, number>();
    while (!this.#isStopped) {
      const key = this.keys[below(random, this.keys.length)] ?? '';
      const done = await (lane === 'reads'
        ? this.#get(client, process, key)
        : this.#call(client, random, process, key, known.get(key)));
      process = done.process;
      if (done.version !== undefined) known.set(key, done.version);
      await sleep(below(random, this.#pauseMsMax));
    }
  }

  #call(client: Client, random: SimulatedRandom, process: number, key: string, known?: number): Promise<Done> {
    const kind = below(random, 10);
    if (kind < 4) return this.#get(client, process, key);
    if (kind === 4) return this.#recorder.delete(process, key, undefined, () => client.delete(key));
    const name = this.#recorder.newName();
    const value = encodeValue(name, below(random, valueBytesMax));
    if (kind < 8 || known === undefined)
      return this.#recorder.put(process, key, name, undefined, () => client.put(key, value));
    return this.#recorder.put(process, key, name, known, () => client.put(key, value, { ifVersion: known }));
  }

  #get(client: Client, process: number, key: string): Promise<Done> {
    return this.#recorder.get(process, key, async () => {
      const entry = await client.get(key);
      return entry === undefined ? undefined : { value: entry.value, version: entry.version };
    });
  }
}
