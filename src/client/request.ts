/**
 * A request of a client, from the call until its promise settles. One object each: it writes its parameters, reads its
 * result, and is a member of the list of requests that have not settled.
 */
import type { KvError } from '../base/errors.ts';
import type { ClientId, RequestNumber, SlotId, Version } from '../base/ids.ts';
import { clientId, requestNumber, version } from '../base/ids.ts';
import type { FoundLength, FoundValue, WriteTerms } from '../codec/client-requests.ts';
import {
  readDeleteAnswer,
  readGetAnswer,
  readHasAnswer,
  readPutAnswer,
  writeDelete,
  writeGet,
  writeHas,
  writePut,
} from '../codec/client-requests.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { RequestWindow } from '../core/once/request-window.ts';
import { slotOfKey } from '../core/slots.ts';
import type { Link } from './link.ts';
import type { AbortSignalLike, DeleteResult, PutResult } from './types.ts';
import { Entry } from './types.ts';

const noBytes = new Uint8Array(0);

export type Method = 'put' | 'delete' | 'get' | 'has';

/** `waiting`: for a gateway, a client id or the window. `delayed`: until it is sent again. */
export type RequestState = 'waiting' | 'sent' | 'delayed' | 'settled';

/** A request of the SDK. Large because all kinds have the same fields, in one order: the engine knows one shape. */
export abstract class Request {
  abstract readonly method: Method;
  abstract readonly isWrite: boolean;
  readonly key: Uint8Array;
  readonly slot: SlotId;
  readonly bytes: number;
  readonly reject: (error: KvError) => void;
  /** By the clock's `now`. */
  deadlineMs = 0;
  timeoutMs = 0;
  state: RequestState = 'waiting';

  /** Times it was sent; an answer belongs to one of them. */
  sends = 0;
  /** Revision of the map when it was sent last. */
  mapRevision = 0;
  /** Where the newest copy went. */
  link: Link | undefined = undefined;
  retryAtMs = 0;
  lastError: KvError | undefined = undefined;

  /** Identity of a write, which all its copies share (S15); without a window it has none yet. */
  window: RequestWindow | undefined = undefined;
  client: ClientId = clientId(0);
  number: RequestNumber = requestNumber(0);
  /** Copies that were sent and not answered with a definite refusal: while there is one, the write may be applied. */
  copiesOut = 0;

  /** Neighbours in the list of unsettled requests. */
  previous: Request | undefined = undefined;
  next: Request | undefined = undefined;

  /** Signal of its caller, while it is watched (abort-signals.ts). */
  signal: AbortSignalLike | undefined = undefined;

  constructor(reject: (error: KvError) => void, key: Uint8Array, valueLength: number) {
    this.reject = reject;
    this.key = key;
    this.slot = slotOfKey(key);
    this.bytes = key.length + valueLength;
  }

  get firstIncomplete(): number {
    return this.window?.firstIncomplete ?? 0;
  }

  /** Writes the params, one array. */
  abstract write(out: MessageWriter): void;
  /**
   * Reads the result and resolves the promise. @throws MessageFormatError when it is malformed; the promise is as
   * before then.
   */
  abstract resolveWith(result: MessageReader): void;
}

export class PutRequest extends Request implements WriteTerms {
  readonly method = 'put';
  readonly isWrite = true;
  readonly #resolve: (result: PutResult) => void;
  readonly #value: Uint8Array;
  readonly condition: number;

  constructor(
    resolve: (result: PutResult) => void,
    reject: (error: KvError) => void,
    key: Uint8Array,
    value: Uint8Array,
    condition: number,
  ) {
    super(reject, key, value.length);
    this.#resolve = resolve;
    this.#value = value;
    this.condition = condition;
  }

  override write(out: MessageWriter): void {
    writePut(out, this, this.key, this.#value);
  }

  override resolveWith(result: MessageReader): void {
    this.#resolve({ version: readPutAnswer(result) });
  }
}

export class DeleteRequest extends Request implements WriteTerms {
  readonly method = 'delete';
  readonly isWrite = true;
  readonly #resolve: (result: DeleteResult) => void;
  readonly condition: number;

  constructor(
    resolve: (result: DeleteResult) => void,
    reject: (error: KvError) => void,
    key: Uint8Array,
    condition: number,
  ) {
    super(reject, key, 0);
    this.#resolve = resolve;
    this.condition = condition;
  }

  override write(out: MessageWriter): void {
    writeDelete(out, this, this.key);
  }

  override resolveWith(result: MessageReader): void {
    const answer = { existed: false, version: version(0) };
    readDeleteAnswer(result, answer);
    this.#resolve(answer);
  }
}

export class GetRequest extends Request implements FoundValue {
  readonly method = 'get';
  readonly isWrite = false;
  readonly stale: boolean;
  // What the answer is read into.
  version: Version = version(0);
  expiresAt = 0;
  value: Uint8Array = noBytes;
  readonly #resolve: (entry: Entry | undefined) => void;

  constructor(
    resolve: (entry: Entry | undefined) => void,
    reject: (error: KvError) => void,
    key: Uint8Array,
    stale: boolean,
  ) {
    super(reject, key, 0);
    this.#resolve = resolve;
    this.stale = stale;
  }

  override write(out: MessageWriter): void {
    writeGet(out, this.stale, this.key);
  }

  override resolveWith(result: MessageReader): void {
    const isThere = readGetAnswer(result, this);
    this.#resolve(isThere ? new Entry(owned(this.value), this.version) : undefined);
  }
}

export class HasRequest extends Request implements FoundLength {
  readonly method = 'has';
  readonly isWrite = false;
  // What the answer is read into.
  version: Version = version(0);
  expiresAt = 0;
  valueLength = 0;
  readonly #resolve: (found: boolean) => void;

  constructor(resolve: (found: boolean) => void, reject: (error: KvError) => void, key: Uint8Array) {
    super(reject, key, 0);
    this.#resolve = resolve;
  }

  override write(out: MessageWriter): void {
    writeHas(out, this.key);
  }

  override resolveWith(result: MessageReader): void {
    this.#resolve(readHasAnswer(result, this));
  }
}

/**
 * A small value must not keep the whole chunk that it arrived in alive: it is copied, into Node's pool of 8 KiB if it
 * is below half of that, since memory of its own costs ten times as much as the copy. One that is most of its chunk is
 * passed on.
 */
function owned(view: Uint8Array): Uint8Array {
  if (view.byteLength * 2 > view.buffer.byteLength)
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const copy = Buffer.allocUnsafe(view.byteLength);
  copy.set(view);
  return new Uint8Array(copy.buffer, copy.byteOffset, copy.byteLength);
}
