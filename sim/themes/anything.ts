/**
 * Lives made for nothing in particular: any cluster, any world, any workload, any faults. What it draws is also the
 * ground on which the other themes change what they need.
 */
import { below } from '../../src/env/random.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { pick } from '../pick.ts';
import type { ClusterPlan, Theme, WorkloadPlan, WorldPlan } from '../plan.ts';

const KIB = 1024;

export const anything: Theme = { name: 'anything', draw: () => ({}) };

export function drawCluster(random: SimulatedRandom): ClusterPlan {
  const loggers = pick(random, [1, 2, 2, 3, 3, 3, 4]);
  const replicas = Math.min(loggers, pick(random, [1, 2, 2, 3, 3, 3]));
  const gateways = pick(random, [1, 2, 2, 3]);
  return {
    gateways,
    loggers,
    replicas,
    shards: pick(random, [gateways, gateways, 1, 2, 4]),
    minReplicas: below(random, 4) === 0 ? replicas : 1,
    zoneSize: pick(random, [64, 64, 128, 256]) * KIB,
    alignment: pick(random, [1, 512, 512, 4096]),
    extentBytes: pick(random, [16, 64]) * KIB,
    prefillBytes: pick(random, [0, 16 * KIB, 128 * KIB]),
    valueCacheBytes: pick(random, [0, 64 * KIB, 1024 * KIB]),
    snapshotEveryBytes: pick(random, [8 * KIB, 64 * KIB, 1024 * KIB]),
    loggerTimeoutMs: pick(random, [100, 300, 1_000, 2_000]),
    sealWaitMs: pick(random, [1, 50, 50]),
    coldSealWaitMs: pick(random, [100, 1_000, 3_000]),
    regrowDelayMs: pick(random, [20, 300, 1_000]),
    batchesInFlightMax: pick(random, [1, 2, 2]),
    batchBytesTarget: pick(random, [4 * KIB, 16 * KIB, 1024 * KIB]),
    firstHandWaitMs: pick(random, [1_000, 30_000]),
    repairDelayMs: pick(random, [0, 1_000, 600_000]),
    repairBytesPerSecond: pick(random, [64 * KIB, 1024 * KIB, 64 * 1024 * KIB]),
    // A multiple of every alignment drawn; headers fit.
    appendPieceBytes: pick(random, [8 * KIB, 8 * KIB, 1024 * KIB]),
    suspicionLeastMs: pick(random, [60, 200]),
    suspicionMostMs: pick(random, [200, 500, 500]),
    loggerSlowMs: pick(random, [100, 500, 500]),
    scrubBytesPerSecond: pick(random, [0, 64 * KIB, 1024 * KIB, 16 * 1024 * KIB]),
    scrubEveryMs: pick(random, [1_000, 10_000, 86_400_000]),
  };
}

export function drawWorld(random: SimulatedRandom, cluster: ClusterPlan): WorldPlan {
  const nodes = cluster.gateways + cluster.loggers;
  const delayMaxMs = pick(random, [0.5, 0.5, 2, 20]);
  return {
    delayMinMs: 0.05,
    delayMaxMs,
    splitProbability: pick(random, [0, 0.02, 0.2]),
    joinProbability: pick(random, [0, 0.2, 0.8]),
    syncDelayMs: pick(random, [0.1, 0.5, 3]),
    syncDelaySpreadMs: pick(random, [0, 0.5, 10]),
    readDelayMs: pick(random, [0, 0.1, 2]),
    clockRates: Array.from({ length: nodes }, () => 1 + (random.fraction() - 0.5) / 25),
    wallOffsetsMs: Array.from({ length: nodes }, () =>
      below(random, 3) === 0 ? below(random, 7_200_000) - 3_600_000 : 0,
    ),
  };
}

export function drawWorkload(random: SimulatedRandom, cluster: ClusterPlan): WorkloadPlan {
  const some = (): number => pick(random, [0, 1, 1, 4]);
  const clients = 1 + below(random, 3);
  const workersPerClient = 1 + below(random, 6);
  return {
    clients,
    workersPerClient,
    operations: 1_000,
    keys: pick(random, [1, 3, 10, 40, 200]),
    hotOneIn: pick(random, [0, 2, 3]),
    hotKeys: pick(random, [1, 2]),
    weights: {
      get: pick(random, [2, 4, 8]),
      put: pick(random, [3, 6]),
      delete: some(),
      'put-if-version': some(),
      'put-if-absent': some(),
      'delete-if-version': some(),
      'put-many': pick(random, [0, 0, 1]),
      'get-many': pick(random, [0, 0, 1]),
    },
    valueBytesMax: pick(random, [40, 400, 4_000, Math.min(20_000, Math.floor(cluster.zoneSize / 4))]),
    batchMax: pick(random, [2, 8]),
    durationMs: pick(random, [800, 2_500, 2_500, 8_000]),
    burstPercent: pick(random, [0, 50, 95]),
    timeoutMs: pick(random, [400, 2_000, 10_000]),
    directClients: pick(random, [clients, clients, below(random, clients + 1)]),
    sides: clients > 1 && cluster.gateways > 1 && below(random, 3) === 0 ? { listening: -1, speaking: [] } : undefined,
    moveEveryMs: pick(random, [0, 0, 0, 100, 400]),
  };
}
