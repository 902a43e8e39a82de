import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageFormatError, MessageReader } from '../../src/codec/message-reader.ts';
import { MessageScanner } from '../../src/codec/message-scanner.ts';
import { encoded, plainData, runs } from '../support/messages.ts';

const wide = { frameBytesMax: 1 << 24, frameItemsMax: 1 << 20 };

function scan(scanner: MessageScanner, pieces: readonly Buffer[]): Buffer[] {
  const found: Buffer[] = [];
  for (const piece of pieces) {
    scanner.push(piece);
    while (scanner.next()) found.push(Buffer.from(scanner.bytes.subarray(scanner.start, scanner.end)));
  }
  return found;
}

/** Neighbours in memory, as a slab's reads are. */
function pieces(stream: Buffer, length: number): Buffer[] {
  return Array.from({ length: Math.ceil(stream.length / length) }, (_, index) =>
    stream.subarray(index * length, (index + 1) * length),
  );
}

/** The same bytes, each piece in memory of its own. */
function apart(cut: readonly Buffer[]): Buffer[] {
  return cut.map((piece) => Buffer.from(new Uint8Array(piece).buffer));
}

test('messages are found however the stream is cut', () => {
  const property = fc.property(
    fc.array(plainData, { minLength: 1, maxLength: 10 }),
    fc.array(fc.nat(), { maxLength: 20 }),
    (values, cuts) => {
      const messages = values.map(encoded);
      const stream = Buffer.concat(messages);
      const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
      const cut = [0, ...places].map((place, index) => stream.subarray(place, places[index] ?? stream.length));
      for (const way of [cut, apart(cut), pieces(stream, 1), apart(pieces(stream, 1))])
        assert.deepEqual(scan(new MessageScanner(wide), way), messages);
    },
  );
  fc.assert(property, runs);
});

test('all types end where they end, whole and byte by byte', () => {
  const types = [
    'c0',
    'c2',
    'c3',
    '00',
    '7f',
    'e0',
    'ff',
    'cc01',
    'cd0102',
    'ce01020304',
    'cf0102030405060708',
    'd001',
    'd10102',
    'd201020304',
    'd30102030405060708',
    'ca01020304',
    'cb0102030405060708',
    'a0',
    'a3c1c1c1',
    'd902c1c1',
    'da0002c1c1',
    'db00000002c1c1',
    'c402c1c1',
    'c50002c1c1',
    'c600000002c1c1',
    'd401c1',
    'd501c1c1',
    'd601c1c1c1c1',
    'd701c1c1c1c1c1c1c1c1',
    `d801${'c1'.repeat(16)}`,
    'c70201c1c1',
    'c7 00 01',
    'c8000201c1c1',
    'c90000000201c1c1',
    '90',
    '9201a1c1',
    'dc00020102',
    'dd000000020102',
    '80',
    '8101a0',
    'de00010102',
    'df000000010102',
    'c400',
    'd900',
    'dc0000',
  ].map((hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex'));
  const stream = Buffer.concat(types);
  assert.deepEqual(scan(new MessageScanner(wide), [stream]), types);
  assert.deepEqual(scan(new MessageScanner(wide), pieces(stream, 1)), types);
  for (const message of types) {
    const read = new MessageReader(message);
    read.skip();
    assert.ok(read.atEnd, message.toString('hex'));
  }
});

test('a message within one piece is not copied', () => {
  const piece = Buffer.concat([encoded([1, 2]), encoded('abc'), encoded([3])]);
  const scanner = new MessageScanner(wide);
  scanner.push(piece);
  for (const [start, end] of [
    [0, 3],
    [3, 7],
    [7, 9],
  ]) {
    assert.ok(scanner.next());
    assert.equal(scanner.bytes, piece);
    assert.deepEqual([scanner.start, scanner.end], [start, end]);
  }
  assert.equal(scanner.next(), false);
  assert.equal(scanner.unfinishedBytes, 0);
});

test('a long value in pieces of any size is joined to the same bytes', () => {
  const value = Buffer.alloc(1 << 20);
  for (let index = 0; index < value.length; index++) value[index] = index * 31 + (index >> 8);
  const message = encoded([value, 'end']);
  for (const size of [1, 7, 4095, 4096, 5000, 65_536, message.length]) {
    for (const way of [pieces(message, size), apart(pieces(message, size))]) {
      const found = scan(new MessageScanner(wide), way);
      assert.equal(found.length, 1);
      assert.ok(found[0]?.equals(message), `pieces of ${size}`);
    }
  }
});

test('large and small pieces in turn keep their order', () => {
  const message = encoded(Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251)));
  const cut: Buffer[] = [];
  for (let at = 0, index = 0; at < message.length; index++) {
    const length = [1, 5000, 3, 4096, 4095][index % 5] ?? 1;
    cut.push(message.subarray(at, at + length));
    at += length;
  }
  assert.ok(scan(new MessageScanner(wide), cut)[0]?.equals(message));
  assert.ok(scan(new MessageScanner(wide), apart(cut))[0]?.equals(message));
  // Two neighbours, a stranger, two neighbours, and so on.
  const mixed = cut.map((piece, index) => (index % 3 === 2 ? Buffer.from(piece) : piece));
  assert.ok(scan(new MessageScanner(wide), mixed)[0]?.equals(message));
});

test('a very long message is copied to its place as it arrives, wherever its binaries end', () => {
  const MIB = 1024 * 1024;
  const binary = (length: number): Buffer => Buffer.alloc(length, length % 251);
  for (const lengths of [[3 * MIB], [2 * MIB, 10, 3 * MIB, 100], [10, 4 * MIB + 1, 1.5 * MIB, 1.5 * MIB]]) {
    const messages = [encoded([1, ...lengths.map(binary), 'end']), encoded('next'), encoded([binary(2 * MIB)])];
    for (const length of [100_000, 128 * 1024, 999]) {
      const found = scan(new MessageScanner(wide), apart(pieces(Buffer.concat(messages), length)));
      assert.ok(found.length === messages.length && found.every((one, at) => one.equals(messages[at] ?? one)));
    }
  }
});

test('memory for bytes that have not come is reserved only when a MiB has', () => {
  const scanner = new MessageScanner(wide);
  const message = encoded([Buffer.alloc(12 * 1024 * 1024)]);
  const cut = apart(pieces(message, 64 * 1024));
  const reserved = (): number => process.memoryUsage().arrayBuffers;
  const before = reserved();
  scan(scanner, cut.slice(0, 15));
  assert.ok(reserved() - before < 1024 * 1024);
  assert.ok(scan(scanner, cut.slice(15)).at(0)?.equals(message));
});

test('a message whose pieces are neighbours in memory is not copied', () => {
  const slab = Buffer.concat([encoded(Buffer.alloc(10_000, 1)), encoded('next'), encoded([1])]);
  const scanner = new MessageScanner(wide);
  scanner.push(slab.subarray(0, 6000));
  assert.equal(scanner.next(), false);
  assert.equal(scanner.unfinishedBytes, 6000);
  scanner.push(slab.subarray(6000, 10_005));
  assert.ok(scanner.next());
  assert.equal(scanner.bytes.buffer, slab.buffer);
  assert.ok(scanner.bytes.subarray(scanner.start, scanner.end).equals(slab.subarray(0, 10_003)));
  assert.equal(scanner.next(), false);
  assert.deepEqual([scanner.unfinishedBytes, scanner.head()], [2, slab.subarray(10_003, 10_005)]);
  scanner.push(slab.subarray(10_005));
  assert.ok(scanner.next());
  assert.equal(scanner.bytes.subarray(scanner.start, scanner.end).toString('hex'), encoded('next').toString('hex'));
  assert.ok(scanner.next());
  assert.equal(scanner.unfinishedBytes, 0);
});

/** Bytes that an unfinished message holds per byte received must stay in proportion. */
test('single bytes are copied together instead of being kept one by one', () => {
  const message = encoded(Buffer.alloc(200_000));
  const scanner = new MessageScanner(wide);
  const source = pieces(message, 1).map((piece) => Buffer.from(piece));
  for (const piece of source.slice(0, -1)) {
    scanner.push(piece);
    assert.equal(scanner.next(), false);
  }
  assert.equal(scanner.unfinishedBytes, message.length - 1);
  // What was pushed before the last piece may be overwritten: it was copied.
  for (const piece of source.slice(0, -2)) piece.fill(0xc1);
  scanner.push(Buffer.from([0]));
  assert.ok(scanner.next());
  assert.ok(scanner.bytes.equals(message));
});

test('a limit strikes at the header, before the bytes come', () => {
  const limits = { frameBytesMax: 100, frameItemsMax: 10 };
  const refused = (hex: string, expected: RegExp): void => {
    const stream = Buffer.from(hex, 'hex');
    for (const size of [1, stream.length])
      assert.throws(() => scan(new MessageScanner(limits), pieces(stream, size)), expected, hex);
  };
  refused('c600ffffff', /more than 100 bytes/);
  refused('dbffffffff', /more than 100 bytes/);
  refused('c9ffffffff', /more than 100 bytes/);
  refused('ddffffffff', /more than 10 objects/);
  refused('dfffffffff', /more than 10 objects/);
  refused('dc000a', /more than 10 objects/);
  refused(`91c462${'00'.repeat(97)}`, /more than 100 bytes/);
  assert.equal(scan(new MessageScanner(limits), [Buffer.from(`c462${'00'.repeat(98)}`, 'hex')]).length, 1);
  assert.equal(scan(new MessageScanner(limits), [Buffer.from('99000000000000000000', 'hex')]).length, 1);
});

test('byte c1 is an error where a type is expected', () => {
  assert.throws(() => scan(new MessageScanner(wide), [Buffer.from('9201c1', 'hex')]), {
    name: 'MessageFormatError',
    position: 2,
  });
});

test('any bytes are found to be messages, to be unfinished, or refused', () => {
  const property = fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 50 }), (bytes, size) => {
    const stream = Buffer.from(bytes);
    const scanner = new MessageScanner({ frameBytesMax: 1000, frameItemsMax: 100 });
    try {
      const found = scan(scanner, pieces(stream, size));
      for (const message of found) {
        const read = new MessageReader(message);
        read.skip();
        assert.ok(read.atEnd);
      }
      assert.equal(found.reduce((sum, message) => sum + message.length, 0) + scanner.unfinishedBytes, stream.length);
    } catch (error) {
      assert.ok(error instanceof MessageFormatError, String(error));
    }
  });
  fc.assert(property, { ...runs, numRuns: 3000 });
});
