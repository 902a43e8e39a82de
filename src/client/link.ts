/**
 * One connection to one gateway, kept up: it opens, says hello, is ready, and when it goes down opens again after a
 * jittered, growing delay.
 *
 *   connecting --open, hello sent--> greeting --welcome--> ready
 *        ^                                |                   |
 *        +------ backoff <----- closed, refused or too slow --+          close(): -> closed, for good
 */
import { KvError } from '../base/errors.ts';
import { times } from '../base/times.ts';
import type { Welcome } from '../codec/client-protocol.ts';
import { protocolVersion } from '../codec/client-protocol.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import type { RpcChannel, RpcFailure, RpcHandler } from '../rpc/channel-types.ts';
import { malformed, refusalOf } from './failures.ts';
import { shardMapOf, welcomeOf } from './welcome.ts';

/** Opens a channel to an address; it reports to `handler`. */
export type ChannelOpener = (address: string, handler: RpcHandler) => RpcChannel;

export interface LinkWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly openChannel: ChannelOpener;
}

export interface LinkOwner {
  /** Of the first welcome; '' before. */
  readonly cluster: string;
  /** Whether this link should ask for a client id in its hello. */
  wantsClientId(link: Link): boolean;
  /** It is ready. @throws KvError when the welcome isn't acceptable: the link goes down again. */
  welcomed(link: Link, welcome: Welcome): void;
  /** The link asked for a client id, and the gateway has none to give now. */
  clientIdRefused(link: Link): void;
  mapChanged(link: Link, map: Welcome['map']): void;
  /** It was ready, or tried to be; the requests on it have been told. `error` says why. */
  down(link: Link, error: KvError): void;
}

type LinkState = 'connecting' | 'greeting' | 'ready' | 'backoff' | 'closed';

export class Link implements RpcHandler {
  readonly address: string;
  /** Number of the gateway there, -1 until it has said so. */
  gateway = -1;
  /** Why it is down. */
  error: KvError | undefined = undefined;
  readonly #world: LinkWorld;
  readonly #owner: LinkOwner;
  #state: LinkState = 'backoff';
  #channel: RpcChannel | undefined = undefined;
  /** Of the attempt under way: what made it fail. */
  #cause: KvError | undefined = undefined;
  #failures = 0;
  #timer: Timer | undefined = undefined;
  #whenClosed: (() => void) | undefined = undefined;

  constructor(world: LinkWorld, owner: LinkOwner, address: string) {
    this.#world = world;
    this.#owner = owner;
    this.address = address;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  get requestsInFlight(): number {
    return this.#channel?.requestsInFlight ?? 0;
  }

  /** REQUIRES: isReady. */
  request(
    method: string,
    write: (out: MessageWriter) => void,
    onAnswer: (failure: RpcFailure | undefined, result: MessageReader | undefined) => void,
  ): void {
    this.#channel?.request(method, write, onAnswer);
  }

  open(): void {
    if (this.#state !== 'backoff') return;
    this.#timer?.cancel();
    this.#state = 'connecting';
    this.#cause = undefined;
    this.#timer = this.#world.clock.after(times.welcomeTimeoutMs, () => {
      this.fail(new KvError('timeout', `${this.address}: no welcome within ${times.welcomeTimeoutMs} ms`));
    });
    this.#channel = this.#world.openChannel(this.address, this);
  }

  /** Goes down and does not come back. Resolves when the connection is closed. */
  close(): Promise<void> {
    const channel = this.#channel;
    const hadChannel = channel !== undefined && this.#state !== 'closed';
    this.#state = 'closed';
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!hadChannel) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenClosed = resolve;
      channel.close('the client closes');
    });
  }

  /** The other side broke the protocol: this connection can't be trusted any more. */
  fail(error: KvError): void {
    const channel = this.#channel;
    this.#cause = error;
    this.#wentDown(error.message);
    channel?.close(error.message);
  }

  /** Says hello, or says it again for a client id. REQUIRES: open. */
  greet(wantsClientId: boolean): void {
    this.#channel?.request(
      'hello',
      (out) => this.#writeHello(out, wantsClientId),
      (failure, result) => this.#greeted(failure, result),
    );
  }

  onOpen(channel: RpcChannel): void {
    if (channel !== this.#channel || this.#state !== 'connecting') return;
    this.#state = 'greeting';
    this.greet(this.#owner.wantsClientId(this));
  }

  onClose(channel: RpcChannel, reason: string): void {
    if (channel !== this.#channel) return;
    this.#channel = undefined;
    if (this.#state === 'closed') {
      this.#whenClosed?.();
      return;
    }
    this.#wentDown(reason);
  }

  onNotice(channel: RpcChannel, method: string, params: MessageReader): void {
    if (channel !== this.#channel || method !== 'map' || this.#state !== 'ready') return;
    try {
      if (params.array() < 1) throw new KvError('protocol-error', 'a map notification without a map');
      this.#owner.mapChanged(this, shardMapOf(params.value()));
    } catch (error) {
      this.fail(malformed(error));
    }
  }

  onRequest(channel: RpcChannel, id: number, method: string): void {
    channel.answerErrorText(id, `a client answers no requests, nor '${method}'`);
  }

  onDrain(): void {
    // What waits in a channel is bounded by the client's own limit.
  }

  #writeHello(out: MessageWriter, wantsClientId: boolean): void {
    const { cluster } = this.#owner;
    out.array(1);
    out.value({
      role: 'client',
      protocolMin: protocolVersion.min,
      protocolMax: protocolVersion.max,
      ...(cluster === '' ? {} : { cluster }),
      wantsClientId,
    });
  }

  #greeted(failure: RpcFailure | undefined, result: MessageReader | undefined): void {
    if (this.#state !== 'greeting' && this.#state !== 'ready') return;
    if (failure !== undefined || result === undefined) {
      if (failure?.kind === 'error') this.#refused(refusalOf(failure.error));
      return;
    }
    try {
      const welcome = welcomeOf(result.value());
      this.gateway = welcome.gateway;
      this.#state = 'ready';
      this.#owner.welcomed(this, welcome);
    } catch (error) {
      this.fail(malformed(error));
      return;
    }
    this.#failures = 0;
    this.error = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** A gateway that can give out no client id now still serves reads, and writes of clients that have one. */
  #refused(error: KvError): void {
    if (error.code !== 'coordinator-unavailable' && this.#state !== 'ready') {
      this.fail(error);
      return;
    }
    this.#owner.clientIdRefused(this);
    if (this.#state === 'greeting') this.greet(false);
  }

  #wentDown(reason: string): void {
    if (this.#state === 'closed' || this.#state === 'backoff') return;
    this.#state = 'backoff';
    this.#channel = undefined;
    const error = this.#cause ?? new KvError('connection-lost', `${this.address}: ${reason}`);
    this.error = error;
    const { clock, random } = this.#world;
    const delayMs = Math.min(times.reconnectMaxMs, times.reconnectMinMs * 2 ** Math.min(this.#failures++, 10));
    this.#timer?.cancel();
    this.#timer = clock.after(delayMs * (0.5 + random.uint32() / 2 ** 33), () => this.open());
    this.#owner.down(this, error);
  }
}
