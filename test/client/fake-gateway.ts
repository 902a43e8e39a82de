/**
 * Scripted gateways that share one store: they answer by the rules (S15 included) unless `script` says otherwise. What
 * they were asked is on record.
 */
import { strict as assert } from 'node:assert';
import type { ErrorCode, Outcome } from '../../src/base/errors.ts';
import { limits } from '../../src/base/limits.ts';
import type { ShardMap } from '../../src/codec/client-protocol.ts';
import { writeError } from '../../src/codec/client-protocol.ts';
import type { MessageReader } from '../../src/codec/message-reader.ts';
import type { MessageWriter } from '../../src/codec/message-writer.ts';
import type { Clock } from '../../src/env/clock.ts';
import type { Listener, Network } from '../../src/env/network.ts';
import type { RpcChannel, RpcHandler } from '../../src/rpc/channel-types.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import { serverOptions } from '../../src/rpc/options.ts';

export interface Call {
  readonly gateway: number;
  readonly method: string;
  readonly key: string;
  readonly value: string;
  readonly condition: number;
  readonly client: number;
  readonly number: number;
  readonly first: number;
  readonly mode: number;
}

/** What a gateway does with a call instead of serving it. */
export type Act =
  | { readonly kind: 'hang' }
  | { readonly kind: 'cut' }
  /** Carries it out and closes the connection instead of answering. */
  | { readonly kind: 'apply-and-cut' }
  | { readonly kind: 'apply-and-hang' }
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly outcome: Outcome; readonly detail?: number }
  | { readonly kind: 'answer'; readonly write: (out: MessageWriter) => void };

type Result = { readonly error: ErrorCode; readonly detail: number } | { readonly write: (out: MessageWriter) => void };

export const clusterId = 'c'.repeat(32);

export class FakeCluster {
  readonly network: Network;
  readonly clock: Clock;
  readonly gateways: FakeGateway[];
  readonly calls: Call[] = [];
  readonly hellos: { readonly gateway: number; readonly cluster: unknown; readonly wantsClientId: unknown }[] = [];
  script: (call: Call) => Act | undefined = () => undefined;
  cluster = clusterId;
  map: ShardMap;
  window: number = limits.clientWindow;
  /** 0: no ids to give. */
  nextClient = 1;
  readonly store = new Map<string, { readonly value: string; readonly version: number }>();
  readonly #results = new Map<string, Result>();
  /** Times a write was carried out, by client and number. */
  readonly applied = new Map<string, number>();
  #version = 100;

  constructor(network: Network, clock: Clock, gatewayCount: number, shards: number) {
    this.network = network;
    this.clock = clock;
    this.gateways = Array.from({ length: gatewayCount }, (_, number) => new FakeGateway(this, number));
    this.map = {
      revision: 1,
      shards,
      owners: Array.from({ length: shards }, (_, shard) => shard % gatewayCount),
      gateways: this.gateways.map((gateway) => gateway.address),
    };
  }

  async start(): Promise<this> {
    for (const gateway of this.gateways) await gateway.start();
    return this;
  }

  /** Changes the owners and tells the clients of the gateways that run. */
  changeMap(owners: readonly number[]): void {
    this.map = { ...this.map, revision: this.map.revision + 1, owners };
    for (const gateway of this.gateways) gateway.announceMap();
  }

  carryOut(call: Call): Result {
    if (call.method === 'get' || call.method === 'has') return this.#read(call);
    const id = `${call.client}/${call.number}`;
    assert.ok(
      call.number >= call.first && call.number - call.first < this.window,
      `S15 ${id} lies in the window from ${call.first}`,
    );
    const known = this.#results.get(id);
    if (known !== undefined) return known;
    const result = this.#write(call);
    this.#results.set(id, result);
    this.applied.set(id, (this.applied.get(id) ?? 0) + 1);
    return result;
  }

  #read(call: Call): Result {
    const entry = this.store.get(call.key);
    if (entry === undefined) return { write: (out) => out.nil() };
    return {
      write: (out) => {
        out.array(3);
        out.integer(entry.version);
        out.integer(0);
        if (call.method === 'get') out.binary(Buffer.from(entry.value));
        else out.integer(entry.value.length);
      },
    };
  }

  #write(call: Call): Result {
    const current = this.store.get(call.key);
    if (call.condition >= 0 && (current?.version ?? 0) !== call.condition)
      return { error: 'condition-failed', detail: current?.version ?? 0 };
    const version = ++this.#version;
    if (call.method === 'put') {
      this.store.set(call.key, { value: call.value, version });
      return { write: (out) => out.integer(version) };
    }
    this.store.delete(call.key);
    return {
      write: (out) => {
        out.array(2);
        out.boolean(current !== undefined);
        out.integer(current === undefined ? 0 : version);
      },
    };
  }
}

export class FakeGateway implements RpcHandler {
  readonly number: number;
  address: string;
  /** Name of its process. */
  instance = 'b'.repeat(16);
  readonly #cluster: FakeCluster;
  readonly #channels = new Set<RpcChannel>();
  #listener: Listener | undefined = undefined;

  constructor(cluster: FakeCluster, number: number) {
    this.#cluster = cluster;
    this.number = number;
    this.address = `gateway-${number}:7000`;
  }

  get connections(): number {
    return this.#channels.size;
  }

  async start(): Promise<void> {
    this.#listener = await this.#cluster.network.listen(this.address, (connection) => {
      this.#channels.add(openChannel(connection, this.#cluster.clock, serverOptions(), this));
    });
  }

  /** The process dies: nobody listens, connections are gone. */
  async stop(): Promise<void> {
    await this.#listener?.close();
    for (const channel of this.#channels) channel.close('the gateway stops');
  }

  announceMap(): void {
    for (const channel of this.#channels) this.notify(channel, 'map', (out) => out.value([this.#cluster.map]));
  }

  notify(channel: RpcChannel, method: string, write: (out: MessageWriter) => void): void {
    channel.notify(method, write);
  }

  notifyAll(method: string, value: unknown): void {
    for (const channel of this.#channels) channel.notify(method, (out) => out.value(value));
  }

  onOpen(): void {
    // Nothing to say first.
  }

  onDrain(): void {
    // Answers are small.
  }

  onNotice(): void {
    assert.fail('a client sends no notifications');
  }

  onClose(channel: RpcChannel): void {
    this.#channels.delete(channel);
  }

  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    if (method === 'hello') this.#welcome(channel, id, params);
    else this.#serve(channel, id, readCall(this.number, method, params));
  }

  #welcome(channel: RpcChannel, id: number, params: MessageReader): void {
    const cluster = this.#cluster;
    params.array();
    const hello = fieldsOf(params.value());
    cluster.hellos.push({
      gateway: this.number,
      cluster: hello.get('cluster'),
      wantsClientId: hello.get('wantsClientId'),
    });
    const act = cluster.script({ ...noCall, gateway: this.number, method: 'hello' });
    if (act?.kind === 'hang') return;
    if (act?.kind === 'error')
      return channel.answerError(id, (out) => writeError(out, act.code, 'scripted', act.outcome));
    const out = channel.beginAnswer(id);
    if (act?.kind === 'answer') act.write(out);
    else
      out.value(
        this.#welcomeOf(hello.get('wantsClientId') === true && cluster.nextClient > 0 ? cluster.nextClient++ : 0),
      );
    channel.endAnswer();
  }

  #welcomeOf(client: number): unknown {
    const cluster = this.#cluster;
    return {
      cluster: cluster.cluster,
      protocol: 1,
      gateway: this.number,
      node: 'a'.repeat(32),
      instance: this.instance,
      client,
      keyBytesMax: limits.keyBytesMax,
      valueBytesMax: limits.valueBytesMax,
      clientWindow: cluster.window,
      map: cluster.map,
    };
  }

  #serve(channel: RpcChannel, id: number, call: Call): void {
    this.#cluster.calls.push(call);
    const act = this.#cluster.script(call);
    switch (act?.kind) {
      case undefined:
        return answer(channel, id, this.#cluster.carryOut(call));
      case 'hang':
        return;
      case 'cut':
        return channel.close('cut');
      case 'apply-and-cut':
        this.#cluster.carryOut(call);
        return channel.close('cut');
      case 'apply-and-hang':
        this.#cluster.carryOut(call);
        return;
      case 'error':
        return channel.answerError(id, (out) => writeError(out, act.code, 'scripted', act.outcome, act.detail));
      case 'answer':
        act.write(channel.beginAnswer(id));
        return channel.endAnswer();
    }
  }
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  assert.ok(typeof value === 'object' && value !== null);
  return new Map<string, unknown>(Object.entries(value));
}

function answer(channel: RpcChannel, id: number, result: Result): void {
  if ('error' in result) {
    channel.answerError(id, (out) =>
      writeError(out, result.error, 'the condition does not hold', 'not-applied', result.detail),
    );
    return;
  }
  result.write(channel.beginAnswer(id));
  channel.endAnswer();
}

const noCall: Call = {
  gateway: 0,
  method: '',
  key: '',
  value: '',
  condition: -1,
  client: 0,
  number: 0,
  first: 0,
  mode: 0,
};

function readCall(gateway: number, method: string, params: MessageReader): Call {
  params.array();
  const key = Buffer.from(params.binary()).toString();
  switch (method) {
    case 'put': {
      const value = Buffer.from(params.binary()).toString();
      const condition = params.integer();
      assert.equal(params.integer(), 0, 'no expiry');
      return {
        ...noCall,
        gateway,
        method,
        key,
        value,
        condition,
        client: params.integer(),
        number: params.integer(),
        first: params.integer(),
      };
    }
    case 'delete':
      return {
        ...noCall,
        gateway,
        method,
        key,
        condition: params.integer(),
        client: params.integer(),
        number: params.integer(),
        first: params.integer(),
      };
    case 'get':
      return { ...noCall, gateway, method, key, mode: params.integer() };
    case 'has':
      return { ...noCall, gateway, method, key };
    default:
      return assert.fail(`the client asked for '${method}'`);
  }
}
