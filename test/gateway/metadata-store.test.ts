import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import type { Coordinator } from '../../src/coordinator/coordinator.ts';
import { CoordinatorError } from '../../src/coordinator/coordinator.ts';
import type { HeadEdit } from '../../src/core/shard/head/head-edits.ts';
import { begun, zoneChanged } from '../../src/core/shard/head/head-edits.ts';
import { encodeMetadata, headKey, zoneKey } from '../../src/core/shard/head/metadata.ts';
import { MetadataStore } from '../../src/gateway/metadata-store.ts';

const node = uuid('a'.repeat(32));
const instance = instanceId('1'.repeat(16));

async function setOwner(coordinator: Coordinator, shard: number, gateway: number): Promise<void> {
  const key = headKey(shardId(shard));
  const before = await coordinator.get(key);
  const head = {
    epoch: epoch(1),
    owner: { gateway, node, instance },
    openZone: { zone: zoneId(1), epoch: epoch(1), instance, replicas: [node], processes: [instance] },
    nextZone: zoneId(2),
    change: 1,
  };
  await coordinator.transact([{ key, revision: before?.revision ?? 0 }], [{ key, value: encodeMetadata(head) }]);
}

/** Opens a store and gives a function that waits until it has seen the owner. */
async function open(
  coordinator: Coordinator,
): Promise<{ store: MetadataStore; sees: (shard: number, gateway: number) => Promise<void> }> {
  const store = new MetadataStore(coordinator, 2, { clock: new SimulatedClock(), log: silent });
  let news = (): void => undefined;
  await store.open({ onShard: () => news(), onMembers: () => undefined });
  const sees = async (shard: number, gateway: number): Promise<void> => {
    while (store.ownerOf(shardId(shard)) !== gateway) {
      await new Promise<void>((resolve) => {
        news = resolve;
      });
    }
  };
  return { store, sees };
}

test('the maps of two gateways can be compared: one that started later, with the newer map, has the larger revision', async () => {
  const coordinator = new MemoryCoordinator().client();
  const old = await open(coordinator);
  for (let change = 0; change < 5; change++) await setOwner(coordinator, 0, change);
  await old.sees(0, 4);
  const { revision } = old.store.map;
  old.store.close();
  await setOwner(coordinator, 0, 7);
  const young = await open(coordinator);
  assert.equal(young.store.map.owners[0], 7);
  assert.ok(young.store.map.revision > revision, `${young.store.map.revision} after ${revision}`);
  const third = await open(coordinator);
  await setOwner(coordinator, 1, 3);
  await Promise.all([young.sees(1, 3), third.sees(1, 3)]);
  assert.deepEqual(young.store.map, third.store.map);
  young.store.close();
  third.store.close();
});

/** A coordinator that says what it was asked to read. */
function watched(inner: Coordinator, asked: string[]): Coordinator {
  return {
    source: inner.source,
    get: (key) => {
      asked.push(key);
      return inner.get(key);
    },
    list: (prefix) => {
      asked.push(`${prefix}*`);
      return inner.list(prefix);
    },
    transact: (compares, writes) => inner.transact(compares, writes),
    // News come too late here.
    watch: () => ({ close: () => undefined }),
    hint: () => inner.hint(),
    close: () => inner.close(),
  };
}

const opened = { replicas: [node], processes: [instanceId('2'.repeat(16))] };

test('what one change of a zone may have changed is read without the entries of all zones', async () => {
  const coordinator = new MemoryCoordinator().client();
  const shard = shardId(0);
  const owner = { gateway: 0, node, instance: instanceId('1'.repeat(16)) };
  const first: HeadEdit = begun(owner, opened);
  const write = async ({ head, zones }: HeadEdit): Promise<void> => {
    const revision = (await coordinator.get(headKey(shard)))?.revision ?? 0;
    const entries = zones.map((zone) => ({ key: zoneKey(shard, zone.zone), value: encodeMetadata(zone) }));
    const writes = [{ key: headKey(shard), value: encodeMetadata(head) }, ...entries];
    assert.equal((await coordinator.transact([{ key: headKey(shard), revision }], writes)).kind, 'applied');
  };
  await write(first);
  const asked: string[] = [];
  const store = new MetadataStore(watched(coordinator, asked), 1, { clock: new SimulatedClock(), log: silent });
  await store.open({ onShard: () => undefined, onMembers: () => undefined });
  asked.length = 0;
  const changed = zoneChanged(first.head, 100, opened);
  await write(changed);
  const known = await store.loadChange(shard);
  assert.deepEqual([known.head?.openZone.zone, known.zones.map(({ zone, length }) => [zone, length])], [2, [[1, 100]]]);
  assert.deepEqual(asked, [headKey(shard), zoneKey(shard, zoneId(1))]);
  assert.deepEqual(known, await store.load(shard));
  const empty = zoneChanged(changed.head, 0, opened);
  await write(empty);
  assert.equal((await store.loadChange(shard)).zones.length, 1, 'a zone that ended empty has no entry');
  asked.length = 0;
  await store.loadChange(shard);
  assert.deepEqual(asked, [headKey(shard)], 'nothing has changed');
  const third = zoneChanged(empty.head, 50, opened);
  await write(third);
  await write(zoneChanged(third.head, 60, opened));
  assert.equal((await store.loadChange(shard)).zones.length, 3, 'more has changed: everything is read');
});

test('a watch that was lost is followed by another, after everything was read anew', async () => {
  const coordinator = new MemoryCoordinator().client();
  let lose: (() => void) | undefined;
  let isAway = false;
  const clock = new SimulatedClock();
  // A coordinator whose watch can be lost, and that does not answer for a while then.
  const losing: Coordinator = {
    source: coordinator.source,
    get: (key) => coordinator.get(key),
    list: async (prefix) => {
      if (isAway) throw new CoordinatorError('not-applied', 'away');
      return await coordinator.list(prefix);
    },
    transact: (compares, writes) => coordinator.transact(compares, writes),
    hint: () => coordinator.hint(),
    close: () => coordinator.close(),
    watch: (prefix, after, onChanges, onLost) => {
      const watch = coordinator.watch(prefix, after, onChanges);
      lose = () => {
        watch.close();
        onLost?.();
      };
      return watch;
    },
  };
  const store = new MetadataStore(losing, 2, { clock, log: silent });
  const told = new Set<number>();
  await setOwner(coordinator, 0, 1);
  await store.open({ onShard: (shard) => told.add(shard), onMembers: () => undefined });
  isAway = true;
  lose?.();
  await setOwner(coordinator, 0, 2);
  await clock.runUntil(clock.now() + 1_500);
  assert.equal(store.ownerOf(shardId(0)), 1, 'nothing was heard');
  isAway = false;
  await clock.runUntil(() => store.ownerOf(shardId(0)) === 2);
  assert.ok(told.has(0));
  await setOwner(coordinator, 1, 5);
  await clock.runUntil(() => store.ownerOf(shardId(1)) === 5);
  store.close();
});

test('S20 a head that is read and is older than one that was known is proof, for ever; one that is newer is none', async () => {
  const coordinator = new MemoryCoordinator();
  const key = headKey(shardId(0));
  await setOwner(coordinator.client(), 0, 1);
  const older = await coordinator.client().get(key);
  await setOwner(coordinator.client(), 0, 2);
  let isBack = false;
  const client = coordinator.client();
  const reader: Coordinator = {
    source: client.source,
    transact: (compares, writes) => client.transact(compares, writes),
    watch: (prefix, after, onChanges, onLost) => client.watch(prefix, after, onChanges, onLost),
    hint: () => client.hint(),
    close: () => client.close(),
    get: async (name) => (isBack && name === key ? older : client.get(name)),
    list: async (prefix) => {
      const listed = await client.list(prefix);
      return isBack && older !== undefined ? { ...listed, entries: [older] } : listed;
    },
  };
  for (const read of ['load', 'loadChange'] as const) {
    isBack = false;
    const { store } = await open(reader);
    assert.equal((await store[read](shardId(0))).wentBack, undefined);
    isBack = true;
    assert.match((await store[read](shardId(0))).wentBack ?? '', /revision/);
    isBack = false;
    assert.match((await store.load(shardId(0))).wentBack ?? '', /revision/);
    store.close();
  }
});

test('S20 a head whose change number falls, under a newer revision, is proof as well', async () => {
  const coordinator = new MemoryCoordinator().client();
  const writeHead = async (change: number): Promise<void> => {
    const key = headKey(shardId(0));
    const head = {
      epoch: epoch(1),
      owner: { gateway: 0, node, instance },
      openZone: { zone: zoneId(1), epoch: epoch(1), instance, replicas: [node], processes: [instance] },
      nextZone: zoneId(2),
      change,
    };
    const revision = (await coordinator.get(key))?.revision ?? 0;
    await coordinator.transact([{ key, revision }], [{ key, value: encodeMetadata(head) }]);
  };
  await writeHead(7);
  const { store } = await open(coordinator);
  await writeHead(8);
  assert.equal((await store.load(shardId(0))).wentBack, undefined);
  await writeHead(5);
  assert.match((await store.load(shardId(0))).wentBack ?? '', /change number 8 before, and now has 5/);
  store.close();
});
