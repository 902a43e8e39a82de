/**
 * One connection to one gateway: an rpc/link.ts, which opens it again when it goes down, whose handshake is the hello.
 *
 *   idle --open--> connecting, hello --welcome--> ready
 *    ^                ^                             |
 *    |                +---- pause <-- refused, too slow, malformed or cut
 *    +--close-- from any of them
 *
 * Which gateways there are, and which of two links to the same one stays, is for gateways.ts; what becomes of requests
 * is the dispatcher's.
 */
import { KvError } from '../base/errors.ts';
import { times } from '../base/times.ts';
import type { ShardMap, Welcome } from '../codec/client-protocol.ts';
import { protocolVersion } from '../codec/client-protocol.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { Environment } from '../env/environment.ts';
import { malformedInput, type RpcChannel, type RpcFailure } from '../rpc/channel-types.ts';
import { KeepAlive } from '../rpc/keep-alive.ts';
import { Link as RpcLink } from '../rpc/link.ts';
import { clientOptions } from '../rpc/options.ts';
import { malformed, refusalOf } from './failures.ts';
import { shardMapOf, welcomeOf, wrongPort } from './welcome.ts';

/** A gateway that is silent for this long while requests wait is left: they go to another one within their time. */
const channelOptions = clientOptions({ progressTimeoutMs: times.gatewayProgressMs });

export type LinkWorld = Pick<Environment, 'clock' | 'random' | 'network'>;

export interface LinkOwner {
  /** Cluster of the first welcome; '' before. */
  readonly cluster: string;
  /** Whether this link should ask for a client id in its hello. */
  wantsClientId(link: Link): boolean;
  /** It is ready, or was given an answer to a further hello. */
  welcomed(link: Link, welcome: Welcome): void;
  /**
   * The link will give no client id, should it have asked for one: the gateway has none now, or the link was closed.
   */
  clientIdRefused(link: Link): void;
  mapChanged(link: Link, map: ShardMap): void;
  /** It was ready, or tried to be; the requests on it have been told. `error` says why. */
  down(link: Link, error: KvError): void;
}

/** What came of a hello. */
type Greeting =
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  /** By the gateway, or by this side: the answer is malformed, or of another cluster. */
  | { readonly kind: 'refused'; readonly error: KvError }
  /** The connection went down before the answer. */
  | { readonly kind: 'lost' };

export class Link {
  readonly address: string;
  /** Number of the gateway there, -1 until it has said so. */
  gateway = -1;
  /** Name of the process there, '' until it has said so: links with one name lead to one process. */
  process = '';
  /** Why it is down. */
  error: KvError | undefined = undefined;
  readonly #world: LinkWorld;
  readonly #owner: LinkOwner;
  /** Undefined: idle. */
  #rpc: RpcLink | undefined = undefined;
  /** The channel that was welcomed, until it is closed. */
  #channel: RpcChannel | undefined = undefined;
  /** Why this side ended the attempt, or the connection, that is ending. */
  #cause: KvError | undefined = undefined;
  #whenClosed: (() => void) | undefined = undefined;
  /** While the channel is up. */
  #pings: KeepAlive | undefined = undefined;

  constructor(world: LinkWorld, owner: LinkOwner, address: string) {
    this.#world = world;
    this.#owner = owner;
    this.address = address;
  }

  get isIdle(): boolean {
    return this.#rpc === undefined;
  }

  get isReady(): boolean {
    return this.#channel?.isOpen === true;
  }

  get requestsInFlight(): number {
    return this.#channel?.requestsInFlight ?? 0;
  }

  /** REQUIRES: isReady, or it was until this turn: the request is answered `lost` then. */
  request(
    method: string,
    write: (out: MessageWriter) => void,
    onAnswer: (failure: RpcFailure | undefined, result: MessageReader | undefined) => void,
  ): void {
    this.#channel?.request(method, write, onAnswer);
  }

  /** Begins to connect, and to connect again whenever it goes down. */
  open(): void {
    if (this.#rpc !== undefined) return;
    const { clock, random, network } = this.#world;
    let welcome: Welcome | undefined;
    const rpc: RpcLink = new RpcLink({
      clock,
      random,
      network,
      address: this.address,
      rpc: channelOptions,
      connectTimeoutMs: times.welcomeTimeoutMs,
      handler: { onNotice: (_channel, method, params) => this.#notified(method, params) },
      handshake: (channel, done) => {
        this.#greet(channel, this.#owner.wantsClientId(this), (greeting) => {
          if (greeting.kind === 'refused') {
            this.#cause = greeting.error;
            done(greeting.error.message);
          } else if (greeting.kind === 'welcome') {
            welcome = greeting.welcome;
            done();
          }
        });
      },
      onUp: (channel) => {
        if (welcome === undefined) return;
        this.#keepAlive();
        this.#up(channel, welcome);
      },
      onDown: (reason) => this.#down(rpc, reason),
      onFailure: (reason) => this.#down(rpc, reason),
    });
    this.#rpc = rpc;
  }

  /** Becomes idle. Resolves when the connection is closed. */
  close(): Promise<void> {
    const rpc = this.#rpc;
    this.#rpc = undefined;
    rpc?.close();
    this.#owner.clientIdRefused(this);
    if (this.#channel === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenClosed = resolve;
    });
  }

  /** The other side broke the protocol: this connection can't be trusted any more. It goes down in this turn. */
  fail(error: KvError): void {
    if (!this.isReady) return;
    this.#cause = error;
    this.#channel?.close(error.message);
  }

  /** Says hello again, for a client id. REQUIRES: isReady. */
  askForClientId(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#hello(channel, true, (greeting) => {
      if (greeting.kind === 'welcome') this.#owner.welcomed(this, greeting.welcome);
      else if (greeting.kind === 'lost') return;
      else if (greeting.error.code === 'protocol-error') this.fail(greeting.error);
      else this.#owner.clientIdRefused(this);
    });
  }

  /**
   * The hello of a new connection. A gateway that can give out no client id now still serves reads, and writes of
   * clients that have one.
   */
  #greet(channel: RpcChannel, wantsClientId: boolean, settle: (greeting: Greeting) => void): void {
    this.#hello(channel, wantsClientId, (greeting) => {
      if (greeting.kind === 'refused' && greeting.error.code === 'coordinator-unavailable' && wantsClientId) {
        this.#owner.clientIdRefused(this);
        this.#greet(channel, false, settle);
      } else {
        settle(greeting);
      }
    });
  }

  #hello(channel: RpcChannel, wantsClientId: boolean, settle: (greeting: Greeting) => void): void {
    channel.request(
      'hello',
      (out) => this.#writeHello(out, wantsClientId),
      (failure, result) => settle(this.#greeting(failure, result)),
    );
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

  #greeting(failure: RpcFailure | undefined, result: MessageReader | undefined): Greeting {
    if (failure?.kind === 'error') return { kind: 'refused', error: this.#refusal(refusalOf(failure.error)) };
    if (failure !== undefined || result === undefined) return { kind: 'lost' };
    try {
      const welcome = welcomeOf(result.value(), this.address);
      const { cluster } = this.#owner;
      if (cluster === '' || cluster === welcome.cluster) return { kind: 'welcome', welcome };
      const message = `${this.address} belongs to cluster ${welcome.cluster}, this client to ${cluster}`;
      return { kind: 'refused', error: new KvError('wrong-cluster', message) };
    } catch (error) {
      return { kind: 'refused', error: malformed(error) };
    }
  }

  /** A gateway refuses in a form of its own; what does otherwise is none. */
  #refusal(error: KvError): KvError {
    return error.code === 'protocol-error' ? wrongPort(this.address, error.message) : error;
  }

  /** A gateway that waits (for loggers, or for the coordinator) is alive: it says so, other than one that hangs. */
  #keepAlive(): void {
    this.#pings?.close();
    this.#pings = new KeepAlive({
      clock: this.#world.clock,
      periodMs: times.gatewayProgressMs / 4,
      patienceMs: times.gatewayPatienceMs,
      channel: () => this.#channel,
      ping: (done) => this.request('hello', (out) => this.#writeHello(out, false), done),
    });
  }

  #up(channel: RpcChannel, welcome: Welcome): void {
    this.#channel = channel;
    this.gateway = welcome.gateway;
    this.process = `${welcome.gateway}/${welcome.instance}`;
    this.error = undefined;
    this.#cause = undefined;
    this.#owner.welcomed(this, welcome);
  }

  #down(rpc: RpcLink, reason: string): void {
    const cause = this.#cause;
    const wasReady = this.#channel !== undefined;
    this.#cause = undefined;
    this.#channel = undefined;
    this.#pings?.close();
    this.#pings = undefined;
    this.#whenClosed?.();
    this.#whenClosed = undefined;
    if (this.#rpc !== rpc) return;
    this.error = cause ?? this.#lost(reason, wasReady);
    this.#owner.down(this, this.error);
  }

  #lost(reason: string, wasReady: boolean): KvError {
    const isOtherProgram = !wasReady && reason.startsWith(malformedInput);
    if (isOtherProgram) return wrongPort(this.address, `another program answers there (${reason})`);
    return new KvError('connection-lost', `${this.address}: ${reason}`);
  }

  #notified(method: string, params: MessageReader): void {
    if (method !== 'map' || !this.isReady) return;
    try {
      if (params.array() < 1) throw new KvError('protocol-error', 'a map notification without a map');
      this.#owner.mapChanged(this, shardMapOf(params.value()));
    } catch (error) {
      this.fail(malformed(error));
    }
  }
}
