import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import type { Coordinator } from '../../src/coordinator/coordinator.ts';
import { encodeMetadata, headKey } from '../../src/core/shard/head/metadata.ts';
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
  const store = new MetadataStore(coordinator, 2);
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
