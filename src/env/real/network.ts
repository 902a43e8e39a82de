/** TCP through node:net. */
import { createConnection, createServer, type OnReadOpts, type Server, Socket } from 'node:net';
import { assert } from '../../base/assert.ts';
import { formatAddress, parseAddress } from '../address.ts';
import { descriptorLimit } from './descriptor-limit.ts';
import { readingInto } from './accepted-socket.ts';
import { ReadSlab } from './read-slab.ts';
import {
  type Address,
  type Connection,
  type ConnectionHandler,
  type Descriptors,
  type Listener,
  type Network,
  NetworkError,
  type NetworkErrorCode,
} from '../network.ts';

const keepAliveMs = 30_000;
const backlog = 1024;

export class RealNetwork implements Network {
  readonly #descriptorsMax: number;
  #accepted = 0;

  constructor(descriptorsMax: number = descriptorLimit()) {
    this.#descriptorsMax = descriptorsMax;
  }

  get descriptors(): Descriptors {
    return { max: this.#descriptorsMax, accepted: this.#accepted };
  }

  async listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const { host, port } = parseAddress(address);
    const server = createServer({
      allowHalfOpen: false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      pauseOnConnect: true,
    });
    server.on('connection', (accepted) => {
      this.#accepted += 1;
      accepted.once('close', () => {
        this.#accepted -= 1;
      });
      onConnection(SocketConnection.reading((onread) => readingInto(accepted, onread) ?? accepted, remoteOf(accepted)));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(networkError(error, `cannot listen at ${address}: `)));
      server.listen({ host, port, backlog, exclusive: true }, resolve);
    });
    // An error of accepting (too many open files) concerns one connection that does not come about.
    server.on('error', () => undefined);
    return new RealListener(server, host);
  }

  connect(address: Address): Connection {
    return SocketConnection.reading((onread) => connectSocket(address, onread), address);
  }
}

/** Begins to connect; what is wrong with the address is an event of the socket, like every other failure. */
function connectSocket(address: Address, onread: OnReadOpts): Socket {
  try {
    const { host, port } = parseAddress(address);
    return createConnection({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, onread });
  } catch (error) {
    return new Socket().destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

class RealListener implements Listener {
  readonly address: Address;
  readonly #server: Server;
  #closing: Promise<void> | undefined;

  constructor(server: Server, host: string) {
    this.#server = server;
    const bound = server.address();
    assert(bound !== null && typeof bound === 'object', 'a listening server has an address');
    this.address = formatAddress(host, bound.port);
  }

  close(): Promise<void> {
    // `close` calls back only when all connections have ended, but it stops accepting at once: that is all that is
    // promised.
    this.#closing ??= new Promise((resolve) => {
      this.#server.close();
      setImmediate(resolve);
    });
    return this.#closing;
  }
}

class SocketConnection implements Connection {
  readonly remote: string;
  readonly #socket: Socket;
  readonly #slab: ReadSlab;
  #handler: ConnectionHandler | undefined;
  #error: NetworkError | undefined;
  /** `write` returned false: `onDrain` is owed. */
  #full = false;
  #ended = false;

  /** Connection of a socket that reads into a slab. */
  static reading(socketWith: (onread: OnReadOpts) => Socket, remote: string): SocketConnection {
    const slab = new ReadSlab();
    const onread = {
      buffer: () => slab.room,
      callback: (length: number): boolean => connection.#received(slab.take(length)),
    };
    const connection: SocketConnection = new SocketConnection(socketWith(onread), remote, slab);
    return connection;
  }

  private constructor(socket: Socket, remote: string, slab: ReadSlab) {
    this.remote = remote;
    this.#slab = slab;
    this.#socket = socket;
    socket.on('error', (error) => {
      this.#error = networkError(error);
    });
  }

  handle(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, 'a connection is handled once');
    this.#handler = handler;
    const socket = this.#socket;
    // Emitted by a socket that does not read into the slab.
    socket.on('data', (bytes: Buffer) => handler.onData(bytes));
    socket.resume();
    socket.on('drain', () => {
      this.#full = false;
      handler.onDrain();
    });
    socket.on('close', () => handler.onClose(this.#error));
    if (socket.connecting) socket.once('connect', () => handler.onOpen());
    else if (!socket.destroyed) {
      // An accepted one is open from the start; its owner is told in a turn of its own, before any data.
      process.nextTick(() => {
        if (!socket.destroyed) handler.onOpen();
      });
    }
  }

  /** True: reading goes on. */
  #received(bytes: Buffer): boolean {
    this.#handler?.onData(bytes);
    return true;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (socket.destroyed || this.#ended) return true;
    let room = true;
    const several = chunks.length > 1;
    if (several) socket.cork();
    for (const chunk of chunks) room = socket.write(chunk);
    if (several) socket.uncork();
    if (!room) this.#full = true;
    return !this.#full;
  }

  get hasCopied(): boolean {
    return this.#socket.writableLength === 0;
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  releaseInput(): void {
    this.#slab.rewind();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.end();
  }

  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
  }
}

function remoteOf(socket: Socket): string {
  return formatAddress(socket.remoteAddress ?? 'unknown', socket.remotePort ?? 0);
}

const codes: Readonly<Record<string, NetworkErrorCode>> = {
  EADDRINUSE: 'address-in-use',
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  ETIMEDOUT: 'timeout',
  EACCES: 'permission',
  EPERM: 'permission',
  EADDRNOTAVAIL: 'bad-address',
  ENOTFOUND: 'bad-address',
  EAI_AGAIN: 'bad-address',
  EINVAL: 'bad-address',
  EAFNOSUPPORT: 'bad-address',
  ERR_SOCKET_BAD_PORT: 'bad-address',
};

/** Reasons of which the system's text says nothing more than the address, which whoever connects knows. */
const reasons: Readonly<Partial<Record<NetworkErrorCode, string>>> = {
  refused: 'connection refused',
  reset: 'connection reset',
  timeout: 'connection timed out',
};

/** `what` was tried stands before the reason. */
function networkError(error: Error, what = ''): NetworkError {
  if (error instanceof NetworkError) return error;
  // A name with several addresses fails once for each of them, in an error that has no text of its own.
  const causes = error instanceof AggregateError ? error.errors.filter((one) => one instanceof Error) : [error];
  const reasonsOfAll = new Set(causes.map(reasonOf));
  return new NetworkError(codeOf(causes.at(-1)), `${what}${[...reasonsOfAll].join(', ')}`, { cause: error });
}

function codeOf(error: Error | undefined): NetworkErrorCode {
  const code: unknown = error !== undefined && 'code' in error ? error.code : undefined;
  return (typeof code === 'string' ? codes[code] : undefined) ?? 'io';
}

function reasonOf(error: Error): string {
  return reasons[codeOf(error)] ?? error.message;
}
