/** S9, S10: what the operator says of loggers, and what it may cost. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KvError, type ErrorCode } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/ids.ts';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import type { Coordinator } from '../../src/coordinator/coordinator.ts';
import { CoordinatorError } from '../../src/coordinator/coordinator.ts';
import { registerLogger } from '../../src/coordinator/members.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { declareLost, drainLogger, undrainLogger } from '../../src/coordinator/planned-changes.ts';
import { parseStandings, standingOf, standingsKey } from '../../src/coordinator/standings.ts';
import type { Head, SealedZone } from '../../src/core/shard/head/metadata.ts';
import { encodeMetadata, headKey, zoneKey } from '../../src/core/shard/head/metadata.ts';

const names = ['a', 'b', 'c', 'd'].map((letter) => uuid(letter.repeat(32)));
const instance = instanceId('1'.repeat(16));
const shard = shardId(0);

const named = (letters: string): Uuid[] => [...letters].map((letter) => uuid(letter.repeat(32)));
const [a, b, c] = [named('a'), named('b'), named('c')].flat();

function member(logger: Uuid) {
  return { uuid: logger, instance, readAddress: '127.0.0.1:1', writeAddress: '127.0.0.1:2' };
}

/** A cluster of four loggers with one shard: zone 1 ended at `ended`, zone 2 is open at `open`. */
async function clusterOf(ended: string, open: string): Promise<Coordinator> {
  const coordinator = new MemoryCoordinator().client();
  for (const [number, logger] of names.entries()) await registerLogger(coordinator, number, member(logger));
  const writer = { epoch: epoch(1), instance };
  const replicas = named(open);
  const openZone = { zone: zoneId(2), ...writer, replicas, processes: replicas.map(() => instance) };
  const owner = { gateway: 0, node: uuid('e'.repeat(32)), instance };
  const head: Head = { epoch: epoch(1), owner, openZone, nextZone: zoneId(3), change: 2 };
  const zone: SealedZone = { zone: zoneId(1), ...writer, length: 100, replicas: named(ended), former: [] };
  await coordinator.transact(
    [],
    [
      { key: headKey(shard), value: encodeMetadata(head) },
      { key: zoneKey(shard, zone.zone), value: encodeMetadata(zone) },
    ],
  );
  return coordinator;
}

async function standing(coordinator: Coordinator, logger: Uuid = a ?? names[0] ?? uuid('')): Promise<string> {
  return standingOf(parseStandings(await coordinator.get(standingsKey)), logger);
}

const rejects = (promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> =>
  assert.rejects(promise, (error) => error instanceof KvError && error.code === code && message.test(error.message));

function of(logger: Uuid | undefined): Uuid {
  assert.ok(logger);
  return logger;
}

describe('a logger that is declared lost', () => {
  test('is so for ever, and registers no more', async () => {
    const coordinator = await clusterOf('abc', 'abc');
    assert.deepEqual(await declareLost(coordinator, of(a), false), []);
    assert.equal(await standing(coordinator), 'lost');
    await rejects(undrainLogger(coordinator, of(a)), 'logger-lost', /for ever/);
    await rejects(registerLogger(coordinator, 0, member(of(a))), 'logger-lost', /empty folder/);
    await registerLogger(coordinator, 0, member(uuid('9'.repeat(32))));
  });

  test('S9 is not the last replica of an open zone, force or not', async () => {
    const coordinator = await clusterOf('ab', 'ab');
    await declareLost(coordinator, of(a), false);
    for (const force of [false, true])
      await rejects(declareLost(coordinator, of(b), force), 'last-copy', /open zone \(shard 0 zone 2\)/);
    assert.equal(await standing(coordinator, of(b)), 'member');
  });

  test('S10 holds the last copy of an ended zone only if that is meant', async () => {
    const coordinator = await clusterOf('a', 'bc');
    await rejects(declareLost(coordinator, of(a), false), 'last-copy', /only copy of 1 zone.*--force/);
    assert.equal(await standing(coordinator), 'member');
    const last = await declareLost(coordinator, of(a), true);
    assert.deepEqual(
      last.map(({ zone }) => zone),
      [zoneId(1)],
    );
    assert.equal(await standing(coordinator), 'lost');
  });

  test('of two words at once the second is judged knowing the first', async () => {
    const coordinator = await clusterOf('ab', 'cd');
    const both = await Promise.allSettled([of(a), of(b)].map((logger) => declareLost(coordinator, logger, false)));
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });
});

describe('a logger that drains', () => {
  test('leaves as many others as zones are to have replicas', async () => {
    const coordinator = await clusterOf('abc', 'abc');
    await drainLogger(coordinator, of(a), 3);
    assert.equal(await standing(coordinator), 'draining');
    await rejects(drainLogger(coordinator, of(b), 3), 'too-few-loggers', /2 loggers would stay/);
    await undrainLogger(coordinator, of(a));
    assert.equal(await standing(coordinator), 'member');
    await drainLogger(coordinator, of(b), 3);
    await declareLost(coordinator, of(c), false);
    await rejects(drainLogger(coordinator, of(a), 2), 'too-few-loggers', /1 logger would stay/);
  });

  test('keeps fields that are not known here', async () => {
    const coordinator = await clusterOf('abc', 'abc');
    const value = { since: 1, loggers: { [of(b)]: { standing: 'member', why: 'x' } } };
    await coordinator.transact([], [{ key: standingsKey, value: new TextEncoder().encode(JSON.stringify(value)) }]);
    await drainLogger(coordinator, of(b), 1);
    const entry = await coordinator.get(standingsKey);
    const kept: unknown = JSON.parse(new TextDecoder().decode(entry?.value));
    assert.deepEqual(kept, { since: 1, loggers: { [of(b)]: { standing: 'draining', why: 'x' } } });
  });

  test('S1 an unknown outcome is settled by reading', async () => {
    const known = await clusterOf('abc', 'abc');
    let calls = 0;
    const unlucky: Coordinator = {
      ...known,
      source: known.source,
      get: (key) => known.get(key),
      list: (prefix) => known.list(prefix),
      watch: (...args) => known.watch(...args),
      close: () => known.close(),
      transact: async (...args) => {
        calls += 1;
        await known.transact(...args);
        throw new CoordinatorError('unknown', 'the answer is lost');
      },
    };
    await drainLogger(unlucky, of(a), 3);
    assert.equal(calls, 1);
    assert.equal(await standing(known), 'draining');
  });
});
