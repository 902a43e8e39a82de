/**
 * Requests as a shard sees them. One object per request lives from the socket to the reply; its key and value are
 * ranges of a buffer, so that each byte is copied once, into the batch.
 */
import type { ErrorCode, Outcome } from '../../base/errors.ts';
import type { ClientId, Millis, RequestNumber, Version } from '../../base/ids.ts';
import { clientId, millis, requestNumber, version } from '../../base/ids.ts';
import { condition } from '../../codec/client-requests.ts';
import type { RecordInput, RecordKind } from '../../codec/log-format.ts';
import { recordKind } from '../../codec/log-format.ts';

export type WriteResult =
  | { readonly kind: 'put'; readonly version: Version }
  | { readonly kind: 'deleted'; readonly existed: boolean; readonly version: Version }
  /** The condition does not hold: 0 is absent. */
  | { readonly kind: 'refused'; readonly currentVersion: Version }
  | Failure;

export interface Failure {
  readonly kind: 'failed';
  readonly code: ErrorCode;
  readonly message: string;
  readonly outcome: Outcome;
  /** Number of the gateway that owns the shard, with `not-owner`, where it is known. */
  readonly owner?: number;
}

/** A connection that answers go to. What is under way for one connection is bounded together. */
export interface Outlet {
  readonly isOpen: boolean;
  /** Bytes of answers that the network has not taken. */
  readonly waitingBytes: number;
}

/** Where a write's result goes. The shard only carries it. */
export interface WriteReply {
  /** Absent: nothing is bounded. */
  readonly outlet?: Outlet | undefined;
  written(write: ShardWrite, result: WriteResult): void;
}

/** Where a read's result goes. */
export interface ReadReply {
  /** Absent: nothing is bounded. */
  readonly outlet?: Outlet | undefined;
  /** `version` 0: there is no such key. */
  found(read: ShardRead): void;
  failed(read: ShardRead, failure: Failure): void;
}

/** Whoever counts reads that are under way. */
export interface ReadCount {
  /** The read's answer was given to its outlet. */
  answered(read: ShardRead): void;
}

export type WriteOperation = 'put' | 'delete';

const noBytes = new Uint8Array(0);

/**
 * A PUT or DEL on its way through the shard. Made empty, so that its door assigns what it read by name; from then on
 * the caller's part does not change.
 * Large because all fields exist from the start, in one order: the engine then knows one shape of write.
 */
export class ShardWrite implements RecordInput {
  /** It is its own event. */
  readonly event = 'write';

  // What the caller wants: assigned by the door before the shard is given the write.
  replyTo: WriteReply;
  /** Number of the caller's request, for its answer. */
  readonly id: number;
  readonly operation: WriteOperation;
  /** Bytes that key and value lie in, until the batch is formed (they lie there then). */
  source: Uint8Array = noBytes;
  keyStart = 0;
  keyLength = 0;
  valueStart = 0;
  /** Length of the value asked for; the record of a refused or deleted one has none. */
  wantedLength = 0;
  /** Version that the key must have, or one of the constants `condition`. */
  condition: number = condition.none;
  /** Identity of the write (S15); client 0: not numbered. */
  client: ClientId = clientId(0);
  number: RequestNumber = requestNumber(0);
  firstIncomplete: RequestNumber = requestNumber(0);
  /** Another gateway may be asked. */
  mayForward = false;
  /** Clock's time at which the shard queued it. */
  arrivedMs: Millis = millis(0);

  // What was decided when its batch was formed; decided anew when it is appended again (S6).
  kind: RecordKind = recordKind.put;
  valueLength = 0;
  /** Hash of the key in the index. */
  keyHash = 0;
  nextInChain: ShardWrite | undefined = undefined;
  /** Offset of its record in the zone. */
  recordOffset = 0;
  recordBytes = 0;
  version: undefined;
  expiresAt: undefined;
  /** Bytes that a repetition is answered from (S15); part of the record. */
  reply: Uint8Array | undefined = undefined;
  /** Write in flight that a refusal was decided on; undefined: it was decided on `currentVersion`. */
  decidedOn: ShardWrite | undefined = undefined;
  /** Version that a refusal was decided on, 0 when the key was absent. */
  currentVersion: Version = version(0);
  /** Repetitions that arrived while this was in flight: they get the same result. */
  repetitions: ShardWrite[] | undefined = undefined;
  #answered = false;

  /** `id` names the caller's request in the answer, which goes to `replyTo`. */
  constructor(replyTo: WriteReply, id: number, operation: WriteOperation) {
    this.replyTo = replyTo;
    this.id = id;
    this.operation = operation;
  }

  get isAnswered(): boolean {
    return this.#answered;
  }

  /** Nothing is answered twice: a result that comes after the caller was told `unknown` is ignored. */
  answer(result: WriteResult): void {
    if (this.#answered) return;
    this.#answered = true;
    this.replyTo.written(this, result);
  }
}

/**
 * A GET, HAS or the like on its way through the shard; its door assigns by name what it read.
 * Large because all fields exist from the start, as those of a write do.
 */
export class ShardRead {
  readonly event = 'read';

  // What the caller wants: assigned by the door before the shard is given the read.
  readonly replyTo: ReadReply;
  readonly id: number;
  /** False: only whether it is there, its version and length. */
  readonly wantsValue: boolean;
  source: Uint8Array = noBytes;
  keyStart = 0;
  keyLength = 0;
  /** Another gateway may be asked. */
  mayForward = false;
  /** A standby may answer, without confirmation. */
  stale = false;
  arrivedMs: Millis = millis(0);

  // What the index said.
  version: Version = version(0);
  lba = 0;
  recordBytes = 0;
  valueLength = 0;
  expiresAt = 0;
  /** The key's newest record was cut off with a damaged end of the log: nobody knows its value (S9). */
  isLost = false;
  /** The bytes of the value, once they are fetched. */
  value: Uint8Array | undefined = undefined;
  /** Counted there with so many bytes until it is answered. */
  count: ReadCount | undefined = undefined;
  chargedBytes = 0;
  #confirmed = false;
  #answered = false;

  constructor(replyTo: ReadReply, id: number, wantsValue: boolean) {
    this.replyTo = replyTo;
    this.id = id;
    this.wantsValue = wantsValue;
  }

  /** The key's bytes, a view of the source. */
  get key(): Uint8Array {
    return this.source.subarray(this.keyStart, this.keyStart + this.keyLength);
  }

  /** S7: the confirmation is there, or none is needed. */
  confirm(): void {
    if (this.isLost) return this.fail(lostKey);
    this.#confirmed = true;
    this.#answer();
  }

  /** The value is there. It must not change any more. */
  complete(value: Uint8Array): void {
    this.value = value;
    this.#answer();
  }

  /** Another gateway answered it, and what it found was assigned. */
  pass(): void {
    this.#confirmed = true;
    this.#finish();
  }

  /** Nothing is answered twice: a confirmation or value that comes later is ignored. */
  fail(failure: Failure): void {
    if (this.#answered) return;
    this.#answered = true;
    this.replyTo.failed(this, failure);
    this.count?.answered(this);
  }

  get isAnswered(): boolean {
    return this.#answered;
  }

  /** The same question once more, for another owner: this one is answered by nobody any more. */
  renewed(): ShardRead {
    const read = new ShardRead(this.replyTo, this.id, this.wantsValue);
    const { source, keyStart, keyLength, mayForward } = this;
    Object.assign(read, { source, keyStart, keyLength, mayForward });
    this.#answered = true;
    this.count?.answered(this);
    return read;
  }

  /** Both must be there before the reply: the confirmation and, where there is one and it is wanted, the value. */
  #answer(): void {
    const needsValue = this.wantsValue && this.version !== 0;
    if (!this.#confirmed || (needsValue && this.value === undefined)) return;
    this.#finish();
  }

  #finish(): void {
    if (this.#answered) return;
    this.#answered = true;
    this.replyTo.found(this);
    this.count?.answered(this);
  }
}

/** A record of the shard itself in a batch (a floor, a relocated record, a time), with its place. */
export interface OwnRecord {
  readonly record: RecordInput;
  /** Offset in the zone. */
  readonly recordOffset: number;
  readonly recordBytes: number;
}

// --- what a record carries for the reply (S15) -----------------------------------------------------------------------

const refusedCondition = 1;
const refusedAbsent = 2;
const refusedLost = 3;

/** Answer to reads of a lost key, and to writes with a condition on it. */
export const lostKey: Failure = {
  kind: 'failed',
  code: 'damaged',
  message: 'the newest record of the key was cut off with a damaged end of the log; writing or deleting it heals it',
  outcome: 'not-applied',
};

/** Reply of a refused condition: code:u8 current version:u64. */
export function encodeConditionRefused(currentVersion: number): Uint8Array {
  const bytes = Buffer.alloc(9);
  bytes[0] = refusedCondition;
  bytes.writeBigUInt64LE(BigInt(currentVersion), 1);
  return bytes;
}

/** Reply of a DEL that found nothing: code:u8. */
export const absentReply: Uint8Array = Uint8Array.of(refusedAbsent);

/** Reply of a condition on a lost key: code:u8. */
export const lostReply: Uint8Array = Uint8Array.of(refusedLost);

/** The result that a record stands for, for the first reply and every repetition. */
export function resultOfRecord(kind: RecordKind, recordVersion: Version, reply: Uint8Array | undefined): WriteResult {
  if (kind === recordKind.put) return { kind: 'put', version: recordVersion };
  if (kind === recordKind.delete) return { kind: 'deleted', existed: true, version: recordVersion };
  if (reply?.[0] === refusedAbsent) return { kind: 'deleted', existed: false, version: version(0) };
  if (reply?.[0] === refusedLost) return lostKey;
  if (reply?.[0] === refusedCondition && reply.length === 9) {
    return { kind: 'refused', currentVersion: version(Number(Buffer.from(reply).readBigUInt64LE(1))) };
  }
  return {
    kind: 'failed',
    code: 'internal',
    message: 'the record carries no reply that this version knows',
    outcome: 'unknown',
  };
}
