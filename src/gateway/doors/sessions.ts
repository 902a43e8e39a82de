/**
 * Open connections of one door: found by their channels, counted, told of a new shard map, closed together. What their
 * requests mean is the door's business.
 */
import { KvError } from '../../base/errors.ts';
import type { ShardMap } from '../../codec/client-protocol.ts';
import { MessageFormatError } from '../../codec/message-reader.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import { Session } from './session.ts';

export class Sessions {
  readonly #map: () => ShardMap;
  readonly #sessions = new Map<RpcChannel, Session>();

  constructor(map: () => ShardMap) {
    this.#map = map;
  }

  get count(): number {
    return this.#sessions.size;
  }

  add(channel: RpcChannel): void {
    this.#sessions.set(channel, new Session(channel));
  }

  delete(channel: RpcChannel): void {
    this.#sessions.delete(channel);
  }

  /**
   * Has `handle` answer a request. What it throws of operating errors and malformed messages is answered; anything else
   * is a bug and ends the process.
   */
  request(channel: RpcChannel, id: number, method: string, handle: (session: Session) => void): void {
    const session = this.#sessions.get(channel);
    if (session === undefined) return;
    try {
      handle(session);
    } catch (error) {
      if (error instanceof KvError) session.failWith(id, error);
      else if (error instanceof MessageFormatError) session.fail(id, 'bad-argument', `${method}: ${error.message}`);
      else throw error;
    }
  }

  /** Tells everybody who said hello. */
  mapChanged(): void {
    const map = this.#map();
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
