import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageFormatError, MessageReader } from '../../src/codec/message-reader.ts';
import type { GatewayStatus } from '../../src/codec/node-status.ts';
import { readGatewayStatus, writeGatewayStatus } from '../../src/codec/node-status.ts';
import { gatewayStatus } from '../support/gateway-status.ts';
import { encoded, written } from '../support/messages.ts';

const bytes = written((out) => writeGatewayStatus(out, gatewayStatus));

function read(value: unknown): GatewayStatus {
  return readGatewayStatus(new MessageReader(encoded(value)));
}

test('what a gateway writes is read, to its end', () => {
  const reader = new MessageReader(bytes);
  assert.deepEqual(readGatewayStatus(reader), gatewayStatus);
  assert.ok(reader.atEnd);
});

test('cut at any byte it is a MessageFormatError', () => {
  for (let length = 0; length < bytes.length; length += 1)
    assert.throws(() => readGatewayStatus(new MessageReader(bytes.subarray(0, length))), MessageFormatError);
});

test('mutated it is a MessageFormatError or a value, never another exception', () => {
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, noise) => {
      const changed = Buffer.from(bytes);
      changed.set(noise.subarray(0, changed.length - at), at);
      try {
        readGatewayStatus(new MessageReader(changed));
      } catch (error) {
        if (!(error instanceof MessageFormatError)) throw error;
      }
    }),
    { seed: 1, numRuns: 1_000 },
  );
});

test('what a later version adds is left out', () => {
  const [line] = gatewayStatus.shards;
  assert.deepEqual(read({ ...gatewayStatus, more: [1], shards: [{ ...line, more: 1 }] }), {
    ...gatewayStatus,
    shards: [line],
  });
});

test('each member is needed, and a complaint names the one that is missing', () => {
  for (const name of Object.keys(gatewayStatus)) {
    const without = Object.fromEntries(Object.entries(gatewayStatus).filter(([key]) => key !== name));
    assert.throws(() => read(without), {
      name: 'MessageFormatError',
      message: new RegExp(`status\\.${name}: expected`),
    });
  }
  const shards = [{ ...gatewayStatus.shards[0], owner: -2 }];
  assert.throws(
    () => read({ ...gatewayStatus, shards }),
    /status\.shards\[0\]\.owner: expected an integer of at least -1/,
  );
});
