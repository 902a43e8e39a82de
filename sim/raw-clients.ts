/**
 * Clients without the SDK: they speak the client port of any gateway, owner or not, and take what it answers: no retry
 * makes a refusal good. Some number their writes (S15), the others leave that to the gateway as rpclib's client does;
 * some calls are in the testbed's forms, some reads are `has` or stale, and now and then a numbered write goes to two
 * gateways at once, or is sent again long after it ended (raw-repeats.ts). All is recorded (recorder.ts), like the
 * calls of the SDK.
 */
import { KvError } from '../src/base/errors.ts';
import type { WriteTerms } from '../src/codec/client-requests.ts';
import { condition as conditions } from '../src/codec/client-requests.ts';
import { testbedValueBytesMax } from '../src/codec/testbed-protocol.ts';
import { pause } from '../src/env/clock.ts';
import { below } from '../src/env/random.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { SimulatedCluster } from './cluster.ts';
import { rawHost } from './hosts.ts';
import { ports } from './node-options.ts';
import { pick } from './pick.ts';
import type { RawGateway } from './raw-gateway.ts';
import { connectRaw } from './raw-gateway.ts';
import type { RawKind, RawPlan } from './raw-plan.ts';
import { OpenWrites } from './raw-repeats.ts';
import type { Done, Recorder } from './recorder.ts';
import { WrongAnswer } from './recorder.ts';
import { encodeValue } from './values.ts';
import type { SimulatedProcess } from './world.ts';

/** Keys that the testbed's clients can name: those of an int32's digits. */
function isTestbedKey(key: string): boolean {
  return /^[0-9]+$/.test(key);
}

/** One client: a process with a connection to each gateway that it has asked. */
interface RawClient {
  readonly process: SimulatedProcess;
  readonly random: SimulatedRandom;
  readonly isNumbered: boolean;
  readonly gateways: Map<string, RawGateway>;
  /** Versions that it was told, by key. */
  readonly known: Map<string, number>;
  /** Id of its own; 0: none yet. */
  id: number;
  readonly open: OpenWrites;
  /** Process of the history that makes the next call. */
  caller: number;
}

export class RawClients {
  readonly #cluster: SimulatedCluster;
  readonly #plan: RawPlan;
  readonly #recorder: Recorder;
  readonly #random: SimulatedRandom;
  readonly #keys: readonly string[];
  readonly #testbedKeys: readonly string[];
  readonly #clients: RawClient[] = [];
  #left: number;
  #running = 0;
  #stopped = false;

  constructor(
    cluster: SimulatedCluster,
    plan: RawPlan,
    random: SimulatedRandom,
    recorder: Recorder,
    keys: readonly string[],
  ) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#random = random;
    this.#recorder = recorder;
    this.#keys = keys;
    this.#testbedKeys = keys.filter(isTestbedKey);
    this.#left = plan.operations;
  }

  get isDone(): boolean {
    return this.#running === 0;
  }

  get processes(): readonly SimulatedProcess[] {
    return this.#clients.map(({ process }) => process);
  }

  /** No more calls begin. */
  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    for (const { gateways } of this.#clients) for (const gateway of gateways.values()) gateway.close();
  }

  /** `onError` gets the error of a client, which ends. */
  start(onError: (error: unknown) => void): void {
    const { knobs } = this.#cluster.plan.cluster;
    for (let index = 0; index < this.#plan.clients; index += 1) {
      const client: RawClient = {
        process: this.#cluster.clientProcess(0, rawHost(index)),
        random: this.#random.fork(`raw ${index}`),
        isNumbered: index < this.#plan.numbered,
        gateways: new Map(),
        known: new Map(),
        id: 0,
        open: new OpenWrites(Math.min(this.#plan.open, knobs?.window ?? this.#plan.open)),
        caller: this.#recorder.newProcess(),
      };
      this.#clients.push(client);
      this.#running += 1;
      this.#run(client)
        .catch(onError)
        .finally(() => {
          this.#running -= 1;
        });
    }
  }

  async #run(client: RawClient): Promise<void> {
    const { durationMs } = this.#cluster.plan.workload;
    const { operations, clients } = this.#plan;
    while (!this.#stopped && this.#left > 0) {
      this.#left -= 1;
      const pauseMs = (2 * client.random.fraction() * durationMs * clients) / operations;
      await pause(client.process.clock, pauseMs);
      const gateway = await this.#gateway(client);
      if (gateway !== undefined) await this.#call(client, gateway);
    }
  }

  // --- gateways ------------------------------------------------------------------------------------------------------

  /** Any gateway that it can reach now, those that stand in for others among them. */
  async #gateway(client: RawClient): Promise<RawGateway | undefined> {
    const hosts = this.#cluster.everyNode.filter(({ kind }) => kind === 'gateway').map(({ host }) => host);
    const host = pick(client.random, hosts);
    const known = client.gateways.get(host);
    if (known?.isOpen === true) return known;
    client.gateways.delete(host);
    try {
      const address = `${host}:${ports.client}`;
      const wantsId = client.isNumbered && client.id === 0;
      const gateway = await connectRaw(client.process, address, this.#plan.patienceMs, wantsId);
      if (!this.#isOurs(gateway)) return undefined;
      if (wantsId) client.id = gateway.client;
      client.gateways.set(host, gateway);
      return gateway;
    } catch (error) {
      this.#recorder.refused(`hello at ${host}`, error);
      return undefined;
    }
  }

  #isOurs(gateway: RawGateway): boolean {
    if (gateway.cluster === this.#cluster.record.cluster) return true;
    this.#cluster.coverage.count('gateway of another cluster met by a client');
    gateway.close();
    return false;
  }

  // --- calls ---------------------------------------------------------------------------------------------------------

  async #call(client: RawClient, gateway: RawGateway): Promise<void> {
    const kind = pick(client.random, this.#plan.kinds);
    const isTestbed = kind.startsWith('testbed');
    const keys = isTestbed ? this.#testbedKeys : this.#keys;
    if (keys.length === 0) return;
    const key = pick(client.random, keys);
    if (isTestbed) this.#cluster.coverage.count('call in a form of the testbed');
    const { process, version, error } = await this.#one(client, gateway, kind, key);
    if (error !== undefined && error.code !== 'condition-failed')
      this.#cluster.coverage.count('refusal told to a client without the SDK');
    client.caller = process;
    if (version === undefined) client.known.delete(key);
    else client.known.set(key, version);
  }

  #one(client: RawClient, gateway: RawGateway, kind: RawKind, key: string) {
    const recorder = this.#recorder;
    const { caller, known } = client;
    const { coverage } = this.#cluster;
    switch (kind) {
      case 'get':
        return recorder.get(caller, key, () => gateway.get(key, false));
      case 'has':
        return recorder.has(caller, key, () => gateway.has(key));
      case 'stale':
        coverage.count('stale read');
        return recorder.stale(caller, key, gateway.instance, () => gateway.get(key, true));
      case 'put':
        return this.#put(client, gateway, key, undefined);
      case 'put-if-version':
        return this.#put(client, gateway, key, known.get(key) ?? 0);
      case 'put-if-absent':
        return this.#put(client, gateway, key, conditions.absent);
      case 'delete':
        return recorder.delete(caller, key, undefined, () => gateway.delete(key, this.#terms(client, undefined)));
      case 'put-twice':
        return this.#putTwice(client, gateway, key);
      case 'put-again':
        return this.#putAgain(client, gateway, key);
      case 'testbed-put': {
        const name = recorder.newName();
        const value = this.#value(client, name, testbedValueBytesMax);
        return recorder.put(caller, key, name, undefined, async () => {
          await gateway.handleWrite(key, value);
          return { version: undefined };
        });
      }
      case 'testbed-delete':
        return recorder.delete(caller, key, undefined, async () => {
          await gateway.handleWrite(key, undefined);
          return { existed: undefined };
        });
      case 'testbed-get':
        return recorder.get(caller, key, async () => {
          const value = await gateway.handleRead(key);
          return value === undefined ? undefined : { value, version: undefined };
        });
    }
  }

  async #put(client: RawClient, gateway: RawGateway, key: string, condition: number | undefined) {
    const name = this.#recorder.newName();
    const value = this.#value(client, name);
    const terms = this.#terms(client, condition);
    if (terms.client === 0) this.#cluster.coverage.count('write without a number');
    const done = await this.#recorder.put(client.caller, key, name, condition, () => gateway.put(key, value, terms));
    client.open.ended({ key, value, terms }, done);
    return done;
  }

  /** A write that ended, once more, at any gateway: the answer is that of the first time, or none (S15). */
  async #putAgain(client: RawClient, gateway: RawGateway, key: string): Promise<Done> {
    const write = client.open.draw(client.random);
    if (write === undefined) return this.#put(client, gateway, key, undefined);
    this.#cluster.coverage.count('write sent again after its end');
    const known = client.known.get(write.key);
    try {
      const { version } = await gateway.put(write.key, write.value, client.open.again(write.terms));
      write.answered({ kind: 'put', version });
    } catch (error) {
      if (error instanceof WrongAnswer) throw error;
      if (error instanceof KvError && error.code === 'condition-failed') write.answered({ kind: 'refused' });
      else this.#recorder.refused(`put ${write.key} sent again`, error);
    }
    return { process: client.caller, version: known };
  }

  /** One write by two ways at once: it takes effect once, and both tell the same (S15). */
  async #putTwice(client: RawClient, gateway: RawGateway, key: string) {
    const other = await this.#gateway(client);
    if (client.id === 0 || other === undefined || other === gateway) return this.#put(client, gateway, key, undefined);
    const name = this.#recorder.newName();
    const value = this.#value(client, name);
    const terms = this.#terms(client, undefined);
    this.#cluster.coverage.count('write sent through two gateways');
    return this.#recorder.put(client.caller, key, name, undefined, async () =>
      onceOnly(name, await Promise.allSettled([gateway.put(key, value, terms), other.put(key, value, terms)])),
    );
  }

  #value({ random }: RawClient, name: string, bytesMax = Number.POSITIVE_INFINITY): Uint8Array {
    return encodeValue(name, below(random, Math.min(this.#cluster.plan.workload.valueBytesMax, bytesMax)));
  }

  /** Condition and identity. */
  #terms(client: RawClient, condition: number = conditions.none): WriteTerms {
    if (client.id === 0) return { condition, client: 0, number: 0, firstIncomplete: 0 };
    return { condition, client: client.id, ...client.open.next() };
  }
}

type Settled = readonly PromiseSettledResult<{ readonly version: number }>[];

/** What became of a write that was sent by several ways. @throws WrongAnswer, KvError */
function onceOnly(name: string, answers: Settled): { readonly version: number } {
  const versions = new Set(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.version] : [])));
  const [version, another] = versions;
  if (another !== undefined)
    throw new WrongAnswer(`S15 one request for ${name} was answered with versions ${[...versions].join(' and ')}`);
  if (version !== undefined) return { version };
  const errors = answers.flatMap((answer): unknown[] => (answer.status === 'rejected' ? [answer.reason] : []));
  throw errors.find((error) => !(error instanceof KvError) || error.outcome === 'unknown') ?? errors[0];
}
