import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { clientId, requestNumber, version } from '../../src/base/ids.ts';
import type { FoundLength, FoundValue, ReadTarget, WriteTarget, WriteTerms } from '../../src/codec/client-requests.ts';
import * as requests from '../../src/codec/client-requests.ts';
import { readError, writeError } from '../../src/codec/client-protocol.ts';
import { MessageFormatError, MessageReader } from '../../src/codec/message-reader.ts';
import type { MessageWriter } from '../../src/codec/message-writer.ts';
import { encoded, normal, oracle, written } from '../support/messages.ts';

const noBytes = new Uint8Array(0);
const huge = Number.MAX_SAFE_INTEGER;
const largest = 2 ** 48 - 1;
const terms: WriteTerms = { condition: huge, client: largest, number: largest, firstIncomplete: largest - 5 };

function writeTarget(): WriteTarget {
  return {
    source: noBytes,
    keyStart: 0,
    keyLength: 0,
    valueStart: 0,
    wantedLength: 0,
    condition: requests.condition.none,
    client: clientId(0),
    number: requestNumber(0),
    firstIncomplete: requestNumber(0),
  };
}

function readTarget(): ReadTarget {
  return { source: noBytes, keyStart: 0, keyLength: 0, stale: false };
}

function text(source: Uint8Array, start: number, length: number): string {
  return Buffer.from(source.subarray(start, start + length)).toString();
}

/** What a put or delete was read as, key and value as text. */
function writeRead(reader: MessageReader, read: (params: MessageReader, into: WriteTarget) => void): unknown {
  const into = writeTarget();
  read(reader, into);
  const { condition, client, number, firstIncomplete } = into;
  return {
    key: text(into.source, into.keyStart, into.keyLength),
    value: text(into.source, into.valueStart, into.wantedLength),
    terms: { condition, client, number, firstIncomplete },
  };
}

function keyRead(reader: MessageReader, read: (params: MessageReader, into: ReadTarget) => void): unknown {
  const into = readTarget();
  read(reader, into);
  return { key: text(into.source, into.keyStart, into.keyLength), stale: into.stale };
}

function valueRead(reader: MessageReader): unknown {
  const into: FoundValue = { version: version(0), expiresAt: 0, value: undefined };
  const isThere = requests.readGetAnswer(reader, into);
  return { isThere, ...into, value: into.value === undefined ? undefined : Buffer.from(into.value).toString() };
}

function lengthRead(reader: MessageReader): unknown {
  const into: FoundLength = { version: version(0), expiresAt: 0, valueLength: 0 };
  return { isThere: requests.readHasAnswer(reader, into), ...into };
}

function deleteRead(reader: MessageReader): unknown {
  const into = { existed: false, version: version(0) };
  requests.readDeleteAnswer(reader, into);
  return into;
}

interface Form {
  readonly name: string;
  readonly bytes: Buffer;
  readonly read: (reader: MessageReader) => unknown;
  readonly value: unknown;
  /** What another decoder makes of the bytes. */
  readonly plain: unknown;
}

function form(
  name: string,
  write: (out: MessageWriter) => void,
  read: (reader: MessageReader) => unknown,
  value: unknown,
  plain: unknown,
): Form {
  return { name, bytes: written(write), read, value, plain };
}

const key = Buffer.from('key');
const value = Buffer.from('the value');
/** Key and value as they lie in a gateway's memory. */
const source = Buffer.from('..key.the value...');
const identity = [terms.client, terms.number, terms.firstIncomplete];
const writtenTerms = { key: 'key', value: 'the value', terms };

const forms: readonly Form[] = [
  form(
    'put',
    (out) => requests.writePut(out, terms, key, value),
    (reader) => writeRead(reader, requests.readPut),
    writtenTerms,
    [key, value, huge, 0, ...identity],
  ),
  form(
    'put of ranges',
    (out) => requests.writePut(out, terms, source, source, 2, 5, 6, 15),
    (reader) => writeRead(reader, requests.readPut),
    writtenTerms,
    [key, value, huge, 0, ...identity],
  ),
  form(
    'delete',
    (out) => requests.writeDelete(out, terms, key),
    (reader) => writeRead(reader, requests.readDelete),
    { ...writtenTerms, value: '' },
    [key, huge, ...identity],
  ),
  form(
    'delete of a range, not numbered',
    (out) => requests.writeDelete(out, { condition: -1, client: 0, number: 0, firstIncomplete: 0 }, source, 2, 5),
    (reader) => writeRead(reader, requests.readDelete),
    { key: 'key', value: '', terms: { condition: -1, client: 0, number: 0, firstIncomplete: 0 } },
    [key, -1, 0, 0, 0],
  ),
  form(
    'get',
    (out) => requests.writeGet(out, false, key),
    (reader) => keyRead(reader, requests.readGet),
    { key: 'key', stale: false },
    [key, 0],
  ),
  form(
    'stale get of a range',
    (out) => requests.writeGet(out, true, source, 2, 5),
    (reader) => keyRead(reader, requests.readGet),
    { key: 'key', stale: true },
    [key, 1],
  ),
  form(
    'has',
    (out) => requests.writeHas(out, source, 2, 5),
    (reader) => keyRead(reader, requests.readHas),
    { key: 'key', stale: false },
    [key],
  ),
  form(
    'answer to put',
    (out) => requests.writePutAnswer(out, version(huge)),
    (reader) => requests.readPutAnswer(reader),
    huge,
    huge,
  ),
  form(
    'answer to delete',
    (out) => requests.writeDeleteAnswer(out, true, version(huge)),
    deleteRead,
    { existed: true, version: huge },
    [true, huge],
  ),
  form(
    'answer to get',
    (out) => requests.writeGetAnswer(out, version(huge), 9, value),
    valueRead,
    { isThere: true, version: huge, expiresAt: 9, value: 'the value' },
    [huge, 9, value],
  ),
  form(
    'answer to has',
    (out) => requests.writeHasAnswer(out, version(300), 0, 2 ** 33),
    lengthRead,
    { isThere: true, version: 300, expiresAt: 0, valueLength: 2 ** 33 },
    [300, 0, 2 ** 33],
  ),
  form(
    'answer to get: absent',
    requests.writeAbsent,
    valueRead,
    { isThere: false, version: 0, expiresAt: 0, value: undefined },
    null,
  ),
  form(
    'answer to has: absent',
    requests.writeAbsent,
    lengthRead,
    { isThere: false, version: 0, expiresAt: 0, valueLength: 0 },
    null,
  ),
];

describe('the requests of clients', () => {
  for (const { name, bytes, read, value: expected, plain } of forms) {
    test(`${name}: what is written is read, to its end, and is what the grammar says`, () => {
      const reader = new MessageReader(bytes);
      assert.deepEqual(read(reader), expected);
      assert.ok(reader.atEnd);
      assert.deepEqual(normal(oracle(bytes)), normal(plain));
    });

    test(`${name}: it is read where it lies, and nothing behind it`, () => {
      const padded = Buffer.concat([Buffer.from([0x93, 0x01]), bytes, Buffer.from([0xc0, 0xc1])]);
      const reader = new MessageReader(padded, 2, 2 + bytes.length);
      assert.deepEqual(read(reader), expected);
      assert.ok(reader.atEnd);
    });

    test(`${name}: cut at any byte it is a MessageFormatError`, () => {
      for (let length = 0; length < bytes.length; length += 1)
        assert.throws(() => read(new MessageReader(bytes.subarray(0, length))), MessageFormatError);
    });

    test(`${name}: mutated it is a MessageFormatError or a value, never another exception`, () => {
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, noise) => {
          const changed = Buffer.from(bytes);
          changed.set(noise.subarray(0, changed.length - at), at);
          try {
            read(new MessageReader(changed));
          } catch (error) {
            if (!(error instanceof MessageFormatError)) throw error;
          }
        }),
        { seed: 1, numRuns: 500 },
      );
    });
  }

  test('members that a later version adds are ignored', () => {
    const put = encoded([key, value, -1, 0, 1, 2, 2, 'more', [1]]);
    assert.deepEqual(writeRead(new MessageReader(put), requests.readPut), {
      ...writtenTerms,
      terms: { condition: -1, client: 1, number: 2, firstIncomplete: 2 },
    });
    assert.deepEqual(lengthRead(new MessageReader(encoded([300, 0, 7, 'more']))), {
      isThere: true,
      version: 300,
      expiresAt: 0,
      valueLength: 7,
    });
  });

  test('a str is taken for a bin, as rpclib and other libraries send it', () => {
    assert.deepEqual(keyRead(new MessageReader(encoded(['key', 1])), requests.readGet), { key: 'key', stale: true });
  });

  test('what no version of the protocol says is malformed, and the complaint says why', () => {
    const write = (params: readonly unknown[]): (() => unknown) => {
      const reader = new MessageReader(encoded(params));
      return () => writeRead(reader, params.length === 5 ? requests.readDelete : requests.readPut);
    };
    const complaint = (message: RegExp): object => ({ name: 'MessageFormatError', message });
    assert.throws(write([key, value, -1, 0, 1, 1]), complaint(/put has 6 members, not 7/));
    assert.throws(write([key, value, -2, 0, 1, 1, 1]), complaint(/condition -2: -1 none, 0 absent/));
    assert.throws(write([key, value, -1, 5, 1, 1, 1]), complaint(/expiry is not supported/));
    assert.throws(write([key, value, -1, 0, -1, 1, 1]), complaint(/client -1, .* none is negative/));
    assert.throws(write([key, value, -1, 0, largest + 1, 1, 1]), complaint(/at most 2\^48 - 1/));
    assert.throws(write([key, value, -1, 0, 1, largest + 1, largest + 1]), complaint(/at most 2\^48 - 1/));
    assert.throws(write([key, value, -1, 0, 0, 0, huge]), complaint(/at most 2\^48 - 1/));
    for (const [number, first] of [
      [1, 0],
      [1, 2],
      [0, 0],
    ])
      assert.throws(write([key, -1, 7, number, first]), complaint(/1 <= first <= number/), 'S15');
    assert.throws(write([key, -1, 0, -1, 1]), complaint(/request number -1, .* none is negative/));
    assert.throws(
      () => keyRead(new MessageReader(encoded([key, 2])), requests.readGet),
      complaint(/read mode 2: 0 linearizable, 1 stale/),
    );
    for (const found of [
      [-1, 0, value],
      [1, -1, value],
    ])
      assert.throws(() => valueRead(new MessageReader(encoded(found))), complaint(/out of range/));
    assert.throws(() => lengthRead(new MessageReader(encoded([1, 0, -1]))), complaint(/value length is out of range/));
  });
});

describe('the error form', () => {
  const read = (error: unknown) => readError(new MessageReader(encoded(error)));

  test('what is written is read', () => {
    const error = readError(
      new MessageReader(written((out) => writeError(out, 'condition-failed', 'why', 'not-applied', 7))),
    );
    assert.deepEqual(
      [error.code, error.message, error.outcome, error.currentVersion],
      ['condition-failed', 'why', 'not-applied', 7],
    );
  });

  test('another form leaves the outcome open, and a version that is none is not given on', () => {
    for (const error of ['text', [1, 2], ['no-such-code', 'm', 'not-applied', 0], null])
      assert.deepEqual([read(error).code, read(error).outcome], ['protocol-error', 'unknown']);
    for (const detail of [-1, 1.5, 'x', null])
      assert.equal(read(['condition-failed', 'm', 'not-applied', detail]).currentVersion, undefined);
  });
});
