/**
 * Identity of this client's writes (S15): the client id that a gateway gave, and the windows of numbers under it, one for
 * each shard. A
 * write keeps what it was given through all its copies, also when the client gets another id meanwhile.
 *
 * At most one gateway is asked for an id at a time, and seldom. Sending and repeating writes is not done here.
 */
import { KvError } from '../base/errors.ts';
import type { ClientId } from '../base/ids.ts';
import { clientId } from '../base/ids.ts';
import { times } from '../base/times.ts';
import type { Welcome } from '../codec/client-protocol.ts';
import { RequestWindows } from '../core/once/request-windows.ts';
import { shardOfSlot } from '../core/slots.ts';
import type { Clock } from '../env/clock.ts';
import type { Link } from './link.ts';
import type { Request } from './request.ts';

export class WriteIdentity {
  readonly #clock: Clock;
  /** Undefined, and client 0, while there is none. */
  #windows: RequestWindows | undefined = undefined;
  #client: ClientId = clientId(0);
  #shards = 1;
  /** Link that was asked for a client id and has not answered. */
  #asked: Link | undefined = undefined;
  #askAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0: there is none yet. */
  get client(): ClientId {
    return this.#client;
  }

  /** Whether `link` should ask for an id now; when it should, no other does until it has answered. */
  shouldAsk(link: Link): boolean {
    const nowMs = this.#clock.now();
    if (this.#windows !== undefined || this.#asked !== undefined || nowMs < this.#askAtMs) return false;
    this.#asked = link;
    this.#askAtMs = nowMs + times.clientIdRetryMs;
    return true;
  }

  /** The link was welcomed, perhaps with an id. */
  welcomed(link: Link, welcome: Welcome): void {
    this.answered(link);
    if (welcome.client === 0 || this.#windows !== undefined) return;
    this.#windows = new RequestWindows(welcome.clientWindow);
    this.#shards = welcome.map.shards;
    this.#client = clientId(welcome.client);
  }

  /** The link has no id to give, or went down. */
  answered(link: Link): void {
    if (this.#asked === link) this.#asked = undefined;
  }

  /** Gives a write its number; false when there is no id, or the window of its shard is full. */
  number(request: Request): boolean {
    const window = this.#windows?.of(shardOfSlot(request.slot, this.#shards));
    if (window === undefined || window.isFull) return false;
    request.window = window;
    request.client = this.#client;
    request.number = window.begin();
    return true;
  }

  /** Why `number` gave none. */
  get missing(): KvError {
    return this.#windows === undefined
      ? new KvError('unavailable', 'no gateway has given this client an id yet')
      : new KvError('window-exceeded', "earlier writes of this client to the key's shard had to be settled first");
  }

  /** The shard has forgotten the client of this write: the write has no number any more, and the client needs an id. */
  forgotten(request: Request): void {
    request.window?.end(request.number);
    if (request.client === this.#client) {
      this.#windows = undefined;
      this.#client = clientId(0);
    }
    request.window = undefined;
  }
}
