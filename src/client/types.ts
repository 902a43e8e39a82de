/** What the SDK takes and gives: options, entries, results. */
import type { KvError } from '../base/errors.ts';

/**
 * Strings are UTF-8. An array must not be changed before the promise it was given to has settled: it is sent from where
 * it is.
 */
export type Bytes = string | Uint8Array;

export interface ClientOptions {
  /** How long a request may take, retries included. Default 10,000; each request can bring its own. */
  readonly timeoutMs?: number;
  /** How long `connect` waits for the first gateway. Default: `timeoutMs`. */
  readonly connectTimeoutMs?: number;
  /** Requests that have not settled, waiting ones included; beyond it: `overloaded`. Default 16,384. */
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

export interface RequestOptions {
  /**
   * Settles the promise with `aborted` at once. A write that had not been sent is not applied; of one that had, the
   * outcome is `unknown`: it can't be called back.
   */
  readonly signal?: AbortSignal;
  /**
   * 1..86,400,000. The same rule: an unsent write is not applied, the outcome of a sent one is `unknown`. Default: the
   * client's.
   */
  readonly timeoutMs?: number;
}

export interface ReadOptions extends RequestOptions {
  /**
   * `stale`: whichever gateway is asked answers from what it knows, without making sure that nothing newer exists.
   * Default `linearizable`.
   */
  readonly consistency?: 'linearizable' | 'stale';
}

export interface DeleteOptions extends RequestOptions {
  /**
   * Only if the key has this version; 0: only if there is no such key. Else `condition-failed` with `currentVersion`.
   */
  readonly ifVersion?: number;
}

export interface PutOptions extends DeleteOptions {
  /** Only if there is no such key. Not together with `ifVersion`. */
  readonly ifAbsent?: boolean;
}

export interface CloseOptions {
  /** How long `close` waits for requests under way: 0..86,400,000 ms. Default 5,000. */
  readonly timeoutMs?: number;
}

export interface PutResult {
  /** Of the key from now on; larger than any before. Usable as `ifVersion`. */
  readonly version: number;
}

export interface DeleteResult {
  /** Whether there was such a key. */
  readonly existed: boolean;
  /** Of the deletion; 0 when there was nothing to delete. */
  readonly version: number;
}

/** A key's value and version. */
export class Entry {
  /**
   * The caller's own. What hangs on it besides is at most as large as itself, or Node's pool of 8 KiB that a value
   * below 4 KiB lies in.
   */
  readonly value: Uint8Array;
  readonly version: number;

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

export interface GatewayConnection {
  /** -1: not known yet. */
  readonly gateway: number;
  readonly address: string;
  readonly connected: boolean;
  readonly requestsInFlight: number;
  /** Why there is no connection. */
  readonly reason: string | undefined;
}

/** What a client knows and does at this moment. */
export interface ClientStatus {
  readonly state: 'open' | 'closing' | 'closed';
  readonly cluster: string;
  /** The client's identity for once-only writes; 0: none yet. */
  readonly client: number;
  readonly mapRevision: number;
  readonly shards: number;
  /** By shard: the number of the gateway that owns it, -1 when nobody does. */
  readonly owners: readonly number[];
  readonly gateways: readonly GatewayConnection[];
  readonly requests: number;
  readonly requestBytes: number;
  /** Times a request was sent again. */
  readonly resends: number;
}
