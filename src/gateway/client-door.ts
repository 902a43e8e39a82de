/**
 * PUT 1/5, next: core/shard/serving/batch-builder.ts. The client port (and the peer port, which speaks the same):
 * decodes requests where they lie in the socket's memory, checks them and brings them to their shard. The forms stand
 * in codec/client-protocol.ts.
 */
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { ShardMap, Welcome } from '../codec/client-protocol.ts';
import { protocolVersion } from '../codec/client-protocol.ts';
import { readDelete, readGet, readHas, readPut } from '../codec/client-requests.ts';
import { fieldOf } from '../codec/fields.ts';
import { arrayOf } from '../codec/message-parts.ts';
import type { GatewayStatus } from '../codec/node-status.ts';
import { writeGatewayStatus } from '../codec/node-status.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import { MessageFormatError } from '../codec/message-reader.ts';
import { ShardRead, ShardWrite } from '../core/shard/requests.ts';
import type { RpcChannel } from '../rpc/channel-types.ts';
import type { RpcGuests } from '../rpc/listen.ts';
import { catchUpMethod, readCatchUp } from './catch-up.ts';
import type { ClientIds, Numbering } from './numbering.ts';
import type { Router } from './router.ts';
import { Session } from './session.ts';
import type { ShardRunner } from './shard-runner.ts';
import type { TestbedDoor } from './testbed-door.ts';

export interface DoorParts {
  readonly cluster: string;
  readonly gateway: number;
  readonly node: string;
  readonly instance: string;
  readonly router: Router;
  readonly runner: Pick<ShardRunner, 'dispatch'>;
  readonly numbering: Numbering;
  readonly clientIds: ClientIds;
  readonly testbed: TestbedDoor;
  readonly map: () => ShardMap;
  readonly status: () => GatewayStatus;
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
      else if (error instanceof MessageFormatError) session.fail(id, 'bad-argument', `${method}: ${error.message}`);
      else throw error;
    }
  }

  #handle(session: Session, id: number, method: string, params: MessageReader): void {
    switch (method) {
      case 'get':
        return this.#get(session, id, params);
      case 'put':
        return this.#put(session, id, params);
      case 'delete':
        return this.#delete(session, id, params);
      case 'has':
        return this.#has(session, id, params);
      case 'hello':
        return this.#hello(session, id, params);
      case 'map':
        return answer(session, id, this.#parts.map());
      case 'status':
        writeGatewayStatus(session.channel.beginAnswer(id), this.#parts.status());
        return session.channel.endAnswer();
      default:
        if (this.#parts.isPeer) return session.fail(id, 'unknown-method', `no method '${method}' on the peer port`);
        return this.#parts.testbed.request(session.channel, id, method, params);
    }
  }

  #put(session: Session, id: number, params: MessageReader): void {
    const write = new ShardWrite(session, id, 'put');
    readPut(params, write);
    this.#write(write);
  }

  #delete(session: Session, id: number, params: MessageReader): void {
    const write = new ShardWrite(session, id, 'delete');
    readDelete(params, write);
    this.#write(write);
  }

  #write(write: ShardWrite): void {
    checkKey(write.keyLength);
    checkValue(write.wantedLength);
    if (write.client === 0) this.#parts.numbering.begin(write);
    this.#parts.router.write(write, !this.#parts.isPeer);
  }

  #get(session: Session, id: number, params: MessageReader): void {
    const read = new ShardRead(session, id, true);
    readGet(params, read);
    this.#read(read);
  }

  #has(session: Session, id: number, params: MessageReader): void {
    const read = new ShardRead(session, id, false);
    readHas(params, read);
    this.#read(read);
  }

  #read(read: ShardRead): void {
    checkKey(read.keyLength);
    this.#parts.router.read(read, !this.#parts.isPeer);
  }

  #hello(session: Session, id: number, params: MessageReader): void {
    arrayOf(params, 1, 'hello');
    const hello = fieldOf(params.value(), 'hello', (message) => new KvError('bad-argument', message));
    const min = hello.optional('protocolMin')?.integer() ?? 1;
    const max = hello.optional('protocolMax')?.integer() ?? min;
    const protocol = Math.min(max, protocolVersion.max);
    if (protocol < Math.max(min, protocolVersion.min)) {
      throw new KvError(
        'protocol-version',
        `this gateway speaks protocol versions ${protocolVersion.min}..${protocolVersion.max}, the other side ${min}..${max}`,
      );
    }
    const { cluster } = this.#parts;
    const expected = hello.optional('cluster')?.text() ?? cluster;
    if (expected !== cluster) throw new KvError('wrong-cluster', `this is cluster ${cluster}, not ${expected}`);
    const wantsClientId = hello.optional('wantsClientId')?.boolean() ?? false;
    session.wantsMap = true;
    if (!wantsClientId) return this.#welcome(session, id, protocol, 0);
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

/** @throws KvError `key-empty`, `key-too-long` */
function checkKey(length: number): void {
  if (length === 0) throw new KvError('key-empty', `a key has 1..${limits.keyBytesMax} bytes, this one has none`);
  if (length > limits.keyBytesMax)
    throw new KvError('key-too-long', `a key has 1..${limits.keyBytesMax} bytes, this one has ${length}`);
}

/** @throws KvError `value-too-large` */
function checkValue(length: number): void {
  if (length > limits.valueBytesMax)
    throw new KvError('value-too-large', `a value has at most ${limits.valueBytesMax} bytes, this one has ${length}`);
}

function answer(session: Session, id: number, value: unknown): void {
  session.channel.beginAnswer(id).value(value);
  session.channel.endAnswer();
}
