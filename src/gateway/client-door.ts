/**
 * PUT 1/5, next: core/shard/serving/batch-builder.ts. The client port (and the peer port, which speaks the same):
 * decodes requests where they lie in the socket's memory, checks them and brings them to their shard. The forms stand
 * in codec/client-protocol.ts.
 */
import { KvError } from '../base/errors.ts';
import { clientId, requestNumber } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { ShardMap, Welcome } from '../codec/client-protocol.ts';
import { protocolVersion, readMode } from '../codec/client-protocol.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import { MessageFormatError } from '../codec/message-reader.ts';
import { ShardRead, ShardWrite } from '../core/shard/requests.ts';
import type { RpcChannel } from '../rpc/channel-types.ts';
import type { RpcGuests } from '../rpc/listen.ts';
import { catchUpMethod, readCatchUp } from './catch-up.ts';
import type { ClientIds, Numbering } from './numbering.ts';
import type { Router } from './router.ts';
import { checkKey, checkValue } from './router.ts';
import { Session } from './session.ts';
import type { ShardRunner } from './shard-runner.ts';
import type { TestbedDoor } from './testbed-door.ts';

export interface DoorParts {
  readonly cluster: string;
  readonly gateway: number;
  readonly node: string;
  readonly instance: string;
  readonly router: Router;
  readonly runner: ShardRunner;
  readonly numbering: Numbering;
  readonly clientIds: ClientIds;
  readonly testbed: TestbedDoor;
  readonly map: () => ShardMap;
  readonly status: () => unknown;
  /** The peer port: nothing is forwarded again, and catch-up is heard. */
  readonly isPeer: boolean;
}

export class ClientDoor implements RpcGuests {
  readonly #parts: DoorParts;
  readonly #sessions = new Map<RpcChannel, Session>();

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  get connections(): number {
    return this.#sessions.size;
  }

  /** REQUIRES: called once for a channel, before its first request. */
  admit(channel: RpcChannel): void {
    this.#sessions.set(channel, new Session(channel));
  }

  onOpen(): void {
    // Counted by `admit`.
  }

  onClose(channel: RpcChannel): void {
    this.#sessions.delete(channel);
  }

  onDrain(): void {
    // The channel stops reading by itself while its output waits.
  }

  onNotice(_channel: RpcChannel, method: string, params: MessageReader): void {
    if (!this.#parts.isPeer || method !== catchUpMethod) return;
    const { shard, event } = readCatchUp(params);
    this.#parts.runner.dispatch(shard, event);
  }

  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    const session = this.#sessions.get(channel);
    if (session === undefined) return;
    try {
      this.#handle(session, id, method, params);
    } catch (error) {
      if (error instanceof KvError) session.failWith(id, error);
      else if (error instanceof MessageFormatError || error instanceof RangeError)
        session.fail(id, 'bad-argument', `${method}: ${error.message}`);
      else throw error;
    }
  }

  #handle(session: Session, id: number, method: string, params: MessageReader): void {
    switch (method) {
      case 'get':
        return this.#get(session, id, params, true);
      case 'put':
        return this.#put(session, id, params);
      case 'delete':
        return this.#delete(session, id, params);
      case 'has':
        return this.#get(session, id, params, false);
      case 'hello':
        return this.#hello(session, id, params);
      case 'map':
        return answer(session, id, this.#parts.map());
      case 'status':
        return answer(session, id, this.#parts.status());
      default:
        if (this.#parts.isPeer) return session.fail(id, 'unknown-method', `no method '${method}' on the peer port`);
        return this.#parts.testbed.request(session.channel, id, method, params);
    }
  }

  #put(session: Session, id: number, params: MessageReader): void {
    members(params, 7);
    params.range();
    const keyStart = params.rangeStart;
    const keyLength = params.rangeLength;
    checkKey(keyLength);
    params.range();
    const valueStart = params.rangeStart;
    const valueLength = params.rangeLength;
    checkValue(valueLength);
    const condition = readCondition(params);
    if (params.integer() !== 0)
      throw new KvError('bad-argument', 'expiry is not supported by this version: expiresAt must be 0');
    this.#write(session, id, 'put', params, keyStart, keyLength, valueStart, valueLength, condition);
  }

  #delete(session: Session, id: number, params: MessageReader): void {
    members(params, 5);
    params.range();
    const keyStart = params.rangeStart;
    const keyLength = params.rangeLength;
    checkKey(keyLength);
    const condition = readCondition(params);
    this.#write(session, id, 'delete', params, keyStart, keyLength, keyStart + keyLength, 0, condition);
  }

  #write(
    session: Session,
    id: number,
    operation: 'put' | 'delete',
    params: MessageReader,
    keyStart: number,
    keyLength: number,
    valueStart: number,
    valueLength: number,
    condition: number,
  ): void {
    let client = clientId(params.integer());
    let number = requestNumber(params.integer());
    let first = requestNumber(params.integer());
    let replyTo: ShardWrite['replyTo'] = session;
    if (client === 0) {
      ({ client, number, firstIncomplete: first, replyTo } = this.#parts.numbering.begin(session));
    } else if (first < 1 || first > number) {
      throw new KvError(
        'bad-argument',
        `request number ${number} with first incomplete number ${first}: 1 <= first <= number`,
      );
    }
    const write = new ShardWrite(
      replyTo,
      id,
      operation,
      params.bytes,
      keyStart,
      keyLength,
      valueStart,
      valueLength,
      condition,
      client,
      number,
      first,
    );
    this.#parts.router.write(write, !this.#parts.isPeer);
  }

  #get(session: Session, id: number, params: MessageReader, wantsValue: boolean): void {
    members(params, wantsValue ? 2 : 1);
    params.range();
    const keyStart = params.rangeStart;
    const keyLength = params.rangeLength;
    checkKey(keyLength);
    const mode = wantsValue ? params.integer() : readMode.linearizable;
    if (mode !== readMode.linearizable && mode !== readMode.stale)
      throw new KvError('bad-argument', `read mode ${mode}: 0 linearizable, 1 stale`);
    const read = new ShardRead(session, id, params.bytes, keyStart, keyLength, wantsValue, mode === readMode.stale);
    this.#parts.router.read(read, !this.#parts.isPeer);
  }

  #hello(session: Session, id: number, params: MessageReader): void {
    members(params, 1);
    const hello = asMap(params.value());
    const min = asNumber(hello['protocolMin'], 1);
    const max = asNumber(hello['protocolMax'], min);
    const protocol = Math.min(max, protocolVersion.max);
    if (protocol < Math.max(min, protocolVersion.min)) {
      throw new KvError(
        'protocol-version',
        `this gateway speaks protocol versions ${protocolVersion.min}..${protocolVersion.max}, the other side ${min}..${max}`,
      );
    }
    const { cluster } = this.#parts;
    const expected = hello['cluster'];
    if (typeof expected === 'string' && expected !== cluster)
      throw new KvError('wrong-cluster', `this is cluster ${cluster}, not ${expected}`);
    session.wantsMap = true;
    if (hello['wantsClientId'] !== true) return this.#welcome(session, id, protocol, 0);
    this.#parts.clientIds.take().then(
      (client) => this.#welcome(session, id, protocol, client),
      (error: unknown) =>
        session.fail(
          id,
          'coordinator-unavailable',
          `no client id can be had now: ${error instanceof Error ? error.message : String(error)}`,
        ),
    );
  }

  #welcome(session: Session, id: number, protocol: number, client: number): void {
    const { cluster, gateway, node, instance } = this.#parts;
    const welcome: Welcome = {
      cluster,
      protocol,
      gateway,
      node,
      instance,
      client,
      keyBytesMax: limits.keyBytesMax,
      valueBytesMax: limits.valueBytesMax,
      clientWindow: limits.clientWindow,
      map: this.#parts.map(),
    };
    answer(session, id, welcome);
  }

  /** Tells everybody who said hello. */
  mapChanged(): void {
    const map = this.#parts.map();
    for (const session of this.#sessions.values()) {
      if (!session.wantsMap) continue;
      session.channel.notify('map', (out) => {
        out.array(1);
        out.value(map);
      });
    }
  }

  close(): void {
    for (const session of this.#sessions.values()) session.channel.close('the gateway is closing');
  }
}

/** Later versions may send more. @throws MessageFormatError */
function members(params: MessageReader, least: number): void {
  const count = params.array();
  if (count < least)
    throw new MessageFormatError(`${least} arguments are needed, ${count} were given`, params.position);
}

function readCondition(params: MessageReader): number {
  const condition = params.integer();
  if (condition < -1)
    throw new KvError('bad-argument', `condition ${condition}: -1 none, 0 absent, else the version the key must have`);
  return condition;
}

function answer(session: Session, id: number, value: unknown): void {
  session.channel.beginAnswer(id).value(value);
  session.channel.endAnswer();
}

function asMap(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new KvError('bad-argument', 'hello takes a map');
  return Object.fromEntries(Object.entries(value));
}

function asNumber(value: unknown, fallback: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : fallback;
}
