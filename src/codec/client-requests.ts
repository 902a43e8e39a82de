/**
 * Forms of put, delete, get and has and of their answers, written and read here and nowhere else. Their grammar, and
 * what their members mean, stands in codec/client-protocol.ts.
 *
 * Each of these is on the way of every request, so nothing is made for a message: writers take ranges of buffers, and
 * readers fill an object that the caller has anyway. Keys and values that are read are ranges, or views, of the
 * message's memory. Members that a later version adds are left unread: they are the last of their message.
 *
 * Readers throw MessageFormatError when a message has another form, and nothing else; the object is then half filled.
 */
import type { ClientId, RequestNumber, Version } from '../base/ids.ts';
import { clientId, requestNumber, version } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { arrayOf, malformed, natural } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

/** Conditions of a write that are no version: `none` always holds, `absent` when there is no such key. */
export const condition = { none: -1, absent: 0 } as const;
const readMode = { linearizable: 0, stale: 1 } as const;
/** Expiry is reserved: every record lives for ever. */
const noExpiry = 0;

/** Place of a key in the memory of its message. */
export interface KeyTarget {
  source: Uint8Array;
  keyStart: number;
  keyLength: number;
}

/** Object that a put or delete is read into. */
export interface WriteTarget extends KeyTarget {
  valueStart: number;
  /** Length of the value in bytes. */
  wantedLength: number;
  /** Version that the key must have, or one of the constants `condition`. */
  condition: number;
  /** Client id; 0: not numbered, and the two numbers mean nothing. */
  client: ClientId;
  number: RequestNumber;
  /** 1 <= first incomplete number <= number. */
  firstIncomplete: RequestNumber;
}

/** Condition and identity of a write (S15), as it is sent. */
export interface WriteTerms {
  readonly condition: number;
  readonly client: number;
  readonly number: number;
  readonly firstIncomplete: number;
}

/** Object that a get is read into. */
export interface ReadTarget extends KeyTarget {
  stale: boolean;
}

/** Object that the answer to a delete is read into. */
export interface DeleteAnswer {
  existed: boolean;
  /** Version of the deletion, 0 when there was nothing to delete. */
  version: Version;
}

/** Object that the answer to a get is read into. */
export interface FoundValue {
  version: Version;
  /** Milliseconds since 1970; 0 never. */
  expiresAt: number;
  value: Uint8Array | undefined;
}

/** Object that the answer to a has is read into. */
export interface FoundLength {
  version: Version;
  expiresAt: number;
  valueLength: number;
}

// --- put, delete -----------------------------------------------------------------------------------------------------

/** The key is [keyStart, keyEnd) of `key`, the value likewise. */
export function writePut(
  out: MessageWriter,
  terms: WriteTerms,
  key: Uint8Array,
  value: Uint8Array,
  keyStart = 0,
  keyEnd = key.length,
  valueStart = 0,
  valueEnd = value.length,
): void {
  out.array(7);
  out.binary(key, keyStart, keyEnd);
  out.binary(value, valueStart, valueEnd);
  out.integer(terms.condition);
  out.integer(noExpiry);
  writeIdentity(out, terms);
}

export function readPut(params: MessageReader, into: WriteTarget): void {
  arrayOf(params, 7, 'put');
  readKey(params, into);
  params.range();
  into.valueStart = params.rangeStart;
  into.wantedLength = params.rangeLength;
  into.condition = readCondition(params);
  if (params.integer() !== noExpiry) malformed(params, 'expiry is not supported by this version: expiresAt must be 0');
  readIdentity(params, into);
}

/** The key is [keyStart, keyEnd) of `key`. */
export function writeDelete(
  out: MessageWriter,
  terms: WriteTerms,
  key: Uint8Array,
  keyStart = 0,
  keyEnd = key.length,
): void {
  out.array(5);
  out.binary(key, keyStart, keyEnd);
  out.integer(terms.condition);
  writeIdentity(out, terms);
}

/** The value is the empty one behind the key. */
export function readDelete(params: MessageReader, into: WriteTarget): void {
  arrayOf(params, 5, 'delete');
  readKey(params, into);
  into.valueStart = into.keyStart + into.keyLength;
  into.wantedLength = 0;
  into.condition = readCondition(params);
  readIdentity(params, into);
}

export function writePutAnswer(out: MessageWriter, written: Version): void {
  out.integer(written);
}

export function readPutAnswer(result: MessageReader): Version {
  return readVersion(result);
}

export function writeDeleteAnswer(out: MessageWriter, existed: boolean, deleted: Version): void {
  out.array(2);
  out.boolean(existed);
  out.integer(deleted);
}

export function readDeleteAnswer(result: MessageReader, into: DeleteAnswer): void {
  arrayOf(result, 2, 'the answer to delete');
  into.existed = result.boolean();
  into.version = readVersion(result);
}

// --- get, has --------------------------------------------------------------------------------------------------------

/** The key is [keyStart, keyEnd) of `key`. */
export function writeGet(out: MessageWriter, stale: boolean, key: Uint8Array, keyStart = 0, keyEnd = key.length): void {
  out.array(2);
  out.binary(key, keyStart, keyEnd);
  out.integer(stale ? readMode.stale : readMode.linearizable);
}

export function readGet(params: MessageReader, into: ReadTarget): void {
  arrayOf(params, 2, 'get');
  readKey(params, into);
  const mode = params.integer();
  if (mode !== readMode.linearizable && mode !== readMode.stale)
    malformed(params, `read mode ${mode}: 0 linearizable, 1 stale`);
  into.stale = mode === readMode.stale;
}

/** The key is [keyStart, keyEnd) of `key`. */
export function writeHas(out: MessageWriter, key: Uint8Array, keyStart = 0, keyEnd = key.length): void {
  out.array(1);
  out.binary(key, keyStart, keyEnd);
}

export function readHas(params: MessageReader, into: KeyTarget): void {
  arrayOf(params, 1, 'has');
  readKey(params, into);
}

/** Answer to get and has: there is no such key. */
export function writeAbsent(out: MessageWriter): void {
  out.nil();
}

export function writeGetAnswer(out: MessageWriter, found: Version, expiresAt: number, value: Uint8Array): void {
  out.array(3);
  out.integer(found);
  out.integer(expiresAt);
  out.binary(value);
}

/** False: there is no such key, and nothing was filled in. The value is a view of the message. */
export function readGetAnswer(result: MessageReader, into: FoundValue): boolean {
  if (result.tryNil()) return false;
  arrayOf(result, 3, 'the answer to get');
  into.version = readVersion(result);
  into.expiresAt = readExpiry(result);
  into.value = result.binary();
  return true;
}

export function writeHasAnswer(out: MessageWriter, found: Version, expiresAt: number, valueLength: number): void {
  out.array(3);
  out.integer(found);
  out.integer(expiresAt);
  out.integer(valueLength);
}

/** False: there is no such key, and nothing was filled in. */
export function readHasAnswer(result: MessageReader, into: FoundLength): boolean {
  if (result.tryNil()) return false;
  arrayOf(result, 3, 'the answer to has');
  into.version = readVersion(result);
  into.expiresAt = readExpiry(result);
  into.valueLength = natural(result, 0, Number.MAX_SAFE_INTEGER, 'value length');
  return true;
}

// --- parts -----------------------------------------------------------------------------------------------------------

function readKey(params: MessageReader, into: KeyTarget): void {
  params.range();
  into.source = params.bytes;
  into.keyStart = params.rangeStart;
  into.keyLength = params.rangeLength;
}

function readCondition(params: MessageReader): number {
  const value = params.integer();
  if (value < condition.none)
    malformed(params, `condition ${value}: -1 none, 0 absent, else the version the key must have`);
  return value;
}

function writeIdentity(out: MessageWriter, { client, number, firstIncomplete }: WriteTerms): void {
  out.integer(client);
  out.integer(number);
  out.integer(firstIncomplete);
}

function readIdentity(params: MessageReader, into: WriteTarget): void {
  const client = params.integer();
  const number = params.integer();
  const first = params.integer();
  if (client < 0 || number < 0 || first < 0)
    malformed(params, `client ${client}, request number ${number}, first incomplete number ${first}: none is negative`);
  if (client > limits.clientIdMax || Math.max(number, first) > limits.requestNumberMax)
    malformed(params, `client ${client}, request number ${number}: at most 2^48 - 1`);
  if (client !== 0 && (first < 1 || first > number))
    malformed(params, `request number ${number} with first incomplete number ${first}: 1 <= first <= number`);
  into.client = clientId(client);
  into.number = requestNumber(number);
  into.firstIncomplete = requestNumber(first);
}

function readVersion(result: MessageReader): Version {
  return version(natural(result, 0, Number.MAX_SAFE_INTEGER, 'version'));
}

function readExpiry(result: MessageReader): number {
  return natural(result, 0, Number.MAX_SAFE_INTEGER, 'expiry');
}
