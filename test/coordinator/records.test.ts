import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KvError, type ErrorCode } from '../../src/base/errors.ts';
import { instanceId, uuid } from '../../src/base/ids.ts';
import type { Random } from '../../src/env/random.ts';
import { clientIdsKey, leaseClientIds } from '../../src/coordinator/client-ids.ts';
import { clusterKey, joinCluster } from '../../src/coordinator/cluster-record.ts';
import { CoordinatorError, type Coordinator } from '../../src/coordinator/coordinator.ts';
import {
  listMembers,
  registerGateway,
  registerLogger,
  type GatewayMember,
  type LoggerMember,
} from '../../src/coordinator/members.ts';
import { MemoryCoordinator, type Fate } from '../../src/coordinator/memory/memory.ts';
import { seeded } from './sqlite/processes.ts';

function randomOf(seed: number): Random {
  const next = seeded(seed);
  const uint32 = (): number => Math.floor(next() * 2 ** 32);
  return { uint32, bytes: (count) => Uint8Array.from({ length: count }, () => uint32() & 255) };
}

const rejects = (promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> =>
  assert.rejects(promise, (error) => error instanceof KvError && error.code === code && message.test(error.message));

async function putText(coordinator: Coordinator, key: string, value: string): Promise<void> {
  await coordinator.transact([], [{ key, value: new TextEncoder().encode(value) }]);
}

/** Each transaction of `unlucky` clients loses its request or its answer as the seed says. */
function unluckyStore(seed: number): MemoryCoordinator {
  const random = seeded(seed);
  const fate = (): Fate => {
    const draw = random();
    if (draw < 0.2) return { kind: 'sent', requestDelayMs: 'lost' };
    return draw < 0.4 ? { kind: 'sent', answerDelayMs: 'lost' } : { kind: 'sent' };
  };
  return new MemoryCoordinator({ fate: (request) => (request.kind === 'transact' ? fate() : { kind: 'sent' }) });
}

describe('the record of the cluster', () => {
  const wanted = { shardCount: 3, zoneSize: 256 * 1024 * 1024 };

  it('is created once; everybody who joins, at once or later, gets the same', async () => {
    const store = new MemoryCoordinator();
    const records = await Promise.all([1, 2, 3].map((seed) => joinCluster(store.client(), randomOf(seed), wanted)));
    const later = await joinCluster(store.client(), randomOf(4), {});
    for (const record of [...records, later]) assert.deepEqual(record, records[0]);
    assert.match(later.cluster, /^[0-9a-f]{32}$/);
    assert.deepEqual([later.shardCount, later.zoneSize, later.format], [3, wanted.zoneSize, 1]);
  });

  it('is settled by reading after an unknown outcome', async () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const store = unluckyStore(seed);
      const records = await Promise.all([1, 2].map((number) => joinCluster(store.client(), randomOf(number), wanted)));
      assert.deepEqual(records[0], records[1]);
    }
  });

  it('refuses other settings and says which, both values, and the way out', async () => {
    const coordinator = new MemoryCoordinator().client();
    await joinCluster(coordinator, randomOf(1), wanted);
    await rejects(
      joinCluster(coordinator, randomOf(1), { shardCount: 4 }),
      'settings-differ',
      /shardCount is 3, but 4 .*new folder/,
    );
    const both = joinCluster(coordinator, randomOf(1), { shardCount: 1, zoneSize: 65_536 });
    await rejects(both, 'settings-differ', /shardCount is 3, but 1 .*zoneSize is 268435456, but 65536/);
    assert.equal((await joinCluster(coordinator, randomOf(1), { zoneSize: wanted.zoneSize })).shardCount, 3);
  });

  it('is not created from incomplete or impossible settings', async () => {
    const store = new MemoryCoordinator();
    for (const bad of [
      {},
      { shardCount: 3 },
      { shardCount: 0, zoneSize: wanted.zoneSize },
      { shardCount: 3, zoneSize: 1 },
    ]) {
      await rejects(joinCluster(store.client(), randomOf(1), bad), 'bad-argument', /cannot create the cluster/);
    }
    assert.deepEqual(store.snapshot(), []);
  });

  it('of a newer format, or damaged, is an error that says so', async () => {
    const coordinator = new MemoryCoordinator().client();
    await putText(coordinator, clusterKey, '{"format":2,"anything":true}');
    await rejects(joinCluster(coordinator, randomOf(1), wanted), 'newer-format', /format 2/);
    for (const damaged of [
      '',
      '{',
      '[]',
      '{"format":1}',
      `{"format":1,"cluster":"x","shardCount":1,"zoneSize":65536}`,
    ]) {
      await putText(coordinator, clusterKey, damaged);
      await rejects(joinCluster(coordinator, randomOf(1), wanted), 'data-damaged', /'cluster'/);
    }
  });
});

describe('members', () => {
  const identity = (digit: string) => ({ uuid: uuid(digit.repeat(32)), instance: instanceId(digit.repeat(16)) });
  const gateway = (digit: string): GatewayMember => ({
    ...identity(digit),
    peerAddress: '127.0.0.1:1',
    clientAddress: '127.0.0.1:2',
  });
  const logger = (digit: string): LoggerMember => ({
    ...identity(digit),
    readAddress: '127.0.0.1:3',
    writeAddress: '127.0.0.1:4',
  });

  it('are listed by number as they registered last', async () => {
    const coordinator = new MemoryCoordinator().client();
    for (const number of [10, 2, 0]) await registerGateway(coordinator, number, gateway('a'));
    await registerLogger(coordinator, 1, logger('b'));
    const revision = await registerLogger(coordinator, 1, logger('c'));
    const members = await listMembers(coordinator);
    assert.deepEqual(
      members.gateways.map((member) => member.number),
      [0, 2, 10],
    );
    assert.deepEqual(members.loggers, [{ ...logger('c'), number: 1, revision }]);
    assert.equal(members.revision, revision);
  });

  it('that register again unchanged change nothing', async () => {
    const coordinator = new MemoryCoordinator().client();
    const first = await registerGateway(coordinator, 0, gateway('a'));
    assert.equal(await registerGateway(coordinator, 0, gateway('a')), first);
  });

  it('are registered through unknown outcomes', async () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const coordinator = unluckyStore(seed).client();
      const revision = await registerLogger(coordinator, 3, logger('d'));
      assert.deepEqual((await listMembers(coordinator)).loggers, [{ ...logger('d'), number: 3, revision }]);
    }
  });

  it('a logger that moved to another number stands under that one only', async () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const coordinator = unluckyStore(seed).client();
      const asked: number[] = [];
      const isTwin = (other: { number: number }): Promise<boolean> => {
        asked.push(other.number);
        return Promise.resolve(false);
      };
      await registerLogger(coordinator, 0, logger('a'));
      await registerLogger(coordinator, 1, logger('b'));
      const moved = { ...logger('a'), instance: instanceId('9'.repeat(16)) };
      await registerLogger(coordinator, 1, moved, isTwin);
      const { loggers } = await listMembers(coordinator);
      assert.deepEqual(
        loggers.map(({ number, instance }) => [number, instance]),
        [[1, moved.instance]],
      );
      assert.equal(asked[0], 0);
    }
  });

  it('S16 a logger that moves takes nothing from another that has come to its number meanwhile', async () => {
    const coordinator = new MemoryCoordinator().client();
    await registerLogger(coordinator, 0, logger('a'));
    const moved = { ...logger('a'), instance: instanceId('9'.repeat(16)) };
    let isFirst = true;
    await registerLogger(coordinator, 1, moved, async () => {
      // A disk that another machine got meanwhile.
      if (isFirst) await registerLogger(coordinator, 0, logger('b'));
      isFirst = false;
      return false;
    });
    const { loggers } = await listMembers(coordinator);
    assert.deepEqual(
      loggers.map(({ number, uuid: name }) => [number, name]),
      [
        [0, logger('b').uuid],
        [1, moved.uuid],
      ],
    );
  });

  it('a logger is not registered while another process has its identity', async () => {
    const coordinator = new MemoryCoordinator().client();
    await registerLogger(coordinator, 0, logger('a'));
    const copy = { ...logger('a'), instance: instanceId('9'.repeat(16)) };
    for (const number of [0, 1]) {
      const registered = registerLogger(coordinator, number, copy, ({ number: other }) => Promise.resolve(other === 0));
      await rejects(registered, 'logger-twice', /the UUID a+, and so has another process, logger 0,/);
    }
    assert.equal((await listMembers(coordinator)).loggers.length, 1);
  });

  it('bad numbers and damaged entries are errors that name the key', async () => {
    const coordinator = new MemoryCoordinator().client();
    for (const number of [-1, 0.5, 128, NaN])
      await rejects(registerGateway(coordinator, number, gateway('a')), 'bad-argument', /0\.\.127/);
    await putText(coordinator, 'logger/1', JSON.stringify({ ...logger('a'), uuid: 'x' }));
    await rejects(listMembers(coordinator), 'data-damaged', /'logger\/1' is malformed at uuid/);
    await coordinator.transact([], [{ key: 'logger/1', value: undefined }]);
    await putText(coordinator, 'logger/01', JSON.stringify(logger('a')));
    await rejects(listMembers(coordinator), 'data-damaged', /'logger\/01' names no member/);
  });
});

describe('client ids (S15)', () => {
  it('S15 an id is leased at most once, whatever becomes of requests and answers', async () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const store = unluckyStore(seed);
      const leased: number[] = [];
      const lease = async (): Promise<void> => {
        const client = store.client();
        for (let round = 0; round < 10; round += 1) {
          const first = await leaseClientIds(client, 3);
          leased.push(first, first + 1, first + 2);
        }
      };
      await Promise.all([lease(), lease(), lease()]);
      assert.equal(new Set(leased).size, 90);
      assert.ok(leased.every((id) => id >= 1));
    }
  });

  it('begin with 1 and come in blocks', async () => {
    const coordinator = new MemoryCoordinator().client();
    assert.deepEqual([await leaseClientIds(coordinator, 1_000), await leaseClientIds(coordinator, 1)], [1, 1_001]);
  });

  it('bad counts and a damaged counter are errors; an unreachable coordinator too', async () => {
    const store = new MemoryCoordinator();
    const coordinator = store.client('one');
    for (const count of [0, -1, 0.5, NaN, 1e9])
      await rejects(leaseClientIds(coordinator, count), 'bad-argument', /ids/);
    await putText(coordinator, clientIdsKey, '{"next":0}');
    await rejects(leaseClientIds(coordinator, 1), 'data-damaged', /client-ids/);
    store.cut('one');
    await assert.rejects(leaseClientIds(coordinator, 1), CoordinatorError);
  });
});
