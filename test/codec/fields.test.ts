import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { uuid } from '../../src/base/ids.ts';
import type { Field } from '../../src/codec/fields.ts';
import { fieldOf } from '../../src/codec/fields.ts';
import { plainData, runs } from '../support/messages.ts';

class Complaint extends Error {}

const data = {
  text: 'words',
  count: 7,
  below: -3,
  half: 1.5,
  yes: true,
  nothing: null,
  bytes: new Uint8Array(3),
  list: [1, 'two', { three: 3 }],
  inner: { deep: { deeper: 'text' } },
  id: '0123456789abcdef0123456789abcdef',
};

const root = fieldOf(data, 'data', (message) => new Complaint(message));

function complaintOf(read: (field: Field) => unknown): string {
  try {
    read(root);
  } catch (error) {
    assert.ok(error instanceof Complaint);
    return error.message;
  }
  return assert.fail('no complaint');
}

test('members are given in the type that was asked for', () => {
  assert.equal(root.at('text').text(), 'words');
  assert.equal(root.at('count').integer(), 7);
  assert.equal(root.at('below').integer(-3, -3), -3);
  assert.equal(root.at('yes').boolean(), true);
  assert.equal(root.at('text').oneOf(['other', 'words']), 'words');
  assert.equal(root.at('id').minted(uuid), data.id);
  assert.equal(root.at('inner').at('deep').at('deeper').text(), 'text');
  const [first, second, third] = root.at('list').list(3);
  assert.deepEqual([first?.integer(), second?.text(), third?.at('three').integer()], [1, 'two', 3]);
});

test('optional members are undefined when missing or nil, and checked when they are there', () => {
  assert.equal(root.optional('missing'), undefined);
  assert.equal(root.optional('nothing'), undefined);
  assert.equal(root.optional('count')?.integer(), 7);
  assert.equal(
    complaintOf((field) => field.optional('count')?.text()),
    'data.count: expected a text, found 7',
  );
});

test('a complaint says where, what was expected and what was found', () => {
  const complaints: readonly [(field: Field) => unknown, string][] = [
    [(field) => field.at('missing').text(), 'data.missing: expected a text, found nothing'],
    [(field) => field.at('nothing').text(), 'data.nothing: expected a text, found nothing'],
    [(field) => field.at('text').integer(), "data.text: expected an integer of at least 0, found 'words'"],
    [(field) => field.at('half').integer(), 'data.half: expected an integer of at least 0, found 1.5'],
    [(field) => field.at('below').integer(), 'data.below: expected an integer of at least 0, found -3'],
    [(field) => field.at('count').integer(8, 9), 'data.count: expected an integer from 8 to 9, found 7'],
    [(field) => field.at('count').integer(1, 6), 'data.count: expected an integer from 1 to 6, found 7'],
    [(field) => field.at('count').boolean(), 'data.count: expected true or false, found 7'],
    [(field) => field.at('yes').list(1), 'data.yes: expected a list, found true'],
    [(field) => field.at('list').list(2), 'data.list: expected a list of at most 2, found a list of 3'],
    [(field) => field.at('list').list(3)[1]?.integer(), "data.list[1]: expected an integer of at least 0, found 'two'"],
    [(field) => field.at('list').at('0'), 'data.list: expected an object, found a list of 3'],
    [(field) => field.at('bytes').at('0'), 'data.bytes: expected an object, found 3 bytes'],
    [(field) => field.at('bytes').text(), 'data.bytes: expected a text, found 3 bytes'],
    [(field) => field.at('inner').at('deep').text(), 'data.inner.deep: expected a text, found an object'],
    [(field) => field.at('text').oneOf(['a', 'b']), "data.text: expected 'a' or 'b', found 'words'"],
    [(field) => field.at('text').minted(uuid), "data.text: a UUID has 32 hexadecimal digits, got 'words'"],
  ];
  for (const [read, message] of complaints) assert.equal(complaintOf(read), message);
});

test('what an object inherits is not a member', () => {
  assert.equal(root.optional('constructor'), undefined);
  assert.equal(
    complaintOf((field) => field.at('toString').text()),
    'data.toString: expected a text, found nothing',
  );
});

test('a long text is not repeated whole', () => {
  const long = fieldOf('x'.repeat(10_000), 'long');
  assert.throws(() => long.integer(), {
    name: 'TypeError',
    message: `long: expected an integer of at least 0, found '${'x'.repeat(40)}'`,
  });
});

test('a bug in minting is not made a complaint', () => {
  const mint = (): never => {
    throw new SyntaxError('a bug');
  };
  assert.throws(() => root.at('text').minted(mint), SyntaxError);
});

test('whatever the data: a value of the type, or a complaint', () => {
  const reads: readonly [(field: Field) => unknown, string][] = [
    [(field) => field.text(), 'string'],
    [(field) => field.integer(), 'number'],
    [(field) => field.boolean(), 'boolean'],
    [(field) => field.list(5), 'object'],
    [(field) => field.at('a').text(), 'string'],
  ];
  fc.assert(
    fc.property(plainData, (value) => {
      for (const [read, type] of reads) {
        try {
          assert.equal(typeof read(fieldOf(value, 'any', (message) => new Complaint(message))), type);
        } catch (error) {
          if (!(error instanceof Complaint)) throw error;
        }
      }
    }),
    runs,
  );
});
