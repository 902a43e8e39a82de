import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageFormatError, MessageReader } from '../../../src/codec/message-reader.ts';
import { MessageWriter } from '../../../src/codec/message-writer.ts';
import { catchUpOf, readCatchUp, writeCatchUp } from '../../../src/gateway/peers/catch-up.ts';
import { Cluster, shard } from '../../core/shard/harness.ts';

function committedBatch() {
  const cluster = new Cluster(1, 1);
  cluster.claim(0);
  cluster.write(0, 'put', 'key', 'a value that standbys do not need');
  cluster.write(0, 'delete', 'nothing');
  cluster.run();
  const [committed] = cluster.committed;
  assert.ok(committed);
  return committed;
}

function written(members: readonly unknown[]): MessageReader {
  const out = new MessageWriter();
  out.value(members);
  return new MessageReader(Buffer.concat(out.take()));
}

test('catch-up carries the records of a batch without their values, and comes back as it was sent (S14)', () => {
  const event = catchUpOf(committedBatch());
  assert.ok(Buffer.from(event.heads).includes('key'));
  assert.ok(!Buffer.from(event.heads).includes('a value'));
  const out = new MessageWriter();
  writeCatchUp(out, shard, event);
  const read = readCatchUp(new MessageReader(Buffer.concat(out.take())));
  assert.equal(read.shard, shard);
  assert.deepEqual(
    { ...read.event, heads: Buffer.from(read.event.heads) },
    { ...event, heads: Buffer.from(event.heads) },
  );
});

test('a catch-up that makes no sense is malformed', () => {
  const good = [0, 1, '1'.repeat(16), 1, 64, 200, 132, 0, 0, 5, new Uint8Array(0)];
  assert.equal(readCatchUp(written(good)).event.end, 200);
  for (const [at, value] of [
    [0, -1],
    [1, 0],
    [2, 'nobody'],
    [3, 0],
    [4, 300],
    [5, 2 ** 40],
    [6, 20],
    [10, 7],
  ] as const) {
    assert.throws(() => readCatchUp(written(good.with(at, value))), MessageFormatError);
  }
  assert.throws(() => readCatchUp(written(good.slice(0, 10))), MessageFormatError);
});
