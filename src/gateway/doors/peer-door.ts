/**
 * The peer port: requests that other gateways forward, which are not forwarded again, and what owners tell standbys
 * (S14). It owns its connections.
 */
import type { MessageReader } from '../../codec/message-reader.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import { catchUpMethod, readCatchUp } from '../peers/catch-up.ts';
import type { ShardRunner } from '../shards/shard-runner.ts';
import type { GatewayDoor } from './door.ts';
import type { Greeting } from './greeting.ts';
import type { Requests } from './requests.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

export interface PeerDoorParts {
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly greeting: Greeting;
  readonly runner: Pick<ShardRunner, 'dispatch'>;
}

export class PeerDoor implements GatewayDoor {
  readonly #parts: PeerDoorParts;

  constructor(parts: PeerDoorParts) {
    this.#parts = parts;
  }

  get connections(): number {
    return this.#parts.sessions.count;
  }

  admit(channel: RpcChannel): void {
    this.#parts.sessions.add(channel);
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

  onNotice(_channel: RpcChannel, method: string, params: MessageReader): void {
    if (method !== catchUpMethod) return;
    const { shard, event } = readCatchUp(params);
    this.#parts.runner.dispatch(shard, event);
  }

  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    this.#parts.sessions.request(channel, id, method, (session) => this.#handle(session, id, method, params));
  }

  #handle(session: Session, id: number, method: string, params: MessageReader): void {
    const { requests, greeting } = this.#parts;
    if (method === 'hello') return greeting.refuseClient(session, id);
    if (requests.handle(session, id, method, params) || greeting.handle(session, id, method, params)) return;
    session.fail(id, 'unknown-method', `no method '${method}' on the peer port`);
  }

  mapChanged(): void {
    this.#parts.sessions.mapChanged();
  }

  close(): void {
    this.#parts.sessions.close();
  }
}
