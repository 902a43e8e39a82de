import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Compared } from '../../../sim/check/standbys.ts';
import { Standbys } from '../../../sim/check/standbys.ts';
import { clientId, millis, requestNumber, shardId, uuid, version, zoneId } from '../../../src/base/ids.ts';
import { recordKind } from '../../../src/codec/log-format.ts';
import { KeyIndex } from '../../../src/core/index/key-index.ts';
import { OnceTable } from '../../../src/core/once/once-table.ts';

const client = clientId(5);

/** A shard that has put `a` at 100, as request 2 of a client. */
function shardOf(role: string, offset = 200, epoch = 1): Compared {
  const state: Compared['state'] = {
    cluster: uuid('c'.repeat(32)),
    shard: shardId(0),
    position: { zone: zoneId(1), offset },
    shardTimeMs: millis(7),
    index: new KeyIndex({ low: 1, high: 2 }),
    once: new OnceTable(),
  };
  const result = { kind: recordKind.put, version: version(100), reply: undefined };
  state.once.complete(client, requestNumber(2), requestNumber(1), result);
  return { role, status: { owner: role === 'owner' ? { epoch } : undefined }, state };
}

/** What is said of an owner and a standby that `change` made another. */
function compared(change: (standby: Compared['state']) => void, standby = shardOf('follower')): string | number {
  const standbys = new Standbys();
  change(standby.state);
  const trace = standbys.trace as unknown as { before(shard: Compared): void }; // A test's shard has no machine.
  for (const shard of [shardOf('owner'), standby]) trace.before(shard);
  try {
    return standbys.compare();
  } catch (error) {
    return error instanceof Error ? error.message : 'no error';
  }
}

test('S14, S15: a standby that holds the same is fine; at another watermark it is not compared', () => {
  assert.equal(
    compared(() => undefined),
    1,
  );
  assert.equal(
    compared(({ once }) => once.applyFloor(clientId(9)), shardOf('follower', 199)),
    0,
  );
});

test('an owner that was replaced is not compared: a standby may know later records from its snapshot', () => {
  const standbys = new Standbys();
  const trace = standbys.trace as unknown as { before(shard: Compared): void }; // A test's shard has no machine.
  const standby = shardOf('follower');
  standby.state.once.applyFloor(clientId(9));
  for (const shard of [shardOf('owner', 200, 1), shardOf('owner', 0, 2), standby]) trace.before(shard);
  assert.equal(standbys.compare(), 0);
  standbys.forget();
  for (const shard of [shardOf('owner', 200, 1), standby]) trace.before(shard);
  assert.equal(standbys.compare(), 0, 'nor when the newest one is silent');
});

test('S15: a standby with another floor, or without a result', () => {
  assert.match(
    String(compared(({ once }) => once.applyFloor(clientId(3)))),
    /^S15 shard 0 at 200 of zone 1: the owner has forgotten clients 0-0 and a standby 0-0 3-3/,
  );
  assert.match(
    String(
      compared(({ once }) => {
        const result = { kind: recordKind.put, version: version(150), reply: undefined };
        once.complete(client, requestNumber(3), requestNumber(1), result);
      }),
    ),
    /differ in what they know of client 5: 2=1@100 and 2=1@100,3=1@150/,
  );
});

test('S18: a standby with another time', () => {
  assert.match(
    String(compared((standby) => Object.assign(standby, { shardTimeMs: millis(8) }))),
    /^S18 shard 0 at 200 of zone 1: the owner has time 7 and a standby 8/,
  );
});

test('S15: numbers that one of them has forgotten by what it began later are no difference', () => {
  assert.equal(
    compared(({ once }) => {
      once.begin(client, requestNumber(4), requestNumber(3), {});
      once.abandon(client, requestNumber(4));
      const result = { kind: recordKind.put, version: version(100), reply: undefined };
      once.complete(client, requestNumber(2), requestNumber(1), result);
    }),
    1,
  );
});
