import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import { limits } from '../../../src/base/limits.ts';
import { readAppend, readConfirm } from '../../../src/codec/logger-appends.ts';
import { MessageReader } from '../../../src/codec/message-reader.ts';
import { MessageWriter } from '../../../src/codec/message-writer.ts';
import type { ShardEvent } from '../../../src/core/shard/events.ts';
import { Outbox } from '../../../src/gateway/loggers/outbox.ts';
import { LoggerClient } from '../../../src/rpc/logger-client.ts';
import type { RpcChannel } from '../../../src/rpc/channel-types.ts';

const instance = instanceId('1'.repeat(16));

/** How many items each message had, and how long it was. */
interface Sent {
  readonly items: number;
  readonly bytes: number;
}

function outbox(sent: Sent[], waiting = (): number => 0): Outbox {
  const channel: Pick<RpcChannel, 'isOpen' | 'request' | 'waitingBytes'> = {
    isOpen: true,
    get waitingBytes(): number {
      return waiting();
    },
    request: (_method, write) => {
      const out = new MessageWriter();
      out.mark(1);
      write(out);
      const bytes = Buffer.concat(out.take());
      sent.push({ items: readAppend(new MessageReader(bytes, 0, bytes.length)).items.length, bytes: bytes.length });
    },
  };
  const events: ShardEvent[] = [];
  // Only these members are used to append.
  const client = new LoggerClient(uuid('1'.repeat(32)), { write: channel as RpcChannel, read: undefined });
  return new Outbox(client, (_, event) => void events.push(event));
}

function append(box: Outbox, shard: number, length: number): void {
  const at = { shard: shardId(shard), zone: zoneId(1), epoch: epoch(1), instance };
  box.append(at, 0, new Uint8Array(length));
}

test('appends that do not fit one message go out in several, in their order', () => {
  const sent: Sent[] = [];
  const box = outbox(sent);
  for (let shard = 0; shard < 20; shard++) append(box, shard, limits.appendWholeBytesMax);
  append(box, 20, 100);
  append(box, 21, 100);
  box.send();
  assert.deepEqual(
    sent.map(({ items }) => items),
    [16, 6],
  );
  assert.ok(sent.every(({ bytes }) => bytes < limits.frameBytesMax));
});

test('a message has no more appends than a logger takes', () => {
  const sent: Sent[] = [];
  const box = outbox(sent);
  for (let number = 0; number < 2 * limits.appendItemsMax + 1; number++) append(box, number % 1_000, 10);
  box.send();
  assert.deepEqual(
    sent.map(({ items }) => items),
    [limits.appendItemsMax, limits.appendItemsMax, 1],
  );
});

test('the appends of a turn share a message', () => {
  const sent: Sent[] = [];
  const box = outbox(sent);
  for (let shard = 0; shard < 8; shard++) append(box, shard, 1_000);
  box.send();
  assert.deepEqual(
    sent.map(({ items }) => items),
    [8],
  );
});

test('a logger that takes nothing is not sent more and more until its connection is closed for it', () => {
  const sent: Sent[] = [];
  let waiting = 0;
  const box = outbox(sent, () => waiting + sent.reduce((sum, { bytes }) => sum + bytes, 0));
  for (let shard = 0; shard < 64; shard++) append(box, shard, limits.appendWholeBytesMax);
  box.send();
  const before = sent.length;
  assert.ok(before < 4 && before * limits.frameBytesMax < limits.outputBytesMax);
  box.send();
  assert.equal(sent.length, before);
  waiting = -8 * limits.frameBytesMax;
  box.send();
  assert.equal(sent.length, 4);
});

test('confirmations of more shards, and twice in one turn, than a message has room for go out in several', () => {
  const sent: number[] = [];
  const channel: Pick<RpcChannel, 'isOpen' | 'request' | 'waitingBytes'> = {
    isOpen: true,
    waitingBytes: 0,
    request: (_method, write) => {
      const out = new MessageWriter();
      out.mark(1);
      write(out);
      const bytes = Buffer.concat(out.take());
      sent.push(readConfirm(new MessageReader(bytes, 0, bytes.length)).items.length);
    },
  };
  // Only these members are used to confirm.
  const client = new LoggerClient(uuid('1'.repeat(32)), { write: channel as RpcChannel, read: undefined });
  const box = new Outbox(client, () => undefined);
  for (let round = 1; round <= 2; round++)
    for (let shard = 0; shard < limits.shardCountMax; shard++)
      box.confirm({ shard: shardId(shard), zone: zoneId(1), epoch: epoch(1), instance }, round);
  box.send();
  assert.deepEqual(sent, [limits.confirmItemsMax, 2 * limits.shardCountMax - limits.confirmItemsMax]);
});

test('what other shards append and confirm does not wait for an append in pieces', () => {
  const sent: string[] = [];
  const answers: (() => void)[] = [];
  const channel: Pick<RpcChannel, 'isOpen' | 'request' | 'waitingBytes'> = {
    isOpen: true,
    waitingBytes: 0,
    request: (method, _write, onAnswer) => {
      sent.push(method);
      if (method === 'AppendPiece') answers.push(() => onAnswer(undefined, reader(Buffer.from([0xc0]))));
    },
  };
  // Only these members are used to append and confirm.
  const client = new LoggerClient(uuid('1'.repeat(32)), { write: channel as RpcChannel, read: undefined });
  const events: ShardEvent[] = [];
  const box = new Outbox(client, (_, event) => void events.push(event));
  append(box, 0, limits.valueBytesMax);
  box.send();
  assert.deepEqual(sent, new Array<string>(limits.appendPiecesInFlight).fill('AppendPiece'));
  append(box, 1, 1_000);
  box.confirm({ shard: shardId(2), zone: zoneId(1), epoch: epoch(1), instance }, 1);
  box.send();
  assert.deepEqual(sent.splice(0).slice(-2), ['Confirm', 'Append']);
  for (let answer = answers.shift(); answer !== undefined; answer = answers.shift()) answer();
  const ends = events.map((event) => (event.event === 'appended' ? event.end : event.event));
  const pieces = limits.valueBytesMax / limits.appendPieceBytes;
  assert.deepEqual(
    ends,
    [...new Array<number>(pieces - 1).fill(0), limits.valueBytesMax],
    'S5: the last answer counts',
  );
});

function reader(bytes: Buffer): MessageReader {
  return new MessageReader(bytes, 0, bytes.length);
}
