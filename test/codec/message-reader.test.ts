import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { MessageFormatError, MessageReader } from '../../src/codec/message-reader.ts';
import { borderIntegers, encoded, normal, plainData, runs } from '../support/messages.ts';

function reader(...bytes: number[]): MessageReader {
  return new MessageReader(Buffer.from(bytes));
}

test('what the library writes is read as plain data', () => {
  fc.assert(
    fc.property(plainData, (value) => {
      const message = new MessageReader(Buffer.from(encode(value)));
      assert.deepEqual(normal(message.value()), normal(value));
      assert.ok(message.atEnd);
    }),
    runs,
  );
});

test('skip passes exactly one object', () => {
  fc.assert(
    fc.property(plainData, plainData, (first, second) => {
      const message = new MessageReader(Buffer.concat([encode(first), encode(second)]));
      message.skip();
      assert.deepEqual(normal(message.value()), normal(second));
      assert.ok(message.atEnd);
    }),
    runs,
  );
});

test('integers of all widths are read, also in forms longer than needed', () => {
  for (const value of borderIntegers) assert.equal(new MessageReader(encoded(value)).integer(), value);
  assert.equal(reader(0xcf, 0, 0, 0, 0, 0, 0, 0, 5).integer(), 5);
  assert.equal(reader(0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff).integer(), -1);
  assert.equal(reader(0xd0, 0x80).integer(), -128);
  assert.equal(reader(0xd1, 0x80, 0).integer(), -32768);
  assert.equal(reader(0xce, 0xff, 0xff, 0xff, 0xff).integer(), 2 ** 32 - 1);
});

test('an integer beyond 2^53 is refused', () => {
  assert.throws(() => reader(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0).integer(), { name: 'MessageFormatError', position: 0 });
  assert.throws(
    () =>
      reader(0xc0, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255).skip() ??
      reader(0xcf, 255, 255, 255, 255, 255, 255, 255, 255).value(),
    MessageFormatError,
  );
});

test('float reads both widths and integers', () => {
  assert.equal(reader(0xca, 0x3f, 0xc0, 0, 0).float(), 1.5);
  assert.equal(new MessageReader(Buffer.from(encode(1.25))).float(), 1.25);
  assert.equal(reader(7).float(), 7);
});

test('strings of raw bytes are read as ranges and views, but not as text', () => {
  const message = Buffer.from([0xa3, 0xff, 0xfe, 0x41]);
  assert.deepEqual(normal(new MessageReader(message).binary()), new Uint8Array([0xff, 0xfe, 0x41]));
  const ranged = new MessageReader(message);
  ranged.range();
  assert.deepEqual([ranged.rangeStart, ranged.rangeLength], [1, 3]);
  assert.throws(() => new MessageReader(message).text(), { name: 'MessageFormatError', position: 1 });
  assert.equal(new MessageReader(encoded('\ufffd')).text(), '\ufffd');
});

test('a type that is not asked for is named with its position', () => {
  assert.throws(() => reader(0xc0).array(), {
    name: 'MessageFormatError',
    position: 0,
    message: /expected an array, found type 0xc0 at byte 0/,
  });
  assert.throws(() => reader(0x01).map(), MessageFormatError);
  assert.throws(() => reader(0x01).boolean(), MessageFormatError);
  assert.throws(() => reader(0xa0).integer(), MessageFormatError);
  assert.throws(() => reader(0xc4, 0).text(), MessageFormatError);
  assert.throws(() => reader(0x90).binary(), MessageFormatError);
  assert.throws(() => reader(0xd4, 1, 2).value(), MessageFormatError);
  assert.throws(() => reader(0xc1).skip(), MessageFormatError);
});

test('tryNil consumes only a nil', () => {
  const message = reader(0xc0, 0x01);
  assert.equal(message.tryNil(), true);
  assert.equal(message.tryNil(), false);
  assert.equal(message.integer(), 1);
  assert.equal(message.tryNil(), false);
});

test('no read passes the end of the message, whatever lies behind it', () => {
  const whole = Buffer.from([0x92, 0xcd, 1, 2, 0xa4, 65, 66, 67, 68]);
  for (let end = 0; end < whole.length; end++) {
    const message = new MessageReader(whole, 0, end);
    assert.throws(() => message.value(), MessageFormatError, `end ${end}`);
    assert.ok(message.position <= whole.length);
  }
});

test('a hostile count is refused before anything is allocated', () => {
  for (const type of [0xdd, 0xdf]) {
    assert.throws(() => reader(type, 0xff, 0xff, 0xff, 0xff).value(), /count exceeds/);
    assert.throws(() => reader(type, 0xff, 0xff, 0xff, 0xff, 0, 0).skip(), /count exceeds/);
  }
  for (const type of [0xc6, 0xdb])
    assert.throws(() => reader(type, 0xff, 0xff, 0xff, 0xff, 0).value(), /ends too early/);
});

test('value follows nesting to a limit, skip to any depth', () => {
  const deep = Buffer.alloc(200_000, 0x91);
  deep[deep.length - 1] = 0xc0;
  assert.throws(() => new MessageReader(deep).value(), /nesting deeper than 64/);
  const message = new MessageReader(deep);
  message.skip();
  assert.ok(message.atEnd);
});

test('keys of maps are strings or integers, and never __proto__', () => {
  assert.deepEqual(reader(0x81, 5, 6).value(), { 5: 6 });
  assert.throws(() => reader(0x81, 0xc4, 1, 65, 1).value(), MessageFormatError);
  assert.throws(() => reader(0x81, 0x91, 1, 1).value(), MessageFormatError);
  assert.throws(
    () => new MessageReader(Buffer.concat([Buffer.from([0x81]), encode('__proto__'), encode(1)])).value(),
    MessageFormatError,
  );
});

test('mutated messages are read or refused, never anything else', () => {
  const property = fc.property(
    plainData,
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    (value, changes) => {
      const bytes = encoded(value);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      for (const read of ['value', 'skip'] as const) {
        try {
          new MessageReader(bytes)[read]();
        } catch (error) {
          assert.ok(error instanceof MessageFormatError, String(error));
        }
      }
    },
  );
  fc.assert(property, { ...runs, numRuns: 3000 });
});
