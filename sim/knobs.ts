/**
 * Knobs: limits of the product that a life makes small, so that paths that take much are walked by little. Each life
 * leaves most of them at their defaults; a shrinker can take any away.
 */
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import { below } from '../src/env/random.ts';
import type { GatewayLimits } from '../src/gateway/limits.ts';
import { gatewayLimits } from '../src/gateway/limits.ts';
import type { LoggerLimits } from '../src/logger/limits.ts';
import { loggerLimits } from '../src/logger/limits.ts';
import { pick } from './pick.ts';

const KIB = 1024;

/** Values that a knob is drawn from; sizes are bytes. */
const choices = {
  /** Shards: requests that wait, batches, what is read, kept and completed at once. */
  queueRecordsMax: [3, 10, 30],
  queueBytesMax: [30 * KIB, 100 * KIB],
  batchRecordsMax: [1, 2, 5],
  tailKeptBytesMax: [1, 3 * KIB, 10 * KIB],
  fillBytesMax: [0, 4 * KIB, 16 * KIB],
  fillPieceBytes: [1, 2 * KIB, 8 * KIB],
  logChunkBytes: [512, 2 * KIB, 8 * KIB],
  earlyBytesMax: [0, 500],
  /** Clients and their numbers. */
  clientsMax: [1, 2, 3],
  window: [8, 16],
  onceBytesMax: [2 * KIB, 5 * KIB],
  forgottenRangesMax: [1, 2],
  clientIdsLeased: [1, 2],
  onceResultsPerStep: [1, 2],
  /** Gateways: what is held, forwarded, read and told. */
  heldRequestsMax: [0, 2],
  forwardedBytesMax: [1, 1 * KIB, 30 * KIB],
  largeBytesPerConnection: [1, 10 * KIB],
  readBytesPerConnection: [25 * KIB, 60 * KIB],
  readBytesMax: [40 * KIB, 80 * KIB],
  // With room for a word of each shard: what is dropped for ever is never healed.
  catchUpQueuedBytes: [1 * KIB],
  catchUpGatheredBytes: [1, 500],
  /** Messages to loggers. */
  appendItemsMax: [1, 2],
  appendBytesMax: [1, 8 * KIB],
  confirmItemsMax: [1, 2],
  readItemsMax: [1, 2],
  readsBytesMax: [1, 4 * KIB],
  unsentBytesMax: [0, 2 * KIB],
  /** Connections. */
  outputBytesPause: [1, 300],
  /** Loggers. */
  knownZonesMax: [1, 2],
  scanChunkBytes: [512, 2 * KIB, 8 * KIB],
  metadataGrownBytes: [1, 2 * KIB],
  coldReadsMax: [1],
  cacheBytes: [0, 32 * KIB],
  // Extents that were never used run out, then all do, until there is more space (node-options.ts).
  deviceBytes: [3 * 1024 * KIB, 4 * 1024 * KIB],
} as const satisfies Readonly<Record<string, readonly number[]>>;

export type Knob = keyof typeof choices;
/** Knobs that are turned; all others are at their defaults. */
export type Knobs = Readonly<Partial<Record<Knob, number>>>;

/** Lives of which one has knobs turned, and knobs of which one is then. */
const livesPerTurned = 2;
const knobsPerTurned = 4;

export function drawKnobs(random: SimulatedRandom): Knobs {
  if (below(random, livesPerTurned) > 0) return {};
  const knobs: Partial<Record<Knob, number>> = {};
  for (const name of Object.keys(choices) as Knob[]) // The keys of a constant, which are its type's.
    if (below(random, knobsPerTurned) === 0) knobs[name] = pick(random, choices[name]);
  return knobs;
}

export function gatewayLimitsOf(knobs: Knobs): GatewayLimits {
  const { shard, once, clientIdsLeased, snapshots, held, forwards, reads, catchUp, outbox, connections } =
    gatewayLimits;
  return {
    shard: { ...shard, ...turned(knobs, shard) },
    once: { ...once, ...turned(knobs, once), bytesMax: knobs.onceBytesMax ?? once.bytesMax },
    clientIdsLeased: knobs.clientIdsLeased ?? clientIdsLeased,
    snapshots: { ...snapshots, ...turned(knobs, snapshots) },
    held: { ...held, requestsMax: knobs.heldRequestsMax ?? held.requestsMax },
    forwards: {
      ...forwards,
      writeBytesMax: knobs.forwardedBytesMax ?? forwards.writeBytesMax,
      unsentBytesMax: knobs.unsentBytesMax ?? forwards.unsentBytesMax,
    },
    reads: {
      ...reads,
      // Values of a life are small ones all, unless this is.
      smallBytes: knobs.largeBytesPerConnection === undefined ? reads.smallBytes : 2 * KIB,
      largeBytesPerConnection: knobs.largeBytesPerConnection ?? reads.largeBytesPerConnection,
      bytesPerConnection: knobs.readBytesPerConnection ?? reads.bytesPerConnection,
      bytesMax: knobs.readBytesMax ?? reads.bytesMax,
    },
    catchUp: {
      queuedBytesMax: knobs.catchUpQueuedBytes ?? catchUp.queuedBytesMax,
      gatheredBytes: knobs.catchUpGatheredBytes ?? catchUp.gatheredBytes,
    },
    outbox: { ...outbox, ...turned(knobs, outbox), readBytesMax: knobs.readsBytesMax ?? outbox.readBytesMax },
    connections: { ...connections, ...turned(knobs, connections) },
  };
}

export function loggerLimitsOf(knobs: Knobs): LoggerLimits {
  const { connections } = loggerLimits;
  return {
    ...loggerLimits,
    ...turned(knobs, loggerLimits),
    connections: { ...connections, ...turned(knobs, connections) },
  };
}

/** Knobs that bear the names of `defaults`' members. */
function turned<T extends object>(knobs: Knobs, defaults: T): Partial<Record<keyof T & Knob, number>> {
  const names = Object.keys(defaults);
  const entries = Object.entries(knobs).filter(([name]) => names.includes(name));
  return Object.fromEntries(entries) as Partial<Record<keyof T & Knob, number>>; // Filtered by both, just above.
}
