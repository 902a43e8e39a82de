/**
 * Lives made for what loggers must keep (S3, S9, S17): long batches with a sync always under way, and faults in
 * sequences that chance hardly ever strings together:
 *
 *   torn tail        everything loses power in the middle of a sync, and the loggers once more when the tail is known
 *   failed tail      a sync fails and every gateway dies before it can react; the loggers lose power when the take-over
 *                    has used what a scan found
 *   failed sync      a sync fails, and the machine loses power before the process has come back
 *   busy usurper     a gateway is replaced while it goes on writing: seals find appends in the queue
 *   late appends     a logger restarts, and what was sent to it before arrives afterwards
 *   lost tail        everything loses power, and one logger comes back without its last sync
 *   lonely liar      one logger comes back without its last sync, before any other
 *   torn fill        as `lost tail`, and the logger loses power once more while its copies are completed
 *   rotten tail      a logger's zones rot, everything goes down, and nobody else comes up before it has restarted twice
 *   rotten log       a logger's zones rot, and the gateways, or everything, must read the log anew
 *   rotten metadata  gateways restart, and a logger forgets the fence that this raised, or which zone is open
 *   wiped disk       a logger begins again with nothing, and the gateways, or everything, are down meanwhile
 *   older metadata   gateways restart, and then everything does, with the metadata of before
 *   unknown outcome  gateways restart while the coordinator loses requests and answers
 */
import { below } from '../../src/env/random.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { budget } from '../budget.ts';
import type { Cast } from '../faults/actor.ts';
import { pick } from '../pick.ts';
import type { ClusterPlan, Fault, Theme, WorkloadPlan, WorldPlan } from '../plan.ts';

const KIB = 1024;

export const storage: Theme = {
  name: 'storage',
  draw: (random) => ({ cluster: drawCluster(random), world: drawWorld(random), workload: drawWorkload(random) }),
  drawFaults,
};

function drawCluster(random: SimulatedRandom): Partial<ClusterPlan> {
  const loggers = pick(random, [1, 2, 2, 2, 3, 3]);
  return {
    gateways: pick(random, [1, 2, 2]),
    loggers,
    replicas: loggers,
    minReplicas: 1,
    shards: pick(random, [1, 1, 2]),
    zoneSize: pick(random, [128, 256]) * KIB,
    // Batches that begin with a page: of what a power loss leaves of them, headers survive without their blocks.
    alignment: pick(random, [1, 512, 4096, 4096]),
    // A take-over hears all loggers: one that had to wait for one that is down would not use what it held.
    coldSealWaitMs: pick(random, [100, 1_000, 1_000]),
    sealWaitMs: pick(random, [1, 50]),
    // Where copies rot, the scrub has something to find; it heals what others were to meet, so not in every life.
    scrubBytesPerSecond: pick(random, [0, 0, 16_384]) * KIB,
    scrubEveryMs: 1_000,
  };
}

function drawWorld(random: SimulatedRandom): Partial<WorldPlan> {
  return {
    syncDelayMs: pick(random, [3, 6, 10]),
    syncDelaySpreadMs: pick(random, [0.5, 5]),
    delayMaxMs: pick(random, [0.5, 0.5, 2]),
  };
}

function drawWorkload(random: SimulatedRandom): Partial<WorkloadPlan> {
  const clients = pick(random, [2, 3]);
  return {
    clients,
    workersPerClient: pick(random, [2, 4]),
    directClients: clients,
    keys: pick(random, [3, 10, 40]),
    weights: {
      get: 1,
      put: 6,
      delete: 1,
      'put-if-version': pick(random, [0, 1]),
      'put-if-absent': 0,
      'delete-if-version': 0,
      'put-many': pick(random, [0, 1]),
      'get-many': 0,
    },
    // Values of several blocks: what is lost must be more than the block that the next write touches.
    valueBytesMax: pick(random, [4_000, 15_000]),
    durationMs: pick(random, [2_500, 4_000]),
    burstPercent: pick(random, [0, 50]),
    timeoutMs: pick(random, [400, 2_000]),
  };
}

type Sequence = (random: SimulatedRandom, cast: Cast, atMs: number) => Fault[];

function drawFaults(random: SimulatedRandom, cast: Cast, windowMs: number): readonly Fault[] {
  const count = 3 + below(random, 4);
  const spoiling = pick(random, cast.loggers.length > 1 ? spoilings : lonelySpoilings);
  const { firstSequences, sequences } = spoiling;
  const begins = spoiling === back || below(random, 2) === 0;
  const first = begins ? pick(random, firstSequences)(random, cast, calmMs + below(random, calmMs)) : [];
  const fromMs = begins ? calmMs + aloneMs : 0;
  const draw = (): Fault[] => pick(random, sequences)(random, cast, fromMs + below(random, windowMs - fromMs));
  const faults = [first, ...Array.from({ length: count - first.length }, draw)];
  return faults
    .flat()
    .sort((a, b) => a.atMs - b.atMs)
    .slice(0, budget.faultsMax);
}

/** Time before the first sequence, in which all shards are taken, and that it has for itself. */
const calmMs = 400;
const aloneMs = 1_000;

/** Sequences that spoil no disk. */
const soundSequences: readonly Sequence[] = [
  tornTail,
  tornTail,
  failedTail,
  failedSync,
  busyUsurper,
  lateAppends,
  unknownOutcome,
];

/** Way in which the disk of one logger is spoilt: one in a life (budget.ts). */
interface Spoiling {
  /** Sequences that happen only where every shard is served: what hits many nodes before leaves no room for them. */
  readonly firstSequences: readonly Sequence[];
  readonly sequences: readonly Sequence[];
}

const back: Spoiling = {
  firstSequences: [lostTail, lonelyLiar, lonelyLiar, lonelyLiar, tornFill, tornFill, tornFill],
  sequences: [...soundSequences, lostTail, lostTail, tornFill, tornFill],
};

const rotten: Spoiling = {
  firstSequences: [rottenTail, rottenTail, rottenLog],
  sequences: [...soundSequences, rottenLog, rottenLog, rottenTail],
};

/** Spoiling that takes nothing away which the logger could not know again: nobody else needs to hold it. */
const forgetful: Spoiling = {
  firstSequences: [rottenMetadata],
  sequences: [...soundSequences, rottenMetadata, rottenMetadata, rottenMetadata],
};

const wiped: Spoiling = {
  firstSequences: [wipedDisk],
  sequences: [...soundSequences, wipedDisk, wipedDisk],
};

/** Spoiling of no disk, but of the coordinator's: not in a life in which a logger may have forgotten. */
const older: Spoiling = {
  firstSequences: [olderMetadata],
  sequences: [...soundSequences, olderMetadata, olderMetadata],
};

const spoilings: readonly Spoiling[] = [back, back, back, back, rotten, rotten, forgetful, wiped, older];
/** Spoilings where there is one logger. */
const lonelySpoilings: readonly Spoiling[] = [forgetful, older];

function tornTail(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const downMs = 1 + below(random, 200);
  const nodes = [...loggers, ...gateways];
  const first: Fault = {
    kind: 'kill-at',
    atMs,
    node: pick(random, loggers),
    how: 'power',
    downMs,
    site: 'sync',
    count: 1 + below(random, 4),
    others: nodes,
  };
  const again: Fault = {
    kind: 'blackout',
    atMs: atMs + downMs + below(random, 800),
    nodes: loggers,
    downMs: 1 + below(random, 200),
  };
  return below(random, 2) === 0 ? [first] : [first, again];
}

function failedTail(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const downMs = 1 + below(random, 100);
  return [
    { kind: 'fail-sync', atMs, node, downMs, then: { nodes: gateways, how: 'process', afterMs: random.fraction() } },
    {
      kind: 'blackout',
      atMs: atMs + 250 + below(random, 700),
      nodes: pick(random, [[node], loggers]),
      downMs: 1 + below(random, 200),
    },
  ];
}

function failedSync(random: SimulatedRandom, { loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const downMs = 1 + below(random, 200);
  const nodes = pick(random, [[node], loggers]);
  return [{ kind: 'fail-sync', atMs, node, downMs, then: { nodes, how: 'power', afterMs: random.fraction() * 3 } }];
}

function busyUsurper(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const forMs = 200 + below(random, 600);
  return [
    { kind: 'slow-syncs', atMs, node: pick(random, loggers), delayMs: 5 + below(random, 40), forMs },
    {
      kind: 'replace',
      atMs: atMs + below(random, 50),
      node: pick(random, gateways),
      old: 'alive',
      unreached: [],
      forMs,
    },
  ];
}

function lateAppends(random: SimulatedRandom, { loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const how = pick(random, ['process', 'power'] as const);
  const restart: Fault = { kind: 'kill', atMs, node, how, downMs: 1 + below(random, 50) };
  const late: Fault = { kind: 'late-appends', atMs: atMs + 1, node };
  return [restart, late, { kind: 'late-appends', atMs: atMs + below(random, 400), node }];
}

/**
 * Sequence whose weather begins when the gateways are up again (20 ms) and about to claim (100 ms): earlier they would
 * not even start.
 */
function unknownOutcome(random: SimulatedRandom, { gateways }: Cast, atMs: number): Fault[] {
  const kills = gateways.map(
    (node): Fault => ({ kind: 'kill', atMs, node, how: 'process', downMs: 1 + below(random, 20) }),
  );
  const weather: Fault = {
    kind: 'coordinator',
    atMs: atMs + 40 + below(random, 80),
    forMs: 100 + below(random, 400),
    delayMs: below(random, 10),
    requestLost: pick(random, [0, 0.2]),
    answerLost: 0.4 + random.fraction() * 0.4,
    timeoutMs: 5 + below(random, 30),
    everyMs: 0,
  };
  return [...kills, weather];
}

function lostTail(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const others = pick(random, [loggers, [...loggers, ...gateways]]);
  const node = pick(random, loggers);
  // Longer than one sync takes, shorter than a few.
  return [{ kind: 'put-back', atMs, node, forMs: 5 + below(random, 15), downMs: 1 + below(random, 200), others }];
}

/** Sequence whose take-over hears for long only what the disk that went back holds (S9). */
function lonelyLiar(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const forMs = 10 + below(random, 20);
  const liar: Fault = { kind: 'put-back', atMs, node, forMs, downMs: 1 + below(random, 50), others: [...gateways] };
  const others = loggers.filter((logger) => logger !== node);
  // The gateways wait for them only when they are up themselves, have claimed, and have heard nobody else for a while.
  const downMs = 2_000 + below(random, 1_000);
  return [
    liar,
    ...others.map((logger): Fault => ({ kind: 'kill', atMs: atMs + forMs + 1, node: logger, how: 'power', downMs })),
  ];
}

/** Sequence whose gateways claim their shards again before the metadata of before that comes back. */
function olderMetadata(random: SimulatedRandom, { gateways }: Cast, atMs: number): Fault[] {
  const kills = gateways.map(
    (node): Fault => ({
      kind: 'kill',
      atMs: atMs + below(random, 50),
      node,
      how: 'process',
      downMs: 1 + below(random, 20),
    }),
  );
  const afterMs = 600 + below(random, 600);
  const forMs = 500 + below(random, 1_000);
  return [{ kind: 'metadata-back', atMs, afterMs, forMs, downMs: 1 + below(random, 100) }, ...kills];
}

/** Sequence whose second loss of power comes when a copy was completed, or at one of the syncs before that. */
function tornFill(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  // Many blocks, of which the second loss of power leaves not all.
  const forMs = 20 + below(random, 30);
  // All are down for as long: the take-over hears all of them.
  const downMs = 1 + below(random, 200);
  const site = pick(random, ['filled', 'filled', 'filled', 'sync'] as const);
  const count = site === 'filled' ? 1 : 1 + below(random, 8);
  return [
    { kind: 'put-back', atMs, node, forMs, downMs, others: [...loggers, ...gateways] },
    { kind: 'kill-at', atMs: atMs + forMs + 1, node, how: 'power', downMs, site, count, others: [] },
  ];
}

/**
 * Sequence in which only the rotten logger answers a take-over, in its second process since: it must still know that
 * something lies behind what is intact (S9).
 */
function rottenTail(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const perMille = pick(random, [300, 1_000]);
  const power = { kind: 'kill', how: 'power' } as const;
  const downMs = 1 + below(random, 50);
  return [
    { kind: 'rot-zones', atMs, node, perMille, how: 'power', downMs },
    ...gateways.map((gateway): Fault => ({ ...power, atMs, node: gateway, downMs: 400 })),
    ...loggers
      .filter((logger) => logger !== node)
      .map((logger): Fault => ({ ...power, atMs, node: logger, downMs: 2_500 + below(random, 1_500) })),
    { ...power, atMs: atMs + downMs + 150, node, downMs: 1 + below(random, 50) },
  ];
}

function rottenLog(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const how = pick(random, ['none', 'process'] as const);
  const nodes = pick(random, [gateways, [...gateways, ...loggers]]);
  return [
    { kind: 'rot-zones', atMs, node, perMille: pick(random, [100, 1_000]), how, downMs: 1 + below(random, 50) },
    { kind: 'blackout', atMs: atMs + below(random, 300), nodes, downMs: 1 + below(random, 50) },
  ];
}

function rottenMetadata(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const telling = pick(random, ['fence', 'zone'] as const);
  const how = pick(random, ['process', 'power'] as const);
  return [
    ...gateways.map((gateway): Fault => ({ kind: 'kill', atMs, node: gateway, how: 'process', downMs: 1 })),
    { kind: 'rot-metadata', atMs: atMs + 200 + below(random, 400), node, how, downMs: 1 + below(random, 100), telling },
  ];
}

function wipedDisk(random: SimulatedRandom, { gateways, loggers }: Cast, atMs: number): Fault[] {
  const node = pick(random, loggers);
  const how = pick(random, ['process', 'power'] as const);
  const downMs = 1 + below(random, below(random, 2) === 0 ? 100 : 1_500);
  const nodes = pick(random, [gateways, [...gateways, ...loggers]]);
  return [
    { kind: 'wiped', atMs, node, how, downMs },
    { kind: 'blackout', atMs: atMs + below(random, 400), nodes, downMs: 1 + below(random, 200) },
  ];
}
