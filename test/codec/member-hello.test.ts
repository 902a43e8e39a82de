import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instanceId, uuid } from '../../src/base/ids.ts';
import { readMemberHello, strangeness, writeMemberHello } from '../../src/codec/member-hello.ts';
import type { MemberHello } from '../../src/codec/member-hello.ts';
import { MessageFormatError, MessageReader } from '../../src/codec/message-reader.ts';
import { MessageWriter } from '../../src/codec/message-writer.ts';
import { hostileNumbers } from '../support/hostile-numbers.ts';

const cluster = uuid('c'.repeat(32));
const self = { cluster, gateway: 3, node: uuid('1'.repeat(32)), instance: instanceId('2'.repeat(16)) };

function read(value: unknown): MemberHello | undefined {
  const out = new MessageWriter();
  out.value(value);
  return readMemberHello(new MessageReader(Buffer.concat(out.take())));
}

function written(): MemberHello {
  const out = new MessageWriter();
  writeMemberHello(out, self);
  const hello = readMemberHello(new MessageReader(Buffer.concat(out.take())));
  assert.ok(hello !== undefined);
  return hello;
}

test('a hello comes back as it was sent; members that a later version adds are ignored', () => {
  assert.deepEqual(written(), { ...self, protocolMin: 1, protocolMax: 1 });
  assert.deepEqual(read({ role: 'gateway', ...written(), more: 1 }), written());
});

test('who is no gateway says no hello of a member; what is malformed says so', () => {
  assert.equal(read({}), undefined);
  assert.equal(read({ role: 'client', cluster: 5 }), undefined);
  const good = { role: 'gateway', ...written() };
  for (const change of [{ cluster: 'x' }, { node: 7 }, { instance: '' }, { gateway: null }, { protocolMin: 'one' }])
    assert.throws(() => read({ ...good, ...change }), MessageFormatError);
  for (const number of hostileNumbers.filter((one) => one < 0 || one > 127))
    assert.throws(() => read({ ...good, gateway: number }), MessageFormatError);
  assert.throws(() => read([1]), MessageFormatError);
});

test('S16 a member of another cluster, or of no common protocol version, is a stranger', () => {
  assert.equal(strangeness(written(), cluster), undefined);
  assert.match(strangeness(written(), uuid('d'.repeat(32))) ?? '', /this is cluster d+, not c+/);
  assert.match(
    strangeness({ ...written(), protocolMin: 2, protocolMax: 9 }, cluster) ?? '',
    /speaks .* 1\.\.1, .* 2\.\.9/,
  );
});
