/**
 * Requests as a shard sees them. One object per request lives from the socket to the reply; its key and value are
 * ranges of a buffer, so that each byte is copied once, into the batch.
 */
import type { ErrorCode, Outcome } from '../../base/errors.ts';
import type { ClientId, Millis, RequestNumber, Version } from '../../base/ids.ts';
import { millis, version } from '../../base/ids.ts';
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
}

/** Where a write's result goes. The shard only carries it. */
export interface WriteReply {
  written(write: ShardWrite, result: WriteResult): void;
}

/** Where a read's result goes. */
export interface ReadReply {
  /** `version` 0: there is no such key. */
  found(read: ShardRead): void;
  failed(read: ShardRead, failure: Failure): void;
}

export type WriteOperation = 'put' | 'delete';

/** A PUT or DEL on its way through the shard. */
export class ShardWrite implements RecordInput {
  /** It is its own event. */
  readonly event = 'write';
  readonly replyTo: WriteReply;
  /** The caller's, for its answer. */
  readonly id: number;
  readonly operation: WriteOperation;
  source: Uint8Array;
  keyStart: number;
  readonly keyLength: number;
  valueStart: number;
  /** Of the value asked for; the record of a refused or deleted one has none. */
  readonly wantedLength: number;
  /** -1 none, 0 absent, n the version the key must have. */
  readonly condition: number;
  readonly client: ClientId;
  readonly number: RequestNumber;
  readonly firstIncomplete: RequestNumber;
  arrivedMs: Millis = millis(0);

  // What was decided when its batch was formed; decided anew when it is appended again (S6).
  kind: RecordKind = recordKind.put;
  valueLength = 0;
  /** Of the key in the index. */
  keyHash = 0;
  nextInChain: ShardWrite | undefined = undefined;
  /** Of its record, in the zone. */
  recordOffset = 0;
  recordBytes = 0;
  version: undefined;
  expiresAt: undefined;
  /** What a repetition is answered from (S15); part of the record. */
  reply: Uint8Array | undefined = undefined;
  /** Of a refusal: the version it was decided on, or the write in flight that it was decided on. */
  decidedOn: ShardWrite | undefined = undefined;
  currentVersion: Version = version(0);
  /** Repetitions that arrived while this was in flight: they get the same result. */
  repetitions: ShardWrite[] | undefined = undefined;

  constructor(
    replyTo: WriteReply,
    id: number,
    operation: WriteOperation,
    source: Uint8Array,
    keyStart: number,
    keyLength: number,
    valueStart: number,
    valueLength: number,
    condition: number,
    client: ClientId,
    number: RequestNumber,
    firstIncomplete: RequestNumber,
  ) {
    this.replyTo = replyTo;
    this.id = id;
    this.operation = operation;
    this.source = source;
    this.keyStart = keyStart;
    this.keyLength = keyLength;
    this.valueStart = valueStart;
    this.wantedLength = valueLength;
    this.condition = condition;
    this.client = client;
    this.number = number;
    this.firstIncomplete = firstIncomplete;
  }
}

/** A GET, HAS or the like on its way through the shard. */
export class ShardRead {
  readonly event = 'read';
  readonly replyTo: ReadReply;
  readonly id: number;
  source: Uint8Array;
  readonly keyStart: number;
  readonly keyLength: number;
  /** False: only whether it is there, its version and length. */
  readonly wantsValue: boolean;
  /** A standby may answer, without confirmation. */
  readonly stale: boolean;
  arrivedMs: Millis = millis(0);

  // What the index said.
  version: Version = version(0);
  lba = 0;
  recordBytes = 0;
  valueLength = 0;
  expiresAt = 0;
  /** The bytes of the value, once they are fetched. */
  value: Uint8Array | undefined = undefined;
  #confirmed = false;
  #answered = false;

  constructor(
    replyTo: ReadReply,
    id: number,
    source: Uint8Array,
    keyStart: number,
    keyLength: number,
    wantsValue: boolean,
    stale: boolean,
  ) {
    this.replyTo = replyTo;
    this.id = id;
    this.source = source;
    this.keyStart = keyStart;
    this.keyLength = keyLength;
    this.wantsValue = wantsValue;
    this.stale = stale;
  }

  /** The key's bytes, a view of the source. */
  get key(): Uint8Array {
    return this.source.subarray(this.keyStart, this.keyStart + this.keyLength);
  }

  /** S7: the confirmation is there, or none is needed. */
  confirm(): void {
    this.#confirmed = true;
    this.#answer();
  }

  /** The value is there. It must not change any more. */
  complete(value: Uint8Array): void {
    this.value = value;
    this.#answer();
  }

  /** Nothing is answered twice: a confirmation or value that comes later is ignored. */
  fail(failure: Failure): void {
    if (this.#answered) return;
    this.#answered = true;
    this.replyTo.failed(this, failure);
  }

  /** Both must be there before the reply: the confirmation and, where there is one and it is wanted, the value. */
  #answer(): void {
    const needsValue = this.wantsValue && this.version !== 0;
    if (this.#answered || !this.#confirmed || (needsValue && this.value === undefined)) return;
    this.#answered = true;
    this.replyTo.found(this);
  }
}

/** A record of the shard itself in a batch (a floor, a relocated record, a time), with its place. */
export interface OwnRecord {
  readonly record: RecordInput;
  /** Offset in the zone. */
  readonly recordOffset: number;
  readonly recordBytes: number;
}

// --- what a record carries for the reply (S15) ---------------------------------------------------------------------

const refusedCondition = 1;
const refusedAbsent = 2;

/** Reply of a refused condition: code:u8 current version:u64. */
export function encodeConditionRefused(currentVersion: number): Uint8Array {
  const bytes = Buffer.alloc(9);
  bytes[0] = refusedCondition;
  bytes.writeBigUInt64LE(BigInt(currentVersion), 1);
  return bytes;
}

/** Reply of a DEL that found nothing: code:u8. */
export const absentReply: Uint8Array = Uint8Array.of(refusedAbsent);

/** The result that a record stands for, for the first reply and every repetition. */
export function resultOfRecord(kind: RecordKind, recordVersion: Version, reply: Uint8Array | undefined): WriteResult {
  if (kind === recordKind.put) return { kind: 'put', version: recordVersion };
  if (kind === recordKind.delete) return { kind: 'deleted', existed: true, version: recordVersion };
  if (reply?.[0] === refusedAbsent) return { kind: 'deleted', existed: false, version: version(0) };
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
