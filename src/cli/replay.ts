/**
 * Replays a trace and checks every GET against a model in this process. Several requests are under way at a time, but
 * those of one key one after another, so that the model knows what each GET must find.
 */
import { KvError } from '../base/errors.ts';
import type { Client } from '../client/index.ts';
import type { Clock } from '../env/clock.ts';
import type { LatencySummary } from './latencies.ts';
import { Latencies } from './latencies.ts';
import type { TraceRequest } from './trace.ts';

export interface ReplayOptions {
  /** Requests under way at a time, at least 1. Default 1, as the testbed's client. */
  readonly inFlight?: number;
  /** Called after each request. */
  readonly onProgress?: (done: number) => void;
  /** Stops after the requests under way; `replayTrace` then throws `aborted`. */
  readonly signal?: AbortSignal;
}

export interface ReplaySummary {
  readonly puts: LatencySummary;
  readonly gets: LatencySummary;
  readonly deletes: LatencySummary;
  readonly requests: number;
  readonly elapsedMs: number;
  /** GETs of keys that the trace had neither put nor deleted before: what they must find is not known. */
  readonly unchecked: number;
  /** What the cluster must hold now: undefined is a deleted key. */
  readonly model: ReadonlyMap<string, string | undefined>;
}

/**
 * @throws KvError `verify-failed` when a GET finds something else than was written; the error of the first request that
 * fails. In both cases only after what was under way has settled.
 */
export async function replayTrace(
  client: Client,
  requests: Iterable<TraceRequest> | AsyncIterable<TraceRequest>,
  clock: Pick<Clock, 'now'>,
  options: ReplayOptions = {},
): Promise<ReplaySummary> {
  return new Replay(client, clock, options).run(requests);
}

/** Reads every key of the model and compares. Returns how many keys there are. @throws KvError `verify-failed` */
export async function verifyModel(client: Client, model: ReadonlyMap<string, string | undefined>): Promise<number> {
  const keys = [...model.keys()];
  for (const result of await client.getMany(keys)) {
    if (!result.ok) throw result.error;
    check(String(result.key), model.get(String(result.key)), result.entry?.text);
  }
  return keys.length;
}

class Replay {
  readonly #client: Client;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #options: ReplayOptions;
  readonly #model = new Map<string, string | undefined>();
  /** By key: the newest request that has not settled. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #latencies = { put: new Latencies(), get: new Latencies(), del: new Latencies() };
  #underWay = 0;
  #done = 0;
  #unchecked = 0;
  #failure: unknown = undefined;
  #failed = false;
  #wake: (() => void) | undefined = undefined;

  constructor(client: Client, clock: Pick<Clock, 'now'>, options: ReplayOptions) {
    this.#client = client;
    this.#clock = clock;
    this.#options = options;
  }

  async run(requests: Iterable<TraceRequest> | AsyncIterable<TraceRequest>): Promise<ReplaySummary> {
    const { inFlight = 1, signal } = this.#options;
    const startedMs = this.#clock.now();
    try {
      for await (const request of requests) {
        if (this.#failed || signal?.aborted === true) break;
        this.#start(request);
        while (this.#underWay >= inFlight) await this.#oneSettled();
      }
    } finally {
      while (this.#underWay > 0) await this.#oneSettled();
    }
    if (this.#failed) throw this.#failure;
    if (signal?.aborted === true)
      throw new KvError('aborted', `the replay was stopped after ${this.#done} requests`, { cause: signal.reason });
    return {
      puts: this.#latencies.put.summary(),
      gets: this.#latencies.get.summary(),
      deletes: this.#latencies.del.summary(),
      requests: this.#done,
      elapsedMs: this.#clock.now() - startedMs,
      unchecked: this.#unchecked,
      model: this.#model,
    };
  }

  #start(request: TraceRequest): void {
    const { key } = request;
    const perform = this.#prepare(request);
    const before = this.#busy.get(key) ?? Promise.resolve();
    this.#underWay++;
    const work = before
      .then(() => (this.#failed ? undefined : this.#timed(request.kind, perform)))
      .catch((error: unknown) => this.#fail(error))
      .then(() => {
        if (this.#busy.get(key) === work) this.#busy.delete(key);
        this.#underWay--;
        this.#done++;
        this.#options.onProgress?.(this.#done);
        this.#wake?.();
      });
    this.#busy.set(key, work);
  }

  /** Brings the model up to date, in the order of the trace, and gives the work to do. */
  #prepare(request: TraceRequest): () => Promise<void> {
    const { kind, key } = request;
    switch (kind) {
      case 'put':
        this.#model.set(key, request.value);
        return async () => void (await this.#client.put(key, request.value));
      case 'del':
        this.#model.set(key, undefined);
        return async () => void (await this.#client.delete(key));
      case 'get': {
        const known = this.#model.has(key);
        const expected = this.#model.get(key);
        if (!known) this.#unchecked++;
        return async () => {
          const entry = await this.#client.get(key);
          if (known) check(key, expected, entry?.text);
        };
      }
    }
  }

  async #timed(kind: TraceRequest['kind'], perform: () => Promise<void>): Promise<void> {
    const latencies = this.#latencies[kind];
    const sinceMs = this.#clock.now();
    latencies.begin(sinceMs);
    try {
      await perform();
    } finally {
      latencies.end(sinceMs, this.#clock.now());
    }
  }

  #fail(error: unknown): void {
    if (!this.#failed) this.#failure = error;
    this.#failed = true;
  }

  #oneSettled(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** @throws KvError `verify-failed` */
function check(key: string, expected: string | undefined, found: string | undefined): void {
  if (expected === found) return;
  throw new KvError('verify-failed', `key '${key}': ${shown(found)} was read where ${shown(expected)} was written`);
}

function shown(value: string | undefined): string {
  if (value === undefined) return 'nothing';
  return value.length > 24 ? `'${value.slice(0, 20)}...' (${value.length} characters)` : `'${value}'`;
}
