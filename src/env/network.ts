/** Streams of bytes between processes: TCP, or the simulator's. */

/** `host:port`; IPv6 hosts in brackets. */
export type Address = string;

export type NetworkErrorCode = 'address-in-use' | 'refused' | 'reset' | 'bad-address' | 'timeout' | 'permission' | 'io';

export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  readonly code: NetworkErrorCode;
  constructor(code: NetworkErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

export interface Network {
  /**
   * Listens at `address` (port 0: any free one, see `Listener.address`). Every connection is handed out: how many
   * there may be is the caller's to decide (rpc/listen.ts). @throws NetworkError `address-in-use`, `permission`,
   * `bad-address`
   */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener>;
  /**
   * Begins to connect and returns at once; `onOpen` or `onClose` tells how it went. Bytes written before `onOpen` are
   * kept.
   */
  connect(address: Address): Connection;
  /** Bounds of open connections; absent where nothing bounds them. */
  readonly descriptors?: Descriptors;
}

/** Open files and connections of this process. */
export interface Descriptors {
  /** How many the system lets it have; Infinity when that is not known. */
  readonly max: number;
  /** Connections among them that others opened. */
  readonly accepted: number;
}

export interface Listener {
  readonly address: Address;
  /** Stops accepting; connections that exist go on. Idempotent. */
  close(): Promise<void>;
}

/** Callbacks of a connection. None is called after `onClose`, which is called exactly once. */
export interface ConnectionHandler {
  onOpen(): void;
  /**
   * The bytes belong to the receiver, which may keep them; nobody writes into them again before it calls
   * `releaseInput`.
   */
  onData(bytes: Uint8Array): void;
  /** Bytes waiting fell to zero after `write` returned false. */
  onDrain(): void;
  /** Closed by either side. `error` is there unless the close was orderly. */
  onClose(error: NetworkError | undefined): void;
}

export interface Connection {
  /** Address of the other side, for messages to people. */
  readonly remote: string;
  /** REQUIRES: called once, in the turn the connection was handed out. */
  handle(handler: ConnectionHandler): void;
  /**
   * Sends the chunks in order, as one system call where it can. They must not change before `hasCopied` says that they
   * may. False when more than a few buffers wait: the caller should wait for `onDrain`. Ignored when closed.
   */
  write(chunks: readonly Uint8Array[]): boolean;
  /** The system has a copy of its own of all that was written: the memory of the chunks may be written again. */
  readonly hasCopied: boolean;
  /** Bytes written that the system hasn't taken yet. */
  readonly waitingBytes: number;
  /** The receiver needs nothing of what `onData` brought so far: its memory may be read into again. */
  releaseInput(): void;
  /** Stops and restarts delivery of data: the sender is slowed down by the network's own means. */
  pause(): void;
  resume(): void;
  /** Sends what waits, then closes. */
  end(): void;
  /** Closes now; what waits is lost. `onClose` follows in a later turn. Idempotent. */
  destroy(): void;
}
