/**
 * A simulated network between hosts, named by the host part of their addresses. Bytes keep their order within a
 * connection; connections overtake one another, since every delay is drawn anew. From a seed, repeatable.
 *
 * Faults: `block` holds back all that one host sends to another (both ways: `partition`) until `heal`: as with TCP
 * nothing is lost and nobody is told. `slow` makes it take longer, as a congested path does. `cut` resets connections.
 * `refuse` refuses new ones. `crash` ends a host's process: its side is told nothing more; the others see resets, or
 * with `silent` (power loss) nothing at all until the host is up again and something is sent to it.
 *
 * A simplification: when only the way back is blocked, acknowledgements pass all the same, so `onDrain` still comes.
 *
 * It owns hosts, listeners, links between hosts and the two ends of connections. It does not own bytes under way
 * (pipe.ts), nor a released input's memory (delivered-input.ts).
 */
import { assert } from '../../base/assert.ts';
import { formatAddress, parseAddress } from '../address.ts';
import {
  type Address,
  type Connection,
  type ConnectionHandler,
  type Listener,
  type Network,
  NetworkError,
  type NetworkErrorCode,
} from '../network.ts';
import type { SimulatedClock } from './clock.ts';
import { DeliveredInput } from './delivered-input.ts';
import { type Path, Pipe, type PipeEnd, type PipeOptions } from './pipe.ts';
import type { SimulatedRandom } from './random.ts';

export interface SimulatedNetworkOptions extends Partial<PipeOptions> {
  /** A connection whose `write` leaves more than this waiting is full. */
  readonly fullBytes?: number;
}

const optionDefaults: PipeOptions & { readonly fullBytes: number } = {
  delayMinMs: 0.05,
  delayMaxMs: 0.5,
  bytesPerMs: 1_000_000,
  splitProbability: 0.05,
  joinProbability: 0.2,
  pieceBytesMax: 64 * 1024,
  windowBytes: 256 * 1024,
  fullBytes: 16 * 1024,
};

const firstFreePort = 40_000;
/** Names by which a host means itself. */
const ownNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '0.0.0.0', '::1', '::']);

/** Something on its way that belongs to no connection yet. */
interface Held {
  readonly from: string;
  readonly to: string;
  readonly arrive: () => void;
}

export class SimulatedNetwork {
  readonly clock: SimulatedClock;
  readonly #random: SimulatedRandom;
  readonly #options: typeof optionDefaults;
  readonly #listeners = new Map<Address, SimulatedListener>();
  readonly #ends = new Set<ConnectionEnd>();
  readonly #blocked = new Set<string>();
  /** Milliseconds that everything takes longer, by path. */
  readonly #late = new Map<string, number>();
  readonly #refusing = new Set<string>();
  /** Hosts that vanished silently. */
  readonly #down = new Set<string>();
  #held: Held[] = [];
  #nextPort = firstFreePort;

  constructor(clock: SimulatedClock, random: SimulatedRandom, options: SimulatedNetworkOptions = {}) {
    this.clock = clock;
    this.#random = random;
    this.#options = { ...optionDefaults, ...options };
  }

  /** The network as the host `name` sees it. A host that crashed is up again, with nothing listening. */
  host(name: string): Network {
    this.#down.delete(name);
    return {
      listen: (address, onConnection) => this.#listen(name, address, onConnection),
      connect: (address) => this.#connect(name, address),
    };
  }

  /** Ends of connections that exist: two for each that is open. */
  get connectionEnds(): number {
    return this.#ends.size;
  }

  /** Holds back what `from` sends to `to`. */
  block(from: string, to: string): void {
    this.#blocked.add(path(from, to));
  }

  /** Holds back what two hosts send to each other. */
  partition(one: string, other: string): void {
    this.block(one, other);
    this.block(other, one);
  }

  /** From now on everything that `from` sends to `to` takes `lateMs` longer; 0: as always. */
  slow(from: string, to: string, lateMs: number): void {
    if (lateMs === 0) this.#late.delete(path(from, to));
    else this.#late.set(path(from, to), lateMs);
  }

  lateMs(from: string, to: string): number {
    return this.#late.size === 0 ? 0 : (this.#late.get(path(from, to)) ?? 0);
  }

  /**
   * Lets through again what `from` sends to `to`, and the other way; without arguments, everything, and nothing is slow
   * any more.
   */
  heal(from?: string, to?: string): void {
    if (from === undefined || to === undefined) {
      this.#blocked.clear();
      this.#late.clear();
    } else {
      this.#blocked.delete(path(from, to));
      this.#blocked.delete(path(to, from));
    }
    this.#goOn();
  }

  /** Lets through again what `from` sends to `to`, only that way. */
  unblock(from: string, to: string): void {
    this.#blocked.delete(path(from, to));
    this.#goOn();
  }

  isBlocked(from: string, to: string): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(path(from, to));
  }

  /** Resets the connections between two hosts, or all of one. Gives how many. */
  cut(one: string, other?: string): number {
    let count = 0;
    for (const end of this.#ends) {
      if (end.host !== one || (other !== undefined && end.peerHost !== other)) continue;
      count++;
      end.cut();
    }
    return count;
  }

  /** Refuses, or accepts again, new connections to a host or to one address of it. */
  refuse(hostOrAddress: string, refused = true): void {
    if (refused) this.#refusing.add(hostOrAddress);
    else this.#refusing.delete(hostOrAddress);
  }

  /**
   * The host's process is gone and its system says so: resets, and refusals of new connections. `silent`: the whole
   * host is gone without a word, as when its power fails, until it is up again.
   */
  crash(name: string, options: { readonly silent?: boolean } = {}): void {
    if (options.silent === true) this.#down.add(name);
    for (const [address, listener] of this.#listeners) {
      if (listener.host === name) this.#listeners.delete(address);
    }
    for (const end of this.#ends) {
      if (end.host === name) end.die(options.silent === true);
    }
  }

  // --- for the ends of connections -----------------------------------------------------------------------------------

  isDown(name: string): boolean {
    return this.#down.has(name);
  }

  forget(end: ConnectionEnd): void {
    this.#ends.delete(end);
  }

  pipe(from: string, to: string, receiver: ConnectionEnd, onTaken: () => void): Pipe {
    const path = new NetworkPath(this, from, to);
    return new Pipe(this.clock, this.#random, this.#options, path, receiver, onTaken);
  }

  get fullBytes(): number {
    return this.#options.fullBytes;
  }

  /** Whether a connection that is closed by force ends with a reset: TCP does when bytes were unread. */
  drawReset(): boolean {
    return this.#random.chance(0.5);
  }

  /** Calls `arrive` after a delay, and not while the path is blocked. */
  transmit(from: string, to: string, arrive: () => void): void {
    const { delayMinMs, delayMaxMs } = this.#options;
    const delayMs = this.lateMs(from, to) + delayMinMs + this.#random.fraction() * (delayMaxMs - delayMinMs);
    this.clock.after(delayMs, () => {
      if (this.isBlocked(from, to)) this.#held.push({ from, to, arrive });
      else arrive();
    });
  }

  #goOn(): void {
    const held = this.#held;
    this.#held = [];
    for (const { from, to, arrive } of held) this.transmit(from, to, arrive);
    for (const end of this.#ends) end.kick();
  }

  async #listen(host: string, address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const wanted = parseAddress(address);
    if (wanted.host !== host && !ownNames.has(wanted.host))
      throw new NetworkError('bad-address', `cannot listen at ${address}: not an address of ${host}`);
    const port = wanted.port === 0 ? this.#nextPort++ : wanted.port;
    const bound = formatAddress(host, port);
    if (this.#listeners.has(bound))
      throw new NetworkError('address-in-use', `cannot listen at ${address}: another process does`);
    const listener = new SimulatedListener(host, bound, onConnection, () => this.#listeners.delete(bound));
    this.#listeners.set(bound, listener);
    return listener;
  }

  #connect(from: string, address: Address): Connection {
    let to: { readonly host: string; readonly port: number };
    try {
      to = parseAddress(address);
    } catch (error) {
      assert(error instanceof NetworkError, 'an address that cannot be read is a NetworkError');
      const failed = new ConnectionEnd(this, from, from, address);
      this.clock.after(0, () => failed.closed(error));
      return failed;
    }
    const host = ownNames.has(to.host) ? from : to.host;
    const bound = formatAddress(host, to.port);
    const end = new ConnectionEnd(this, from, host, address);
    this.#ends.add(end);
    this.transmit(from, host, () => this.#arrive(end, host, bound));
    return end;
  }

  /** A request to connect reaches `host`. */
  #arrive(end: ConnectionEnd, host: string, bound: Address): void {
    if (end.isClosed || this.#down.has(host)) return;
    const listener = this.#listeners.get(bound);
    if (listener === undefined || this.#refusing.has(host) || this.#refusing.has(bound)) {
      this.transmit(host, end.host, () => end.closed(networkError('refused', 'connection refused')));
      return;
    }
    const accepted = new ConnectionEnd(this, host, end.host, formatAddress(end.host, this.#nextPort++));
    this.#ends.add(accepted);
    accepted.join(end);
    listener.onConnection(accepted);
    this.clock.after(0, () => accepted.open());
    this.transmit(host, end.host, () => end.open());
  }
}

class NetworkPath implements Path {
  readonly #network: SimulatedNetwork;
  readonly #from: string;
  readonly #to: string;

  constructor(network: SimulatedNetwork, from: string, to: string) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
  }

  get isBlocked(): boolean {
    return this.#network.isBlocked(this.#from, this.#to);
  }

  get lateMs(): number {
    return this.#network.lateMs(this.#from, this.#to);
  }
}

class SimulatedListener implements Listener {
  readonly host: string;
  readonly address: Address;
  readonly onConnection: (connection: Connection) => void;
  readonly #onClose: () => void;

  constructor(host: string, address: Address, onConnection: (connection: Connection) => void, onClose: () => void) {
    this.host = host;
    this.address = address;
    this.onConnection = onConnection;
    this.#onClose = onClose;
  }

  async close(): Promise<void> {
    this.#onClose();
  }
}

type EndState = 'connecting' | 'open' | 'closed';

/** One side of a connection. */
class ConnectionEnd implements Connection {
  /** Always, so that whoever writes again into what he has sent too early is found. */
  readonly hasCopied = true;
  readonly remote: string;
  readonly host: string;
  readonly peerHost: string;
  readonly #network: SimulatedNetwork;
  #state: EndState = 'connecting';
  #handler: ConnectionHandler | undefined;
  /** Pipe from here to the other side, whose end leads back; there once both sides are. */
  #out: Pipe | undefined;
  #peer: ConnectionEnd | undefined;
  /** Written before the connection was open. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #full = false;
  #ended = false;
  #paused = false;
  #dead = false;
  readonly #delivered = new DeliveredInput();

  constructor(network: SimulatedNetwork, host: string, peerHost: string, remote: string) {
    this.#network = network;
    this.host = host;
    this.peerHost = peerHost;
    this.remote = remote;
  }

  // --- Connection ----------------------------------------------------------------------------------------------------

  handle(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, 'a connection is handled once');
    this.#handler = handler;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.#state === 'closed' || this.#ended) return true;
    const copies = chunks.map((chunk) => new Uint8Array(chunk));
    if (this.#state === 'open') {
      this.#out?.write(copies);
    } else {
      for (const copy of copies) {
        this.#early.push(copy);
        this.#earlyBytes += copy.length;
      }
    }
    if (this.waitingBytes > this.#network.fullBytes) this.#full = true;
    return !this.#full;
  }

  get waitingBytes(): number {
    return this.#earlyBytes + (this.#out?.waitingBytes ?? 0);
  }

  releaseInput(): void {
    this.#delivered.release();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#peer?.kick();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#state === 'open') this.#out?.finish('end');
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    this.#ended = true;
    this.#state = 'closed';
    this.#out?.truncate(this.#network.drawReset() ? 'reset' : 'end');
    if (this.#paused) this.#peer?.kick();
    this.#network.clock.after(0, () => this.#tellClosed(undefined));
  }

  // --- what the network does to it -----------------------------------------------------------------------------------

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  get isPaused(): boolean {
    return this.#paused && this.#state !== 'closed';
  }

  /** The two ends of one connection. */
  join(other: ConnectionEnd): void {
    this.#peer = other;
    other.#peer = this;
    this.#out = this.#network.pipe(this.host, other.host, other, () => this.#taken());
    other.#out = this.#network.pipe(other.host, this.host, this, () => other.#taken());
  }

  open(): void {
    if (this.#state !== 'connecting' || this.#dead) return;
    this.#state = 'open';
    this.#handler?.onOpen();
    const early = this.#early;
    this.#early = [];
    this.#earlyBytes = 0;
    if (this.#isGone()) return;
    this.#out?.write(early);
    if (this.#ended) this.#out?.finish('end');
    this.#taken();
  }

  /** The connection ended, or never came about. */
  closed(error: NetworkError | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#out?.close();
    this.#tellClosed(error);
  }

  cut(): void {
    const reset = (end: ConnectionEnd): void => end.closed(networkError('reset', 'connection reset'));
    const peer = this.#peer;
    this.#out?.close();
    if (peer !== undefined) peer.#out?.close();
    this.#network.clock.after(0, () => reset(this));
    if (peer !== undefined) this.#network.clock.after(0, () => reset(peer));
  }

  die(silent: boolean): void {
    this.#dead = true;
    this.#state = 'closed';
    this.#network.forget(this);
    if (silent) this.#out?.close();
    else this.#out?.truncate('reset');
  }

  kick(): void {
    this.#out?.kick();
  }

  // --- PipeReceiver --------------------------------------------------------------------------------------------------

  onBytes(bytes: Uint8Array): void {
    if (this.#state === 'closed') return this.#answerDead();
    this.#delivered.add(bytes);
    this.#handler?.onData(bytes);
  }

  onEnd(end: PipeEnd): void {
    if (this.#state === 'closed') return this.#answerDead();
    if (end === 'reset') return this.closed(networkError('reset', 'connection reset by the other side'));
    // Not half open: what waits here is still sent, then this side ends as well.
    this.#ended = true;
    this.#out?.finish('end');
    this.#state = 'closed';
    this.#tellClosed(undefined);
  }

  /** A host that came back after it vanished silently knows nothing of the connection and says so. */
  #answerDead(): void {
    const peer = this.#peer;
    if (!this.#dead || peer === undefined || this.#network.isDown(this.host)) return;
    this.#network.transmit(this.host, peer.host, () => peer.closed(networkError('reset', 'connection reset')));
  }

  #isGone(): boolean {
    return this.#state === 'closed' || this.#dead;
  }

  #taken(): void {
    if (!this.#full || this.waitingBytes > 0 || this.#state !== 'open') return;
    this.#full = false;
    this.#handler?.onDrain();
  }

  #tellClosed(error: NetworkError | undefined): void {
    this.#network.forget(this);
    if (this.#dead) return;
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onClose(error);
  }
}

function path(from: string, to: string): string {
  return `${from}>${to}`;
}

function networkError(code: NetworkErrorCode, message: string): NetworkError {
  return new NetworkError(code, message);
}
