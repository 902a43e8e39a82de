/**
 * Clients of the simulated cluster: the product's own SDK, driven by workers that make one call after another and
 * record each with its outcome (recorder.ts). A batch is as many calls at once, each a process of its own in the
 * history.
 */
import type { Client } from '../src/client/client.ts';
import { connectWith } from '../src/client/connect.ts';
import { present } from '../src/base/assert.ts';
import { KvError } from '../src/base/errors.ts';
import { pause } from '../src/env/clock.ts';
import { below } from '../src/env/random.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { SimulatedCluster } from './cluster.ts';
import { pick } from './pick.ts';
import type { OperationKind, WorkloadPlan } from './plan.ts';
import type { Recorder } from './recorder.ts';
import { WrongAnswer } from './recorder.ts';
import { encodeValue } from './values.ts';
import type { SimulatedProcess } from './world.ts';

/** Names of keys: short, long, and such as the testbed's clients have. */
function keyOf(index: number): string {
  if (index % 3 === 0) return String(index);
  return `k${index}${index % 7 === 3 ? 'x'.repeat(index % 60) : ''}`;
}

const processHold = { hold: () => undefined, release: () => undefined };

/** Opens the SDK in a simulated process. Tries until the cluster answers; another one at its address does not count. */
export async function connectClient(
  process: SimulatedProcess,
  endpoints: readonly string[],
  options: { readonly timeoutMs: number; readonly direct: boolean },
  cluster: string,
): Promise<Client> {
  return present(await connectWhile(() => true, process, endpoints, options, cluster), 'a client');
}

/** The same, unless it is not wanted any more before that. */
async function connectWhile(
  isWanted: () => boolean,
  process: SimulatedProcess,
  endpoints: readonly string[],
  options: { readonly timeoutMs: number; readonly direct: boolean },
  cluster: string,
): Promise<Client | undefined> {
  while (isWanted()) {
    try {
      const client = await connectWith(process, processHold, endpoints, { ...options, connectTimeoutMs: 5_000 });
      if (client.status().cluster === cluster) return client;
      await client.close();
    } catch (error) {
      if (!(error instanceof KvError) || error.code !== 'unavailable') throw error;
    }
  }
  return undefined;
}

/** A client, and the gateway it began with: with `SidesPlan` the only one it knows. */
interface Side {
  readonly gateway: number;
  readonly client: Client;
  /** Calls that it made because it was told something. */
  looking: number;
}

/** Things that a client looks for at once; what it is told beyond that it misses. */
const looksMax = 2;

/** Workers of all clients. */
export class Workload {
  readonly #cluster: SimulatedCluster;
  readonly #plan: WorkloadPlan;
  readonly #random: SimulatedRandom;
  readonly #recorder: Recorder;
  readonly keys: readonly string[];
  #left: number;
  #running = 0;
  #startedMs = 0;
  #stopped = false;
  readonly clients: { readonly process: SimulatedProcess; readonly client: Client }[] = [];
  readonly #sides: Side[] = [];
  #onError: (error: unknown) => void = () => undefined;

  constructor(cluster: SimulatedCluster, random: SimulatedRandom, recorder: Recorder) {
    this.#cluster = cluster;
    this.#plan = cluster.plan.workload;
    this.#random = random;
    this.#recorder = recorder;
    this.#left = this.#plan.operations;
    this.keys = Array.from({ length: this.#plan.keys }, (_, index) => keyOf(index));
  }

  /** Operations were all made and ended. */
  get isDone(): boolean {
    return this.#running === 0;
  }

  get operationsLeft(): number {
    return this.#left;
  }

  /** No more operations begin. */
  stop(): void {
    this.#stopped = true;
  }

  /** `onError` gets the error of a worker, which ends. */
  start(onError: (error: unknown) => void): void {
    this.#onError = onError;
    this.#startedMs = this.#cluster.clock.now();
    for (let id = 0; id < this.#plan.clients; id += 1) this.#run(this.#client(id));
  }

  #run(calls: Promise<void>): void {
    this.#running += 1;
    calls.catch(this.#onError).finally(() => {
      this.#running -= 1;
    });
  }

  async #client(id: number): Promise<void> {
    const process = this.#cluster.clientProcess(id);
    const { sides, timeoutMs, directClients, workersPerClient } = this.#plan;
    const { endpoints } = this.#cluster;
    const gateway = id % endpoints.length;
    const known =
      sides === undefined ? [...endpoints.slice(gateway), ...endpoints.slice(0, gateway)] : [endpoints[gateway] ?? ''];
    // The only gateway that it knows may be gone for good.
    const client = await connectWhile(
      () => !this.#stopped,
      process,
      known,
      {
        timeoutMs,
        direct: sides === undefined && id < directClients,
      },
      this.#cluster.record.cluster,
    );
    if (client === undefined) return;
    this.clients.push({ process, client });
    const side = { gateway, client, looking: 0 };
    if (sides !== undefined) this.#sides.push(side);
    await Promise.all(
      Array.from({ length: workersPerClient }, (_, worker) =>
        this.#worker(side, process, this.#random.fork(`worker ${id} ${worker}`)),
      ),
    );
  }

  async #worker(side: Side, { clock }: SimulatedProcess, random: SimulatedRandom): Promise<void> {
    let process = this.#recorder.newProcess();
    const known = new Map<string, number>();
    const { durationMs, burstPercent, clients, workersPerClient, operations } = this.#plan;
    const pausesEach = (operations / (clients * workersPerClient)) * (1 - burstPercent / 100);
    while (!this.#stopped && this.#left > 0) {
      if (this.#maySpeak(side)) process = await this.#operation(side, random, process, known);
      const pauseMs = (2 * random.fraction() * durationMs) / pausesEach;
      if (below(random, 100) >= burstPercent) await pause(clock, pauseMs);
    }
  }

  async #operation(side: Side, random: SimulatedRandom, process: number, known: Map<string, number>): Promise<number> {
    const { client } = side;
    const kind = this.#pickKind(random);
    if (kind === 'put-many' || kind === 'get-many') return this.#batch(client, random, process, kind);
    this.#left -= 1;
    const key = this.#pickKey(random);
    const knownVersion = known.get(key) ?? 0;
    const done = await this.#one(client, random, process, kind, key, knownVersion);
    if (done.version === undefined) known.delete(key);
    else known.set(key, done.version);
    if (done.version !== undefined) this.#tell(side, key, random);
    return done.process;
  }

  /** Tells a client of another side what was done or seen: it must not see less. */
  #tell(from: Side, key: string, random: SimulatedRandom): void {
    const others = this.#sides.filter(({ gateway, looking }) => gateway !== from.gateway && looking < looksMax);
    if (others.length === 0 || this.#left <= 0) return;
    this.#left -= 1;
    this.#run(this.#look(pick(random, others), key));
  }

  async #look(side: Side, key: string): Promise<void> {
    side.looking += 1;
    await this.#recorder.get(this.#recorder.newProcess(), key, () => side.client.get(key));
    side.looking -= 1;
  }

  #maySpeak({ gateway }: Side): boolean {
    const { sides } = this.#plan;
    if (sides?.listening !== gateway) return true;
    const nowMs = this.#cluster.clock.now() - this.#startedMs;
    return sides.speaking.some(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs);
  }

  #one(
    client: Client,
    random: SimulatedRandom,
    process: number,
    kind: Exclude<OperationKind, 'put-many' | 'get-many'>,
    key: string,
    knownVersion: number,
  ) {
    const recorder = this.#recorder;
    switch (kind) {
      case 'get':
        return recorder.get(process, key, () => client.get(key));
      case 'put':
      case 'put-if-version':
      case 'put-if-absent': {
        const name = recorder.newName();
        const value = encodeValue(name, below(random, this.#plan.valueBytesMax));
        if (kind === 'put') return recorder.put(process, key, name, undefined, () => client.put(key, value));
        if (kind === 'put-if-absent')
          return recorder.put(process, key, name, 0, () => client.put(key, value, { ifAbsent: true }));
        return recorder.put(process, key, name, knownVersion, () =>
          client.put(key, value, { ifVersion: knownVersion }),
        );
      }
      case 'delete':
        return recorder.delete(process, key, undefined, () => client.delete(key));
      case 'delete-if-version':
        return recorder.delete(process, key, knownVersion, () => client.delete(key, { ifVersion: knownVersion }));
    }
  }

  /** Calls in one of the SDK's own batches, whose results are given to them one by one. */
  async #batch(
    client: Client,
    random: SimulatedRandom,
    process: number,
    kind: 'put-many' | 'get-many',
  ): Promise<number> {
    const count = 2 + below(random, this.#plan.batchMax);
    const keys = Array.from({ length: count }, () => this.#pickKey(random));
    this.#left -= count;
    if (kind === 'get-many') {
      const all = client.getMany(keys);
      await Promise.all(
        keys.map((key, index) =>
          this.#recorder.get(this.#recorder.newProcess(), key, async () => {
            const result = (await all)[index];
            if (result?.ok !== true) throw result?.error ?? new Error('getMany gives a result per key');
            return result.entry;
          }),
        ),
      );
      return process;
    }
    const entries = keys.map((key) => ({
      key,
      name: this.#recorder.newName(),
      length: below(random, this.#plan.valueBytesMax),
    }));
    const all = client.putMany(entries.map(({ key, name, length }) => [key, encodeValue(name, length)] as const));
    await Promise.all(
      entries.map(({ key, name }, index) =>
        this.#recorder.put(this.#recorder.newProcess(), key, name, undefined, async () => {
          const result = (await all)[index];
          if (result?.ok !== true) throw result?.error ?? new Error('putMany gives a result per entry');
          return result;
        }),
      ),
    );
    return process;
  }

  #pickKey(random: SimulatedRandom): string {
    const { hotOneIn, hotKeys } = this.#plan;
    const isHot = hotOneIn > 0 && below(random, hotOneIn) === 0;
    return isHot ? pick(random, this.keys.slice(0, hotKeys)) : pick(random, this.keys);
  }

  #pickKind(random: SimulatedRandom): OperationKind {
    const entries = Object.entries(this.#plan.weights) as [OperationKind, number][];
    let at = below(
      random,
      entries.reduce((sum, [, weight]) => sum + weight, 0),
    );
    for (const [kind, weight] of entries) {
      if (at < weight) return kind;
      at -= weight;
    }
    return 'get';
  }

  /** Reads every key once, by a client that was not there before: what is left of all that was written. */
  async readAll(client: Client): Promise<void> {
    const process = this.#recorder.newProcess();
    for (const key of this.keys) {
      const { version, error } = await this.#recorder.get(process, key, () => client.get(key, { timeoutMs: 30_000 }));
      // Whether a key may be lost, the log says (check/lost-keys.ts).
      if (version === undefined && error?.code !== 'damaged')
        throw new WrongAnswer(`${key} cannot be read though everything is healed`);
    }
  }
}
