import assert from 'node:assert/strict';
import { test } from 'node:test';
import { version } from '../../../src/base/ids.ts';
import { recordKind } from '../../../src/codec/log-format.ts';
import type { OnceResult } from '../../../src/core/once/once-client.ts';
import { ClientResults } from '../../../src/core/once/once-client.ts';

function put(at: number, replyBytes = 0): OnceResult {
  const reply = replyBytes === 0 ? undefined : new Uint8Array(replyBytes).fill(at);
  return { kind: recordKind.put, version: version(at), reply };
}

test('S15 the ring grows without losing results, replies or tokens', () => {
  const sums = { results: 0, bytes: 0 };
  const client = new ClientResults<string>(7, sums);
  client.raise(5);
  client.complete(6, put(60, 3));
  client.begin(7, 'seven');
  const before = client.bytes;
  client.complete(5 + 100, put(1050));
  assert.ok(client.bytes > before);
  assert.deepEqual(client.find(6), { kind: 'done', result: put(60, 3) });
  assert.deepEqual(client.find(7), { kind: 'in-flight', token: 'seven' });
  assert.deepEqual(client.find(105), { kind: 'done', result: put(1050) });
  assert.equal(client.find(5), undefined);
  assert.equal(client.find(10_000), undefined);
  assert.deepEqual([client.resultCount, client.inFlightCount, client.replyBytes], [2, 1, 3]);
  assert.deepEqual(sums, { results: 2, bytes: client.bytes });
  client.leave();
  assert.equal(sums.bytes, 0);
});

test('S15 raising the first number forgets what is below, and its bytes', () => {
  const client = new ClientResults<string>(7, { results: 0, bytes: 0 });
  for (let number = 1; number <= 6; number += 1) client.complete(number, put(number, 10));
  client.begin(7, 'seven');
  client.raise(4);
  assert.deepEqual(
    client.results(0, 100).map((entry) => entry.number),
    [4, 5, 6],
  );
  assert.deepEqual(
    client.results(5, 1).map((entry) => entry.number),
    [5],
  );
  assert.equal(client.replyBytes, 30);
  client.raise(2);
  assert.equal(client.first, 4, 'it never falls');
  client.raise(1_000_000);
  assert.deepEqual([client.resultCount, client.inFlightCount, client.replyBytes], [0, 0, 0]);
});

test('S15 the first result of a number stays, and ends what is in flight', () => {
  const client = new ClientResults<string>(7, { results: 0, bytes: 0 });
  client.begin(1, 'one');
  assert.throws(() => client.begin(1, 'again'), /S15/);
  client.complete(1, put(10));
  client.complete(1, put(20));
  assert.deepEqual(client.find(1), { kind: 'done', result: put(10) });
  assert.equal(client.inFlightCount, 0);
  assert.equal(client.abandon(1), false, 'a result is not abandoned');
  assert.throws(() => client.complete(2, { ...put(20), kind: recordKind.floor }), /S15/);
});

test('S15 forgetting results leaves what is in flight', () => {
  const client = new ClientResults<string>(7, { results: 0, bytes: 0 });
  client.complete(1, put(10));
  client.begin(2, 'two');
  client.forgetResults();
  assert.equal(client.find(1), undefined);
  assert.deepEqual(client.find(2), { kind: 'in-flight', token: 'two' });
  assert.equal(client.abandon(2), true);
  assert.equal(client.abandon(2), false);
  client.begin(3, 'three');
  client.abandonAll();
  assert.equal(client.inFlightCount, 0);
});
