/** What the SDK takes and gives: options, entries, results. */
import type { KvError } from '../base/errors.ts';

/**
 * Strings are UTF-8. An array must not be changed before the promise it was given to has settled: it is sent from where
 * it is.
 */
export type Bytes = string | Uint8Array;

/** Signal of an `AbortController`; Node's and the browser's are such ones. */
export interface AbortSignalLike {
  /** It has fired. */
  readonly aborted: boolean;
  /** Becomes the `cause` of the error. */
  readonly reason?: unknown;
  /** The client adds one listener, however many requests have the signal. */
  addEventListener(type: 'abort', listener: { handleEvent(): void }, options?: { readonly once?: boolean }): void;
  /** Called when the last of them has settled. */
  removeEventListener(type: 'abort', listener: { handleEvent(): void }): void;
}

/** Options of `connect`. Unknown names, and values that are not allowed, are refused (`bad-argument`). */
export interface ClientOptions {
  /**
   * How long a request may take, retries included: 1..86,400,000 ms. Default 10,000; each request can bring its own.
   */
  readonly timeoutMs?: number;
  /** How long `connect` waits for the first gateway: 1..86,400,000 ms. Default: `timeoutMs`. */
  readonly connectTimeoutMs?: number;
  /** Requests that have not settled, waiting ones included; beyond it: `overloaded`. 1..65,536. Default 16,384. */
  readonly requestsMax?: number;
  /** Bytes of keys and values of these. Default 64 MiB, at least 20 MiB, at most 112 MiB. */
  readonly bytesMax?: number;
  /** TCP connections to each gateway, 1..8. Default 1. */
  readonly connectionsPerGateway?: number;
  /**
   * True (default): learn the gateways' addresses from the cluster and send each request straight to the owner of its
   * key. False: speak to the endpoints given and no other (behind a proxy or an address translation); they forward.
   */
  readonly direct?: boolean;
}

/** Options of every request, and all that `has` and `putMany` take. */
export interface RequestOptions {
  /**
   * Settles the promise with `aborted` at once. A write that had not been sent is not applied; of one that had, the
   * outcome is `unknown`: it can't be called back.
   */
  readonly signal?: AbortSignalLike;
  /**
   * Time that the request may take: 1..86,400,000 ms. Default: the client's. The same rule: an unsent write is not
   * applied, the outcome of a sent one is `unknown`.
   */
  readonly timeoutMs?: number;
}

/** Options of `get` and `getMany`. */
export interface ReadOptions extends RequestOptions {
  /**
   * `stale`: whichever gateway is asked answers from what it knows, without making sure that nothing newer exists.
   * Default `linearizable`.
   */
  readonly consistency?: 'linearizable' | 'stale';
}

/** Options of `delete`. */
export interface DeleteOptions extends RequestOptions {
  /**
   * A condition: only if the key has this version; 0: only if there is no such key. Else `condition-failed` with
   * `currentVersion`. Left out: no condition; `undefined` is refused, since a version that was not found must not
   * become a write without a condition.
   */
  readonly ifVersion?: number;
}

/** Options of `put`. */
export interface PutOptions extends DeleteOptions {
  /** A condition: only if there is no such key. Not together with `ifVersion`. */
  readonly ifAbsent?: boolean;
}

/** Options of `close`. */
export interface CloseOptions {
  /** How long `close` waits for requests under way: 0..86,400,000 ms. Default 5,000. */
  readonly timeoutMs?: number;
}

/** Result of `put`. */
export interface PutResult {
  /** Version of the key from now on; larger than any before. Usable as `ifVersion`. */
  readonly version: number;
}

/** Result of `delete`. */
export interface DeleteResult {
  /** Whether there was such a key. */
  readonly existed: boolean;
  /** Version of the deletion; 0 when there was nothing to delete. */
  readonly version: number;
}

/** A key's value and version. */
export class Entry {
  /**
   * The caller's own. What hangs on it besides is at most as large as itself, or Node's pool of 8 KiB that a value
   * below 4 KiB lies in.
   */
  readonly value: Uint8Array;
  /** Version of the key when it was read; usable as `ifVersion`. */
  readonly version: number;

  /** @internal Made by `get` and `getMany`. */
  constructor(value: Uint8Array, version: number) {
    this.value = value;
    this.version = version;
  }

  /** The value as UTF-8; malformed sequences become U+FFFD. */
  get text(): string {
    return Buffer.from(this.value.buffer, this.value.byteOffset, this.value.byteLength).toString('utf8');
  }
}

/** One key's result of `getMany`. */
export type GetManyResult =
  | { readonly key: Bytes; readonly ok: true; readonly entry: Entry | undefined }
  | { readonly key: Bytes; readonly ok: false; readonly error: KvError };

/** One key's result of `putMany`. */
export type PutManyResult =
  | { readonly key: Bytes; readonly ok: true; readonly version: number }
  | { readonly key: Bytes; readonly ok: false; readonly error: KvError };

/** A connection to a gateway, or the attempt to have one. */
export interface GatewayConnection {
  /** Number of the gateway; -1: not known yet. */
  readonly gateway: number;
  /** `host:port` that is connected to. */
  readonly address: string;
  /** The gateway there has welcomed the client. */
  readonly connected: boolean;
  /** Requests that were sent on it and wait for their answers. */
  readonly requestsInFlight: number;
  /** Why there is no connection. */
  readonly reason: string | undefined;
}

/** What a client knows and does at this moment. */
export interface ClientStatus {
  /** `closing`: `close` waits for requests. */
  readonly state: 'open' | 'closing' | 'closed';
  /** Id of the cluster. */
  readonly cluster: string;
  /** The client's identity for once-only writes; 0: none yet. */
  readonly client: number;
  /** Age of what the client knows of the owners: it grows with every change. */
  readonly mapRevision: number;
  /** Number of shards. */
  readonly shards: number;
  /** By shard: the number of the gateway that owns it, -1 when nobody does. */
  readonly owners: readonly number[];
  /** Connections, and attempts at them. */
  readonly gateways: readonly GatewayConnection[];
  /** Requests that have not settled. */
  readonly requests: number;
  /** Bytes of their keys and values. */
  readonly requestBytes: number;
  /** Times a request was sent again. */
  readonly resends: number;
}
