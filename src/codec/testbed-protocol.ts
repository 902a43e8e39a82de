/**
 * The face of the C++ testbed on the client port (docs/protocol.md), byte for byte as rpclib and msgpack-c write it:
 *
 *   HandleWrite [[type:int, key:int32, value:str]]  -> "Success"      type 2 put, 3 delete
 *   HandleRead  [[type:int, key:int32, value:str]]  -> "" when there is none, else a str of exactly 4,096 raw bytes:
 *       0 key:i32  4 zeros  8 value length:i64  16 value  zeros to 4,096    (little-endian)
 *
 * What these forms can't carry is an RPC error, a string: a value over 4,080 bytes (written here, or written by one of
 * our own clients and read here), an outage, a wrong type. A `bin` is taken for a `str`; a missing value is the empty
 * one; further members are ignored. After a delete a read finds none: our store keeps no difference between a key
 * deleted and one never written.
 *
 * The integer key k is our key of the ASCII decimal digits of k, e.g. "-12", so that our own clients can name it.
 */
import { assert } from '../base/assert.ts';
import { MessageFormatError, type MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export const testbedMethod = { write: 'HandleWrite', read: 'HandleRead' } as const;
export type TestbedMethod = (typeof testbedMethod)[keyof typeof testbedMethod];

const requestType = { read: 1, put: 2, delete: 3 } as const;

const blockBytes = 4096;
const blockHeaderBytes = 16;
/** The longest value that a block holds. */
export const testbedValueBytesMax = blockBytes - blockHeaderBytes;

const int32Min = -(2 ** 31);
const int32Max = 2 ** 31 - 1;

export type TestbedRequest =
  /** `value` is a view of the message's memory. */
  | { readonly kind: 'put'; readonly key: number; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: number }
  | { readonly kind: 'get'; readonly key: number }
  /** `message` is the RPC error to answer with; nothing was done. */
  | { readonly kind: 'refused'; readonly message: string };

/** Decodes the params of one of the testbed's methods. Never throws: what is wrong with them is a refusal. */
export function decodeTestbedRequest(method: TestbedMethod, params: MessageReader): TestbedRequest {
  try {
    const argumentCount = params.array();
    if (argumentCount !== 1) return { kind: 'refused', message: wrongArity(method, argumentCount) };
    return decodeRequest(method, params);
  } catch (error) {
    if (!(error instanceof MessageFormatError)) throw error;
    return { kind: 'refused', message: `rpclib: ${method}: malformed request: ${error.message}` };
  }
}

function decodeRequest(method: TestbedMethod, params: MessageReader): TestbedRequest {
  const members = params.array();
  if (members < 2) return { kind: 'refused', message: `rpclib: ${method}: a request has a type and a key` };
  const type = params.integer();
  const key = params.integer();
  if (key < int32Min || key > int32Max)
    return { kind: 'refused', message: `rpclib: ${method}: key ${key} is not an int32` };
  const value = members > 2 ? params.binary() : undefined;
  if (method === testbedMethod.read) {
    if (type === requestType.read) return { kind: 'get', key };
  } else if (type === requestType.delete) {
    return { kind: 'delete', key };
  } else if (type === requestType.put) {
    const bytes = value ?? new Uint8Array(0);
    return bytes.length > testbedValueBytesMax
      ? { kind: 'refused', message: testbedTooLarge(bytes.length) }
      : { kind: 'put', key, value: bytes };
  }
  return { kind: 'refused', message: `rpclib: ${method}: unknown request type ${type}` };
}

/** Our key for the testbed's. */
export function testbedKey(key: number): Buffer {
  assert(Number.isInteger(key) && key >= int32Min && key <= int32Max, 'a testbed key is an int32');
  return Buffer.from(String(key), 'latin1');
}

/** The result of a write or delete. */
export function writeTestbedSuccess(out: MessageWriter): void {
  out.text('Success');
}

/** The result of a read that found nothing. */
export function writeTestbedMissing(out: MessageWriter): void {
  out.text('');
}

/** The result of a read. REQUIRES: at most `testbedValueBytesMax` bytes; answer `testbedTooLarge` to longer ones. */
export function writeTestbedBlock(out: MessageWriter, key: number, value: Uint8Array): void {
  assert(value.length <= testbedValueBytesMax, 'a testbed value fits its block');
  const block = Buffer.alloc(blockBytes);
  block.writeInt32LE(key, 0);
  block.writeUInt32LE(value.length, 8);
  block.set(value, blockHeaderBytes);
  out.rawText(block);
}

/** The RPC error for a value that no block can hold. */
export function testbedTooLarge(length: number): string {
  return `rpclib: the value has ${length} bytes, the testbed's protocol carries at most ${testbedValueBytesMax}`;
}

/** The RPC error for a method that doesn't exist; rpclib's text. */
export function unknownFunction(method: string, argumentCount: number): string {
  return `rpclib: server could not find function '${method}' with argument count ${argumentCount}.`;
}

/** rpclib's text, in which the two numbers are swapped. */
function wrongArity(method: string, argumentCount: number): string {
  return `rpclib: client error C0002: Function '${method}' was called with an invalid number of arguments. Expected: ${argumentCount}, got: 1`;
}
