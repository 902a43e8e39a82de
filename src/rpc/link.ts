/**
 * Keeps one outgoing channel to an address alive.
 *
 *   connecting --connection opens--> greeting --handshake done--> up
 *       ^                               |                          |
 *       +------ waiting (jittered, <----+---- failed or closed <---+
 *               exponential backoff)
 *
 * From any state: `retarget` begins anew at another address, `close` ends it for ever.
 *
 * It owns attempts, their deadline and the pauses between them. It does not own the channel's messages (channel.ts),
 * what a handshake says (its options'), nor what is to be sent again after an outage (its user's).
 */
import { assert } from '../base/assert.ts';
import { times } from '../base/times.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { Address, Connection, Network, NetworkErrorCode } from '../env/network.ts';
import type { Random } from '../env/random.ts';
import { backoffMs } from './backoff.ts';
import { openChannel } from './channel.ts';
import type { RpcChannel, RpcHandler, RpcOptions } from './channel-types.ts';
import { clientOptions } from './options.ts';

export interface LinkOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly address: Address;
  /** Default: `clientOptions()`. */
  readonly rpc?: RpcOptions;
  /** Handler of what the other side sends. Requests are refused and notices ignored where it is missing. */
  readonly handler?: Partial<Pick<RpcHandler, 'onRequest' | 'onNotice' | 'onDrain'>>;
  /**
   * Runs on each new channel before the link is up: `done()` lets it be used, `done(reason)` closes it and tries again
   * later. Called with an open channel; calling `done` more than once, or after the channel closed, does nothing.
   */
  readonly handshake?: (channel: RpcChannel, done: (failure?: string) => void) => void;
  onUp?(channel: RpcChannel): void;
  /** The channel that was up is closed. */
  onDown?(reason: string): void;
  /** An attempt failed, before the link was up. `code`: what the network said. */
  onFailure?(reason: string, code: NetworkErrorCode | undefined): void;
  /** For connecting and handshake together. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Defaults: those of base/times.ts. */
  readonly reconnectMinMs?: number;
  readonly reconnectMaxMs?: number;
}

export class Link {
  readonly #options: LinkOptions;
  #address: Address;
  #attempt: Attempt | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #closed = false;
  #lastFailure: string | undefined;

  /** Begins to connect at once. */
  constructor(options: LinkOptions) {
    this.#options = options;
    this.#address = options.address;
    this.#connect();
  }

  get address(): Address {
    return this.#address;
  }

  /** The channel, while the link is up. */
  get channel(): RpcChannel | undefined {
    const attempt = this.#attempt;
    return attempt !== undefined && attempt.isUp && attempt.channel.isOpen ? attempt.channel : undefined;
  }

  /** Reason why the link is not up; undefined while it is, or when nothing has failed yet. */
  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  /** Goes to `address` at once; nothing happens when that is where it goes already. */
  retarget(address: Address): void {
    if (this.#closed || address === this.#address) return;
    this.#address = address;
    this.#failures = 0;
    this.#drop(`the other side is now looked for at ${address}`);
    this.#connect();
  }

  /** Gives up the connection that is up and makes another: what waits for answers is told `lost`. */
  renew(reason: string): void {
    if (this.#closed || this.channel === undefined) return;
    this.#drop(reason);
    this.#connect();
  }

  /** Tries again now instead of at the end of the backoff. */
  hurry(): void {
    if (this.#retry === undefined) return;
    this.#failures = 0;
    this.#connect();
  }

  /**
   * Closes the channel after sending what was written. `onDown` follows if the link was up, else nothing. Idempotent.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#drop('closed by this side');
  }

  #drop(reason: string): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    const attempt = this.#attempt;
    this.#attempt = undefined;
    attempt?.drop(reason);
  }

  #connect(): void {
    assert(!this.#closed, 'a closed link does not connect');
    this.#retry?.cancel();
    this.#retry = undefined;
    const attempt: Attempt = new Attempt(this.#options, this.#address, {
      onUp: () => {
        this.#failures = 0;
        this.#lastFailure = undefined;
        this.#options.onUp?.(attempt.channel);
      },
      onEnd: (reason, wasUp, code) => {
        if (this.#attempt === attempt) this.#ended(reason);
        if (wasUp) this.#options.onDown?.(reason);
        else if (!this.#closed) this.#options.onFailure?.(reason, code);
      },
    });
    this.#attempt = attempt;
  }

  /** The attempt ended by itself: try again later. */
  #ended(reason: string): void {
    this.#attempt = undefined;
    this.#lastFailure = reason;
    const { clock, random, reconnectMinMs, reconnectMaxMs } = this.#options;
    const pauseMs = backoffMs(
      random,
      this.#failures++,
      reconnectMinMs ?? times.reconnectMinMs,
      reconnectMaxMs ?? times.reconnectMaxMs,
    );
    this.#retry = clock.after(pauseMs, () => this.#connect());
  }
}

interface AttemptEvents {
  onUp(): void;
  /** Once; not after `drop` of an attempt that was not up. */
  onEnd(reason: string, wasUp: boolean, code: NetworkErrorCode | undefined): void;
}

/** One connection: on its way, greeting, up, then ended. */
class Attempt {
  readonly channel: RpcChannel;
  readonly #connection: Connection;
  readonly #events: AttemptEvents;
  readonly #timer: Timer;
  #isUp = false;
  #ended = false;

  constructor(options: LinkOptions, address: Address, events: AttemptEvents) {
    this.#events = events;
    const { clock, handler, handshake } = options;
    const timeoutMs = options.connectTimeoutMs ?? times.connectTimeoutMs;
    const connection = options.network.connect(address);
    this.#connection = connection;
    this.#timer = clock.after(timeoutMs, () => {
      connection.destroy();
      this.#end(`no connection within ${timeoutMs} ms`);
    });
    this.channel = openChannel(connection, clock, options.rpc ?? clientOptions(), {
      onOpen: (channel) =>
        handshake === undefined ? this.#up() : handshake(channel, (failure) => this.#greeted(failure)),
      onClose: (_channel, reason, code) => this.#end(reason, code),
      onRequest: (channel, id, method, params) => {
        if (handler?.onRequest === undefined) channel.answerErrorText(id, `unknown method '${method}'`);
        else handler.onRequest(channel, id, method, params);
      },
      onNotice: (channel, method, params) => handler?.onNotice?.(channel, method, params),
      onDrain: (channel) => handler?.onDrain?.(channel),
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  drop(reason: string): void {
    this.#timer.cancel();
    if (this.#isUp) return this.channel.close(reason);
    this.#ended = true;
    this.#connection.destroy();
  }

  #greeted(failure: string | undefined): void {
    if (failure === undefined) this.#up();
    else if (!this.#isUp && !this.#ended) this.channel.close(failure);
  }

  #up(): void {
    if (this.#isUp || this.#ended || !this.channel.isOpen) return;
    this.#isUp = true;
    this.#timer.cancel();
    this.#events.onUp();
  }

  #end(reason: string, code?: NetworkErrorCode): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    this.#events.onEnd(reason, this.#isUp, code);
  }
}
