/**
 * S16: two clusters on one machine. While a gateway of cluster A is down, a gateway of cluster B comes to listen at its
 * peer address. Nothing of the one cluster gets into the other.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import type { Log } from '../../src/base/log.ts';
import { silent } from '../../src/base/log.ts';
import { MIB } from '../../src/base/units.ts';
import { connect } from '../../src/client/index.ts';
import { joinCluster } from '../../src/coordinator/cluster-record.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import type { Address } from '../../src/env/network.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import type { GatewayNode } from '../../src/gateway/options.ts';
import { startLogger } from '../../src/logger/logger.ts';
import { startCluster } from '../../src/server/index.ts';

const device = { capacityBytes: 64 * MIB, alignment: 512 };
const keys = Array.from({ length: 20 }, (_, number) => `key${number}`);
const anyPort = '127.0.0.1:0';

/** One logger and one gateway of a cluster of its own, with its peer port at `peerAddress`. */
async function clusterAt(peerAddress: Address, folder: string, closing: (() => Promise<void>)[]): Promise<GatewayNode> {
  const world = { ...realEnvironment(), coordinator: new MemoryCoordinator().client(), log: silent };
  const record = await joinCluster(world.coordinator, world.random, { shardCount: 2, zoneSize: MIB });
  const { cluster, zoneSize } = record;
  const ports = { readAddress: anyPort, writeAddress: anyPort };
  const logger = await startLogger({ id: 0, folder: `${folder}-logger`, cluster, zoneSize, ...ports, device }, world);
  closing.push(() => logger.close());
  const gateway = await startGateway(
    {
      id: 0,
      gatewayCount: 1,
      folder: `${folder}-gateway`,
      cluster: record,
      clientAddress: anyPort,
      peerAddress,
      replicas: 1,
      minReplicas: 1,
      valueCacheBytes: 0,
      snapshotEveryBytes: MIB,
      loggerTimeoutMs: 2_000,
    },
    world,
  );
  closing.push(() => gateway.close());
  return gateway;
}

test('S16 a gateway forwards nothing to a gateway of another cluster, and says who listens there', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  const closing: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  context.after(async () => {
    for (const close of closing.reverse()) await close();
  });
  let said = (_reason: string): void => undefined;
  const refused = new Promise<string>((resolve) => {
    said = resolve;
  });
  const log: Log = (_level, event, fields) => {
    if (event === 'peer not accepted') said(String(fields?.['reason']));
  };
  const a = await startCluster({
    folder: path.join(folder, 'a'),
    gateways: 2,
    shards: 2,
    zoneSize: MIB,
    device,
    coordinator: new MemoryCoordinator().client(),
    environment: realEnvironment(),
    log,
  });
  closing.push(() => a.close());
  await using client = await connect(a.endpoints[0] ?? '', { direct: false, timeoutMs: 5_000 });
  for (const key of keys) await client.put(key, 'written to a');
  const { peerAddress } = a.gateways[1] ?? assert.fail();
  await a.gateways[1]?.close();
  const b = await clusterAt(peerAddress, path.join(folder, 'b'), closing);
  assert.match(await refused, /this is cluster/);
  // The gateway that is there takes over what the other one had: nothing is to go to whoever listens there now.
  for (const key of keys) await client.put(key, 'meant for a');
  for (const key of keys) assert.equal((await client.get(key))?.text, 'meant for a');
  assert.deepEqual(client.status().owners, [0, 0]);
  await using inB = await connect(b.clientAddress, { timeoutMs: 5_000 });
  const strays = [];
  for (const key of keys) if ((await inB.get(key)) !== undefined) strays.push(key);
  assert.deepEqual(strays, [], 'writes of cluster A stand in cluster B');
});
