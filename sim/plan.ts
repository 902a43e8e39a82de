/**
 * Everything that a seed decides before a life begins: the cluster, its settings, the workload, the faults. Plain data,
 * so that a shrinker can take parts away and run the rest. What else is random during the life comes from generators
 * forked from the same seed.
 */
import { below } from '../src/env/random.ts';
import { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { Cast, Fault, FaultKind } from './budget.ts';
import { drawFaults, pick } from './budget.ts';
import { clientHost, gatewayHost, loggerHost } from './hosts.ts';
import { drawRivals } from './rivals.ts';
import { drawStorageFaults, storageCluster, storageWorkload, storageWorld } from './storage-theme.ts';

const KIB = 1024;

export interface ClusterPlan {
  readonly gateways: number;
  readonly loggers: number;
  readonly shards: number;
  readonly zoneSize: number;
  readonly alignment: number;
  readonly replicas: number;
  readonly minReplicas: number;
  readonly extentBytes: number;
  readonly prefillBytes: number;
  readonly valueCacheBytes: number;
  readonly snapshotEveryBytes: number;
  readonly loggerTimeoutMs: number;
  readonly sealWaitMs: number;
  readonly coldSealWaitMs: number;
  readonly regrowDelayMs: number;
  readonly batchesInFlightMax: number;
  readonly batchBytesTarget: number;
}

export interface WorldPlan {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  readonly splitProbability: number;
  readonly joinProbability: number;
  readonly syncDelayMs: number;
  readonly syncDelaySpreadMs: number;
  readonly readDelayMs: number;
  /** One rate per node: gateways, then loggers. */
  readonly clockRates: readonly number[];
  readonly wallOffsetsMs: readonly number[];
}

export interface WorkloadPlan {
  readonly clients: number;
  readonly workersPerClient: number;
  readonly operations: number;
  readonly keys: number;
  /** One operation in so many goes to one of the few hot keys; 0: none. */
  readonly hotOneIn: number;
  readonly hotKeys: number;
  /** By kind: relative frequency. */
  readonly weights: Readonly<Record<OperationKind, number>>;
  readonly valueBytesMax: number;
  readonly batchMax: number;
  /** How long all operations take together when nothing delays them: faults happen in this time. */
  readonly durationMs: number;
  /** Of the pauses between a worker's operations, so many of a hundred are none: it comes in bursts. */
  readonly burstPercent: number;
  readonly timeoutMs: number;
  /**
   * Of so many clients each goes straight to the owners; the others stay with the gateways they were told of, which
   * forward.
   */
  readonly directClients: number;
  readonly sides: SidesPlan | undefined;
}

/**
 * Each client knows one gateway only, client i that of i modulo the gateways. Who had a write acknowledged tells a
 * client of another side, which looks at once and must see it: people talk to one another, not only through the store.
 */
export interface SidesPlan {
  /** The side whose clients only look when they are told; -1: none. */
  readonly listening: number;
  /** When they make calls of their own nevertheless. */
  readonly speaking: readonly { readonly fromMs: number; readonly toMs: number }[];
}

export type OperationKind =
  | 'get'
  | 'put'
  | 'delete'
  | 'put-if-version'
  | 'put-if-absent'
  | 'delete-if-version'
  | 'put-many'
  | 'get-many';

export interface Plan {
  readonly seed: number;
  readonly theme: Theme;
  readonly cluster: ClusterPlan;
  readonly world: WorldPlan;
  readonly workload: WorkloadPlan;
  readonly faults: readonly Fault[];
}

/** Most lives are anything; some are made for what anything rarely reaches. */
export type Theme = 'anything' | 'rivals' | 'storage' | 'blackout';

/** As often as they are named. */
const themes: readonly Theme[] = [
  'anything',
  'anything',
  'anything',
  'anything',
  'rivals',
  'rivals',
  'storage',
  'storage',
  'blackout',
];

export function drawPlan(seed: number): Plan {
  const random = new SimulatedRandom(seed).fork('plan');
  const theme = pick(random, themes);
  const made = drawTheme(theme, random.fork(theme));
  const cluster = { ...drawCluster(random.fork('cluster')), ...made.cluster };
  const world = { ...drawWorld(random.fork('world'), cluster), ...made.world };
  const workload = { ...drawWorkload(random.fork('workload'), cluster), ...made.workload };
  const cast = {
    gateways: names(cluster.gateways, gatewayHost),
    loggers: names(cluster.loggers, loggerHost),
    clients: names(workload.clients, clientHost),
  };
  const windowMs = workload.durationMs + 500;
  const faults = made.faults ?? drawThemeFaults(theme, random.fork('faults'), cast, windowMs);
  return { seed, theme, cluster, world, workload, faults };
}

const blackoutFaults: Readonly<Partial<Record<FaultKind, number>>> = {
  'kill-at': 6,
  blackout: 3,
  'slow-syncs': 1,
  kill: 1,
};

/** What a theme wants otherwise than drawn for any life. */
interface Made {
  readonly cluster?: Partial<ClusterPlan>;
  readonly world?: Partial<WorldPlan>;
  readonly workload?: Partial<WorkloadPlan>;
  readonly faults?: readonly Fault[];
}

function drawTheme(theme: Theme, random: SimulatedRandom): Made {
  switch (theme) {
    case 'anything':
      return {};
    case 'rivals':
      return drawRivals(random);
    case 'storage':
      return { cluster: storageCluster(random), world: storageWorld(random), workload: storageWorkload(random) };
    case 'blackout':
      return {
        world: { syncDelayMs: pick(random, [3, 10]) },
        workload: { durationMs: pick(random, [800, 2_500]), valueBytesMax: pick(random, [400, 4_000, 15_000]) },
      };
  }
}

function drawThemeFaults(theme: Theme, random: SimulatedRandom, cast: Cast, windowMs: number): readonly Fault[] {
  if (theme === 'storage') return drawStorageFaults(random, cast, windowMs);
  return drawFaults(random, cast, windowMs, theme === 'blackout' ? blackoutFaults : undefined);
}

function names(count: number, name: (id: number) => string): string[] {
  return Array.from({ length: count }, (_, id) => name(id));
}

function drawCluster(random: SimulatedRandom): ClusterPlan {
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
  };
}

function drawWorld(random: SimulatedRandom, cluster: ClusterPlan): WorldPlan {
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

function drawWorkload(random: SimulatedRandom, cluster: ClusterPlan): WorkloadPlan {
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
  };
}
