import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MessageReader } from '../../src/codec/message-reader.ts';
import { MessageScanner } from '../../src/codec/message-scanner.ts';
import type { MessageWriter } from '../../src/codec/message-writer.ts';
import {
  decodeTestbedRequest,
  type TestbedRequest,
  testbedKey,
  testbedMethod,
  testbedTooLarge,
  testbedValueBytesMax,
  unknownFunction,
  writeTestbedBlock,
  writeTestbedMissing,
  writeTestbedSuccess,
} from '../../src/codec/testbed-protocol.ts';
import { encoded, written } from '../support/messages.ts';

interface Vector {
  readonly name: string;
  readonly length?: number;
  readonly hex?: string | readonly (string | { readonly repeat: string; readonly times: number })[];
  readonly notes: string;
}

const vectors = JSON.parse(
  readFileSync(new URL('../fixtures/wire-vectors.json', import.meta.url), 'utf8'),
) as readonly Vector[];

function bytesOf(vector: Vector): Buffer {
  const parts = typeof vector.hex === 'string' ? [vector.hex] : (vector.hex ?? []);
  return Buffer.from(
    parts.map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times))).join(''),
    'hex',
  );
}

function vector(name: string): Buffer {
  const found = vectors.find((candidate) => candidate.name === name);
  assert.ok(found, name);
  return bytesOf(found);
}

interface Request {
  readonly id: number;
  readonly method: string;
  readonly request: TestbedRequest;
}

function requestOf(message: Buffer): Request {
  const reader = new MessageReader(message);
  assert.equal(reader.array(), 4);
  assert.equal(reader.integer(), 0);
  const id = reader.integer();
  const method = reader.text();
  if (method !== testbedMethod.write && method !== testbedMethod.read) {
    return { id, method, request: { kind: 'refused', message: unknownFunction(method, reader.array()) } };
  }
  return { id, method, request: decodeTestbedRequest(method, reader) };
}

function result(id: number, write: (out: MessageWriter) => void): Buffer {
  return written((out) => {
    out.array(4);
    out.integer(1);
    out.integer(id);
    out.nil();
    write(out);
  });
}

function refusal(name: string): Buffer {
  const { id, request } = requestOf(vector(name));
  assert.equal(request.kind, 'refused');
  return written((out) => {
    out.array(4);
    out.integer(1);
    out.integer(id);
    out.text(request.kind === 'refused' ? request.message : '');
    out.nil();
  });
}

test('every vector has the length it states and is one message', () => {
  const withBytes = vectors.filter((candidate) => candidate.hex !== undefined);
  assert.equal(withBytes.length, 46);
  for (const candidate of withBytes) {
    const message = bytesOf(candidate);
    assert.equal(message.length, candidate.length, candidate.name);
    const scanner = new MessageScanner({ frameBytesMax: 10_000, frameItemsMax: 100 });
    for (const byte of message.subarray(0, -1)) {
      scanner.push(Buffer.from([byte]));
      assert.equal(scanner.next(), false, candidate.name);
    }
    scanner.push(message.subarray(-1));
    assert.ok(scanner.next(), candidate.name);
    assert.deepEqual(scanner.bytes, message, candidate.name);
  }
});

test('a put, with its key in every width and its value in every width', () => {
  const puts = vectors.filter((candidate) => candidate.name.startsWith('put.request'));
  assert.equal(puts.length, 23);
  for (const candidate of puts) {
    const { id, request } = requestOf(bytesOf(candidate));
    const key = /key_(-?\d+)$/.exec(candidate.name)?.[1];
    const valueLength = /value_(\d+)_bytes$/.exec(candidate.name)?.[1];
    assert.equal(id, 1);
    assert.equal(request.kind, 'put', candidate.name);
    if (request.kind !== 'put') continue;
    if (key !== undefined) assert.equal(request.key, Number(key));
    if (valueLength !== undefined)
      assert.equal(Buffer.from(request.value).toString('latin1'), 'x'.repeat(Number(valueLength)));
  }
  const { request } = requestOf(vector('put.request'));
  assert.deepEqual(request.kind === 'put' && [request.key, Buffer.from(request.value).toString()], [12345, 'hello']);
});

test('a get and a delete', () => {
  assert.deepEqual(requestOf(vector('get.request')).request, { kind: 'get', key: 12345 });
  assert.deepEqual(requestOf(vector('del.request')).request, { kind: 'delete', key: 12345 });
});

test('the answers, byte for byte', () => {
  assert.deepEqual(result(1, writeTestbedSuccess), vector('put.response'));
  assert.deepEqual(result(1, writeTestbedSuccess), vector('del.response'));
  assert.deepEqual(result(9, writeTestbedSuccess), vector('accepted.bin_value.response'));
  assert.deepEqual(result(10, writeTestbedSuccess), vector('accepted.short_array.response'));
  assert.deepEqual(result(1, writeTestbedMissing), vector('get.response.missing'));
  assert.deepEqual(
    result(1, (out) => writeTestbedBlock(out, 12345, Buffer.from('hello'))),
    vector('get.response.found'),
  );
  assert.deepEqual(
    result(1, (out) => writeTestbedBlock(out, 1, Buffer.from('x'.repeat(4079)))),
    vector('get.response.value_4079_bytes'),
  );
  assert.deepEqual(
    result(1, (out) => writeTestbedBlock(out, 12345, Buffer.alloc(0))),
    vector('get.response.after_del'),
  );
});

test('the errors of rpclib, byte for byte', () => {
  assert.deepEqual(refusal('error.unknown_function.request'), vector('error.unknown_function.response'));
  assert.deepEqual(refusal('error.wrong_arity.request'), vector('error.wrong_arity.response'));
});

test('a bin is taken for a str, a missing value for the empty one, further members are ignored', () => {
  const bin = requestOf(vector('accepted.bin_value.request')).request;
  assert.deepEqual(bin.kind === 'put' && Buffer.from(bin.value).toString(), 'abc');
  const short = requestOf(vector('accepted.short_array.request')).request;
  assert.deepEqual(short.kind === 'put' && short.value.length, 0);
  const long = decodeTestbedRequest('HandleWrite', new MessageReader(encoded([[2, 1, 'a', 'more', [5]]])));
  assert.equal(long.kind, 'put');
});

test('a value of 4,080 bytes is carried, one more is an error', () => {
  const put = (length: number): TestbedRequest =>
    decodeTestbedRequest('HandleWrite', new MessageReader(encoded([[2, 1, Buffer.alloc(length)]])));
  assert.equal(put(testbedValueBytesMax).kind, 'put');
  assert.deepEqual(put(testbedValueBytesMax + 1), { kind: 'refused', message: testbedTooLarge(4081) });
  const block = written((out) => writeTestbedBlock(out, -2, Buffer.alloc(4080, 9)));
  assert.equal(block.length, 3 + 4096);
  assert.equal(block.readInt32LE(3), -2);
  assert.equal(block.at(-1), 9);
});

test('wrong types are refused with a text', () => {
  const wrong: unknown[] = [
    [],
    [1],
    [[]],
    [[2]],
    [[2, 'k', 'v']],
    [[2, 2 ** 31, 'v']],
    [[2, -(2 ** 31) - 1, 'v']],
    [[2, 1.5, 'v']],
    [[2, null, 'v']],
    [['2', 1, 'v']],
    [[2, 1, 7]],
    [[2, 1, null]],
    [[2, 1, ['v']]],
    [{ a: 1 }],
    [[1, 1, '']],
    [[4, 1, 'v']],
    [[0, 1, 'v']],
    [null],
    ['x'],
    [[2, 1, 'v'], 1],
    null,
    5,
    { a: 1 },
  ];
  for (const params of wrong) {
    const request = decodeTestbedRequest('HandleWrite', new MessageReader(encoded(params)));
    assert.equal(request.kind, 'refused', JSON.stringify(params));
    assert.ok(request.kind === 'refused' && request.message.startsWith('rpclib: '));
  }
  assert.equal(decodeTestbedRequest('HandleRead', new MessageReader(encoded([[2, 1, '']]))).kind, 'refused');
});

test('the key of an integer is its decimal digits', () => {
  assert.deepEqual(
    [0, 7, -12, 2147483647, -2147483648].map((key) => testbedKey(key).toString()),
    ['0', '7', '-12', '2147483647', '-2147483648'],
  );
  assert.throws(() => testbedKey(2 ** 31));
});
