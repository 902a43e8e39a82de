import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { AssertionFailure } from '../../src/base/assert.ts';
import { MessageWriter, referenceBytesMin } from '../../src/codec/message-writer.ts';
import { borderIntegers, encoded, normal, oracle, plainData, runs, written } from '../support/messages.ts';

test('plain data is written as the library reads it', () => {
  fc.assert(
    fc.property(plainData, (value) => assert.deepEqual(normal(oracle(encoded(value))), normal(value))),
    runs,
  );
});

test('integers take the shortest form, as the library writes them', () => {
  for (const value of borderIntegers) assert.deepEqual(encoded(value), Buffer.from(encode(value)), String(value));
});

test('all widths of str, bin, array and map are written as the library writes them', () => {
  for (const length of [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536, 70_000]) {
    const text = 'x'.repeat(length);
    assert.deepEqual(encoded(text), Buffer.from(encode(text)), `str ${length}`);
    const bytes = Buffer.alloc(length, 7);
    assert.deepEqual(encoded(bytes), Buffer.from(encode(bytes)), `bin ${length}`);
    const array = new Array<number>(length).fill(1);
    assert.deepEqual(encoded(array), Buffer.from(encode(array, { maxDepth: 10 })), `array ${length}`);
    const map = Object.fromEntries(array.map((_, index) => [`k${index}`, index]));
    assert.deepEqual(encoded(map), Buffer.from(encode(map)), `map ${length}`);
  }
});

test('text beyond ASCII has the length of its UTF-8', () => {
  for (const text of ['ä', '€uro', '😀', 'a'.repeat(30) + 'ä', 'ä'.repeat(200)])
    assert.deepEqual(encoded(text), Buffer.from(encode(text)), text);
});

test('rawText writes bytes that are no UTF-8 as str', () => {
  for (const length of [0, 1, 31, 32, 255, 256, 4096, 65_536]) {
    const bytes = Buffer.alloc(length, 0xff);
    const message = written((out) => out.rawText(bytes));
    assert.deepEqual(Buffer.from(decode(message, { rawStrings: true }) as Uint8Array), bytes);
    assert.ok(message[0] !== 0xc4 && message[0] !== 0xc5 && message[0] !== 0xc6);
  }
});

test('binary takes a range', () => {
  const bytes = Buffer.from('0123456789');
  assert.deepEqual(normal(oracle(written((out) => out.binary(bytes, 2, 5)))), new Uint8Array(Buffer.from('234')));
  assert.throws(() => written((out) => out.binary(bytes, 5, 11)));
});

test('a long binary goes out by reference, a short one as a copy', () => {
  const long = Buffer.alloc(referenceBytesMin, 1);
  const short = Buffer.alloc(referenceBytesMin - 1, 2);
  const out = new MessageWriter();
  out.array(2);
  out.binary(long);
  out.binary(short);
  assert.equal(out.length, 1 + 3 + long.length + 3 + short.length);
  const chunks = out.take();
  assert.equal(chunks[1]?.buffer, long.buffer);
  assert.ok(chunks.every((chunk) => chunk.buffer !== short.buffer));
  assert.deepEqual(normal(oracle(Buffer.concat(chunks))), [new Uint8Array(long), new Uint8Array(short)]);
});

test('chunks that were taken are never written into again', () => {
  const out = new MessageWriter();
  const taken: Uint8Array[] = [];
  const copies: Buffer[] = [];
  for (let message = 0; message < 500; message++) {
    out.value([message, 'x'.repeat(message), Buffer.alloc(message, message)]);
    const chunks = out.take();
    taken.push(...chunks);
    copies.push(...chunks.map((chunk) => Buffer.from(chunk)));
    assert.equal(out.length, 0);
  }
  assert.deepEqual(
    taken.map((chunk) => Buffer.from(chunk)),
    copies,
  );
});

test('reuse writes into the same memory again', () => {
  const out = new MessageWriter();
  out.value(['first', 1]);
  const [first] = out.take();
  out.reuse();
  assert.equal(out.length, 0);
  out.value(['second', Buffer.alloc(referenceBytesMin)]);
  assert.throws(() => out.reuse(), AssertionFailure);
  const chunks = out.take();
  assert.deepEqual(normal(oracle(Buffer.concat(chunks))), ['second', new Uint8Array(referenceBytesMin)]);
  assert.ok(first !== undefined && chunks[0]?.buffer === first.buffer && chunks[0].byteOffset === first.byteOffset);
});

test('rewind forgets what was written since mark, across slabs and references', () => {
  const long = Buffer.alloc(referenceBytesMin, 1);
  for (const before of [0, 10, 1000, 5000]) {
    const out = new MessageWriter();
    out.text('y'.repeat(before));
    const start = out.length;
    out.mark(1);
    out.value([long, 'z'.repeat(3000), long]);
    assert.equal(out.objectsOwed, -1);
    assert.equal(out.lengthSinceMark, out.length - start);
    out.rewind();
    assert.equal(out.length, start);
    out.value('after');
    assert.deepEqual(Buffer.concat(out.take()), Buffer.concat([encode('y'.repeat(before)), encode('after')]));
  }
});

test('the writer counts the objects owed', () => {
  const out = new MessageWriter();
  out.mark(1);
  out.array(2);
  assert.equal(out.objectsOwed, 2);
  out.map(1);
  assert.equal(out.objectsOwed, 3);
  out.text('k');
  out.nil();
  out.float(1.5);
  assert.equal(out.objectsOwed, 0);
});

test('what is not plain data is refused', () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  for (const value of [cycle, 1n, Symbol('s'), () => undefined]) assert.throws(() => encoded(value));
  assert.throws(() => written((out) => out.integer(1.5)));
  assert.throws(() => written((out) => out.integer(2 ** 53)));
});
