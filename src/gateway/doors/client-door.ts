/**
 * PUT 1/5, next: core/shard/serving/batch-builder.ts. The client port: our own methods, and behind them the testbed's.
 * It owns its connections. What requests mean stands in requests.ts, greeting.ts and testbed-door.ts.
 */
import type { MessageReader } from '../../codec/message-reader.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import type { GatewayDoor } from './door.ts';
import type { Greeting } from './greeting.ts';
import type { Requests } from './requests.ts';
import { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { TestbedDoor } from './testbed-door.ts';

export interface ClientDoorParts {
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly greeting: Greeting;
  readonly testbed: TestbedDoor;
}

export class ClientDoor implements GatewayDoor {
  readonly #parts: ClientDoorParts;

  constructor(parts: ClientDoorParts) {
    this.#parts = parts;
  }

  get connections(): number {
    return this.#parts.sessions.count;
  }

  admit(channel: RpcChannel): void {
    this.#parts.sessions.add(channel);
  }

  /** Full: others may have room, and this one later. */
  refuse(channel: RpcChannel, id: number, method: string): void {
    const message = 'this gateway has as many connections as it can take';
    if (this.#parts.testbed.knows(method)) channel.answerErrorText(id, `kv-filelog: overloaded: ${message}`);
    else new Session(channel).fail(id, 'overloaded', message);
  }

  onOpen(): void {
    // Counted by `admit`.
  }

  onClose(channel: RpcChannel): void {
    this.#parts.sessions.delete(channel);
  }

  onDrain(): void {
    // The channel stops reading by itself while its output waits.
  }

  onNotice(): void {
    // Clients have nothing to tell.
  }

  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    this.#parts.sessions.request(channel, id, method, (session) => this.#handle(session, id, method, params));
  }

  #handle(session: Session, id: number, method: string, params: MessageReader): void {
    const { requests, greeting, testbed } = this.#parts;
    if (requests.handle(session, id, method, params) || greeting.handle(session, id, method, params)) return;
    testbed.request(session.channel, id, method, params);
  }

  mapChanged(): void {
    this.#parts.sessions.mapChanged();
  }

  close(): void {
    this.#parts.sessions.close();
  }
}
