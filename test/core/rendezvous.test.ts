import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import { balancedOwners, rendezvousOrder } from '../../src/core/rendezvous.ts';

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

test('the order is the same on every node, whatever the order of the list', () => {
  const gateways = names('gateway-', 7);
  for (const subject of names('shard-', 50)) {
    const order = rendezvousOrder(subject, gateways);
    assert.deepEqual(order.toSorted(), gateways.toSorted());
    assert.deepEqual(rendezvousOrder(subject, gateways.toReversed()), order);
  }
});

test('the order never changes between versions', () => {
  assert.deepEqual(rendezvousOrder('0', ['a', 'b', 'c', 'd']), ['c', 'b', 'a', 'd']);
  assert.deepEqual(rendezvousOrder('shard/1/zone/7', ['logger-1', 'logger-2', 'logger-3']), [
    'logger-3',
    'logger-2',
    'logger-1',
  ]);
  assert.deepEqual(rendezvousOrder('é中', ['x', 'y', 'z']), ['y', 'x', 'z']);
});

test('a candidate that leaves moves only its own subjects, and to the next in their order', () => {
  const loggers = names('logger-', 5);
  for (const subject of names('shard/1/zone/', 500)) {
    const order = rendezvousOrder(subject, loggers);
    const without = rendezvousOrder(
      subject,
      loggers.filter((name) => name !== 'logger-2'),
    );
    assert.deepEqual(
      without,
      order.filter((name) => name !== 'logger-2'),
    );
  }
});

test('each candidate is first for about its share of the subjects, and second, too', () => {
  const loggers = Array.from({ length: 5 }, (_, at) => `${at}`.repeat(32));
  const count = 10_000;
  for (const rank of [0, 1, 4]) {
    const shares = new Map<string, number>();
    for (let zone = 1; zone <= count; zone++) {
      const name = rendezvousOrder(`shard/3/zone/${zone}`, loggers)[rank] ?? '';
      shares.set(name, (shares.get(name) ?? 0) + 1);
    }
    for (const name of loggers)
      assert.ok(Math.abs((shares.get(name) ?? 0) / count - 0.2) < 0.02, `${name} has ${shares.get(name)} of ${count}`);
  }
});

test('balanced owners: every gateway owns at most ceil(shards / gateways), three of three exactly one each', () => {
  for (let seed = 0; seed < 100; seed++) {
    const owners = balancedOwners(names(`${seed}/`, 3), names(`g${seed}-`, 3));
    assert.equal(new Set(owners.values()).size, 3);
  }
  for (const [shardCount, gatewayCount] of [
    [1, 3],
    [8, 3],
    [64, 5],
    [1_024, 7],
  ] as const) {
    const owners = balancedOwners(names('shard-', shardCount), names('gateway-', gatewayCount));
    assert.equal(owners.size, shardCount);
    for (const gateway of names('gateway-', gatewayCount)) {
      const owned = [...owners.values()].filter((owner) => owner === gateway).length;
      assert.ok(owned <= Math.ceil(shardCount / gatewayCount), `${gateway} owns ${owned} of ${shardCount}`);
    }
  }
});

test('balanced owners do not depend on the order of the gateways, and follow the rendezvous order where the bound allows', () => {
  const shards = names('shard-', 12);
  const gateways = names('gateway-', 4);
  const owners = balancedOwners(shards, gateways);
  assert.deepEqual(balancedOwners(shards, gateways.toReversed()), owners);
  const first = shards.filter((shard) => rendezvousOrder(shard, gateways)[0] === owners.get(shard)).length;
  assert.ok(first >= 8, `${first} of 12 at their first choice`);
  assert.throws(() => balancedOwners(shards, []), AssertionFailure);
  assert.throws(() => balancedOwners(shards, ['a', 'a']), AssertionFailure);
});
