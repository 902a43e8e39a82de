/** A network inside the test: connections that take one simulated millisecond each way, and can be cut. */
import type { SimulatedClock } from '../../src/env/simulated/clock.ts';
import type { Address, Connection, ConnectionHandler, Listener, Network } from '../../src/env/network.ts';
import { NetworkError } from '../../src/env/network.ts';

const delayMs = 1;

export class MemoryNetwork implements Network {
  readonly #clock: SimulatedClock;
  readonly #listeners = new Map<Address, (connection: Connection) => void>();
  /** Addresses that answer nothing at all, not even with a refusal. */
  readonly silent = new Set<Address>();
  readonly open = new Set<End>();
  /** Other names of addresses, as `localhost` is one of 127.0.0.1. */
  readonly names = new Map<Address, Address>();

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    this.#listeners.set(address, onConnection);
    return Promise.resolve({
      address,
      close: () => {
        if (this.#listeners.get(address) === onConnection) this.#listeners.delete(address);
        return Promise.resolve();
      },
    });
  }

  connect(address: Address): Connection {
    const near = new End(this, this.#clock, address);
    this.#clock.after(delayMs, () => {
      if (this.silent.has(address)) return;
      const onConnection = this.#listeners.get(this.names.get(address) ?? address);
      if (onConnection === undefined) {
        near.closed(new NetworkError('refused', 'connection refused'));
        return;
      }
      const far = new End(this, this.#clock, 'client');
      near.pairWith(far);
      onConnection(far);
      far.opened();
      near.opened();
    });
    return near;
  }
}

/** One end of a connection. */
export class End implements Connection {
  readonly remote: string;
  readonly waitingBytes = 0;
  readonly hasCopied = true;
  readonly #network: MemoryNetwork;
  readonly #clock: SimulatedClock;
  #handler: ConnectionHandler | undefined = undefined;
  #other: End | undefined = undefined;
  #isClosed = false;
  #unsent: Uint8Array[] = [];

  constructor(network: MemoryNetwork, clock: SimulatedClock, remote: string) {
    this.#network = network;
    this.#clock = clock;
    this.remote = remote;
    network.open.add(this);
  }

  pairWith(other: End): void {
    this.#other = other;
    other.#other = this;
  }

  handle(handler: ConnectionHandler): void {
    this.#handler = handler;
  }

  opened(): void {
    if (this.#isClosed) return;
    this.#handler?.onOpen();
    const unsent = this.#unsent;
    this.#unsent = [];
    if (unsent.length > 0) this.write(unsent);
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const other = this.#other;
    const copies = chunks.map((chunk) => new Uint8Array(chunk));
    if (other === undefined) this.#unsent.push(...copies);
    else if (!this.#isClosed) {
      this.#clock.after(delayMs, () => {
        for (const copy of copies) if (!other.#isClosed) other.#handler?.onData(copy);
      });
    }
    return true;
  }

  releaseInput(): void {
    // What was delivered is never used again.
  }

  pause(): void {
    throw new Error('these tests never fill a connection');
  }

  resume(): void {
    // Nothing is ever paused.
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#clock.after(0, () => this.closed(undefined));
    const other = this.#other;
    if (other !== undefined) this.#clock.after(delayMs, () => other.closed(undefined));
  }

  closed(error: NetworkError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#network.open.delete(this);
    this.#handler?.onClose(error);
  }
}
