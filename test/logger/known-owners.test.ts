/** S4: a logger that starts takes each shard's owner, as the coordinator names it, for its fence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import type { InstanceId } from '../../src/base/ids.ts';
import { instanceId, shardId, zoneId } from '../../src/base/ids.ts';
import { joinCluster } from '../../src/coordinator/cluster-record.ts';
import type { Coordinator } from '../../src/coordinator/coordinator.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import type { Head } from '../../src/core/shard/head/metadata.ts';
import { encodeMetadata, headKey } from '../../src/core/shard/head/metadata.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { knownOwners } from '../../src/logger/known-owners.ts';
import { outcomes, sealed, value, withFolder, withLogger, zoneSize } from './support.ts';
import { testCluster, testInstance, testWriter, ZoneWriter } from './zone-writer.ts';

const other = instanceId('2'.repeat(16));

async function clusterOf(shardCount: number): Promise<Coordinator> {
  const coordinator = new MemoryCoordinator().client();
  await joinCluster(coordinator, new SimulatedRandom(1), { shardCount, zoneSize });
  return coordinator;
}

async function setHead(coordinator: Coordinator, shard: number, bytes: Uint8Array): Promise<void> {
  const key = headKey(shardId(shard));
  const revision = (await coordinator.get(key))?.revision ?? 0;
  await coordinator.transact([{ key, revision }], [{ key, value: bytes }]);
}

/** A claim of `at`, whose zone is not opened yet: the open one is of the epoch before, and of another process. */
function claimOf(at: number, instance: InstanceId): Uint8Array {
  const openZone = { zone: zoneId(1), ...testWriter(1), replicas: [testCluster], processes: [testInstance] };
  const owner = { gateway: 0, node: testCluster, instance };
  const head: Head = { epoch: testWriter(at).epoch, owner, openZone, nextZone: zoneId(2), change: at };
  return encodeMetadata(head);
}

test('every shard that has a head has its owner, not the writer of its open zone', async () => {
  const coordinator = await clusterOf(3);
  assert.deepEqual(await knownOwners(coordinator), []);
  await setHead(coordinator, 0, claimOf(4, other));
  await setHead(coordinator, 2, claimOf(7, testInstance));
  assert.deepEqual(await knownOwners(coordinator), [
    { shard: 0, owner: testWriter(4, other), openZone: zoneId(1) },
    { shard: 2, owner: testWriter(7), openZone: zoneId(1) },
  ]);
});

test('without a cluster nobody owns anything', async () => {
  assert.deepEqual(await knownOwners(new MemoryCoordinator().client()), []);
});

test('what is no head is not taken for no owner', async () => {
  const coordinator = await clusterOf(1);
  await setHead(coordinator, 0, Buffer.from('{}'));
  await assert.rejects(knownOwners(coordinator), (error: unknown) => {
    return error instanceof KvError && error.code === 'data-damaged' && error.message.includes('shard/0/head');
  });
});

test('a logger whose folder forgot the fence refuses owners of before, and keeps what it learnt', async () => {
  await withFolder(async (folder) => {
    const coordinator = await clusterOf(2);
    const writer = new ZoneWriter({ epoch: 3 });
    await withLogger(folder, async (client) => void outcomes(await client.append(writer.filled(10))), {
      world: { coordinator },
    });
    await setHead(coordinator, 0, claimOf(5, other));
    const isRefused = async (client: Parameters<Parameters<typeof withLogger>[1]>[0]): Promise<void> => {
      const old = new ZoneWriter({ zone: 2, epoch: 4 });
      const twin = new ZoneWriter({ zone: 2, epoch: 5 });
      const appended = await client.append(writer.filled(10), old.filled(10), twin.filled(10));
      assert.deepEqual(outcomes(appended), ['fenced', 'fenced', 'fenced']);
      const confirmed = value(await client.confirm(1, writer.place, old.place, twin.place));
      assert.deepEqual(confirmed.refusals, ['fenced', 'fenced', 'fenced']);
    };
    await withLogger(folder, isRefused, { world: { coordinator } });
    // Another coordinator, which knows nothing: the fence is on the disk.
    await withLogger(folder, async (client) => {
      await isRefused(client);
      const seal = sealed(await client.seal({ shard: shardId(0), zone: zoneId(1), ...testWriter(5, other) }));
      assert.deepEqual(seal.known.fence, testWriter(5, other));
    });
  });
});
