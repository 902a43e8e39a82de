/**
 * Every setting of the product: its default, its range, its unit and what it means, in tables by who sets it. The
 * command line, the config file, `kv-filelog/server`, the SDK and the parts that a setting is for read it here;
 * docs/operating.md lists those of the config file and of the SDK (a test compares both ways). What nobody sets is a
 * limit (limits.ts) or a time (times.ts).
 */
import { assert } from './assert.ts';
import { limits } from './limits.ts';
import { GIB, KIB, MIB, TIB } from './units.ts';

export interface IntegerSetting {
  readonly min: number;
  readonly max: number;
  /** Undefined: worked out from others, as `meaning` says. */
  readonly default: number | undefined;
  readonly unit: string;
  readonly meaning: string;
  /** A cluster, or a device, keeps the value that it was made with. */
  readonly fixed?: boolean;
  /** Only powers of two. */
  readonly powerOfTwo?: boolean;
}

type IntegerSettings = Readonly<Record<string, IntegerSetting>>;

/** Integers of a cluster's config file, by their path in it. `kv-filelog/server` takes them under the same names. */
export const clusterSettings = {
  shards: {
    min: 1,
    max: limits.shardCountMax,
    default: undefined,
    unit: 'shards',
    meaning: 'parts of the key space, each with its own log and owner; default: as many as gateways',
    fixed: true,
  },
  zoneSize: {
    min: limits.zoneBytesMin,
    max: limits.zoneBytesMax,
    default: 256 * MIB,
    unit: 'bytes',
    meaning: 'size of a zone of a log, a multiple of the alignment; bounds the size of a value',
    fixed: true,
  },
  replicas: {
    min: 1,
    max: limits.loggerCountMax,
    default: 3,
    unit: 'loggers',
    meaning: 'copies of each zone; all loggers if there are fewer',
  },
  minReplicas: {
    min: 1,
    max: limits.loggerCountMax,
    default: 1,
    unit: 'loggers',
    meaning: 'writes are refused while a new zone could have fewer copies',
  },
  valueCacheBytes: {
    min: 0,
    max: 64 * GIB,
    default: 64 * MIB,
    unit: 'bytes',
    meaning: 'values a gateway keeps in memory; 0: none',
  },
  snapshotEveryBytes: {
    min: 64 * KIB,
    max: TIB,
    default: 64 * MIB,
    unit: 'bytes of a log',
    meaning: 'a gateway writes a snapshot of its index each time a log grew by so much; bounds what a restart reads',
  },
  loggerTimeoutMs: {
    min: 50,
    max: 600_000,
    default: 2_000,
    unit: 'ms',
    meaning: 'a logger that owes answers and makes no progress for so long is taken for failed',
  },
  loggerSlowMs: {
    min: 50,
    max: 600_000,
    default: 500,
    unit: 'ms',
    meaning: '... and one that owes for so long what another replica has answered is left in the open zone',
  },
  firstHandWaitMs: {
    min: 0,
    max: 86_400_000,
    default: 30_000,
    unit: 'ms',
    meaning:
      'when all copies that answer a take-over are of loggers that restarted, it waits so long for the others; 0: for ever',
  },
  repairDelayMs: {
    min: 0,
    max: 604_800_000,
    default: 600_000,
    unit: 'ms',
    meaning: 'a logger that is away for so long does not count as a copy any more: zones are copied to another',
  },
  repairBytesPerSecond: {
    min: 64 * KIB,
    max: 16 * GIB,
    default: 16 * MIB,
    unit: 'bytes/s',
    meaning: 'how fast the zones of a shard are copied to loggers that lack them',
  },
  scrubBytesPerSecond: {
    min: 0,
    max: 16 * GIB,
    default: 4 * MIB,
    unit: 'bytes/s',
    meaning: 'how fast the owner of a shard reads all copies of its zones in turn, to find damage; 0: not at all',
  },
  scrubEveryMs: {
    min: 1_000,
    max: 31_536_000_000,
    default: 86_400_000,
    unit: 'ms',
    meaning: '... and how long after one round began the next one begins, at the soonest',
  },
  suspicionLeastMs: {
    min: 10,
    max: 600_000,
    default: 200,
    unit: 'ms',
    meaning: 'a gateway that is silent for less is never taken for lost; more where its answers take long',
  },
  suspicionMostMs: {
    min: 10,
    max: 600_000,
    default: 500,
    unit: 'ms',
    meaning: '... and one that is silent for longer always is: others take its shards over',
  },
  'device.capacityBytes': {
    min: 16 * MIB,
    max: 256 * TIB,
    default: 64 * GIB,
    unit: 'bytes',
    meaning: 'space a logger may use; it is taken as it is needed',
  },
  'device.alignment': {
    min: 1,
    max: limits.alignmentBytesMax,
    default: 512,
    unit: 'bytes',
    meaning: 'every write has a multiple of this length: with the sector size no acknowledged byte is written again',
    powerOfTwo: true,
    fixed: true,
  },
  'device.prefillBytes': {
    min: 0,
    max: 64 * MIB,
    default: 2 * MIB,
    unit: 'bytes',
    meaning: 'zeros written ahead of each write pointer',
  },
} as const satisfies IntegerSettings;

export type ClusterSettingName = keyof typeof clusterSettings;

/** Texts of a config file, for its documentation and for the message about an unknown name. */
export const clusterTexts = {
  gateways: { default: 'none', meaning: 'a gateway each, "host:peerPort, clientPort"; the place is the number' },
  loggers: { default: 'none', meaning: 'a logger each, "host:readPort, writePort"; the place is the number' },
  'coordinator.kind': { default: 'sqlite', meaning: 'one SQLite file for all processes of a machine' },
  'coordinator.file': { default: 'coordinator.sqlite in `dir`', meaning: 'path of that file, on a local disk' },
  dir: { default: 'the folder of the config file', meaning: 'data of the nodes' },
} as const satisfies Readonly<Record<string, { readonly default: string; readonly meaning: string }>>;

/** Options of `up`, which makes the config file from them and from those `clusterSettings` that have an option. */
export const upSettings = {
  gateways: { min: 1, max: 100, default: 3, unit: 'gateways', meaning: 'processes to start', fixed: true },
  loggers: { min: 1, max: 100, default: 3, unit: 'loggers', meaning: 'processes to start', fixed: true },
  basePort: {
    min: 1_024,
    max: 65_535 - 399,
    default: 7_400,
    unit: 'port',
    meaning: 'first of the ports: clients +0.., peers +100.., reads of loggers +200.., writes +300..',
    fixed: true,
  },
} as const satisfies IntegerSettings;

/** Options of `verify`. */
export const verifySettings = {
  rate: {
    min: 64 * KIB,
    max: 16 * GIB,
    default: 64 * MIB,
    unit: 'bytes',
    meaning: 'read so many bytes a second at most, of all loggers together',
  },
  wait: {
    min: 1_000,
    max: 86_400_000,
    default: 600_000,
    unit: 'ms',
    meaning: 'with --repair: how long to wait for one more copy to be made anew',
  },
} as const satisfies IntegerSettings;

/** Integers among the options of `connect`, the SDK; the other one is `direct` (client/types.ts). */
export const clientSettings = {
  timeoutMs: {
    min: 1,
    max: 86_400_000,
    default: 10_000,
    unit: 'ms',
    meaning: 'how long a request may take, retries included; each request can bring its own',
  },
  connectTimeoutMs: {
    min: 1,
    max: 86_400_000,
    default: undefined,
    unit: 'ms',
    meaning: 'how long `connect` waits for the first gateway; default: `timeoutMs`',
  },
  requestsMax: {
    min: 1,
    max: limits.requestsInFlightMax,
    default: 16_384,
    unit: 'requests',
    meaning: 'requests that have not settled; beyond it: `overloaded`',
  },
  bytesMax: {
    min: 20 * MIB,
    max: 112 * MIB,
    default: 64 * MIB,
    unit: 'bytes',
    meaning: 'keys and values of these',
  },
  connectionsPerGateway: {
    min: 1,
    max: 8,
    default: 1,
    unit: 'connections',
    meaning: 'TCP connections to each gateway',
  },
} as const satisfies IntegerSettings;

/** What programs that embed nodes, and tests, may set beside `clusterSettings`; no config file has them. */
export const nodeSettings = {
  'shard.sealWaitMs': {
    min: 0,
    max: 60_000,
    default: 50,
    unit: 'ms',
    meaning: 'after the first sealing answer a take-over waits so long for the others',
  },
  'shard.coldSealWaitMs': {
    min: 0,
    max: 60_000,
    default: 3_000,
    unit: 'ms',
    meaning: '... and so long when not all replicas are connected (a cold start)',
  },
  'shard.fillWaitMs': {
    min: 0,
    max: 60_000,
    default: 2_000,
    unit: 'ms',
    meaning: 'a take-over completes shorter copies within so long, or leaves them out of the list',
  },
  'shard.regrowDelayMs': {
    min: 0,
    max: 600_000,
    default: 1_000,
    unit: 'ms',
    meaning: 'an open zone with fewer replicas than wanted is changed when a logger has been back for so long',
  },
  'shard.requestTimeoutMs': {
    min: 1,
    max: 600_000,
    default: 10_000,
    unit: 'ms',
    meaning: 'queued writes and waiting reads are refused after so long',
  },
  'shard.batchesInFlightMax': {
    min: 1,
    max: limits.batchesInFlightMax,
    default: 1,
    unit: 'batches',
    meaning: 'batches of a shard that are being written at once',
  },
  'shard.batchBytesTarget': {
    min: 1,
    max: 16 * MIB,
    default: MIB,
    unit: 'bytes',
    meaning: 'a batch is closed when its records reach this; a larger record is a batch of its own',
  },
  'logger.cacheBytes': {
    min: 0,
    max: TIB,
    default: 256 * MIB,
    unit: 'bytes',
    meaning: 'how much of its device a logger takes the page cache to hold',
  },
  'device.extentBytes': {
    min: 4 * KIB,
    max: 64 * MIB,
    default: MIB,
    unit: 'bytes',
    meaning: 'pieces in which a file device hands out its space; less where a zone is smaller',
    fixed: true,
  },
  'device.reserveBytes': {
    min: 0,
    max: 256 * TIB,
    default: 4 * MIB,
    unit: 'bytes',
    meaning:
      "space kept on a full device, half for deletes, half for a logger's metadata; at most an eighth of the capacity unless set",
  },
  'coordinator.lockWaitMsMax': {
    min: 0,
    max: 600_000,
    default: 5_000,
    unit: 'ms',
    meaning: "how long a request waits for another process's lock of the SQLite file before it fails, not applied",
  },
  'coordinator.diskWaitMsMax': {
    min: 0,
    max: 600_000,
    default: 5_000,
    unit: 'ms',
    meaning: '... and how much longer for a disk that does not answer, before the outcome is unknown',
  },
} as const satisfies IntegerSettings;

/** For messages: what a setting may be. */
export function allowedRange(setting: IntegerSetting): string {
  const power = setting.powerOfTwo === true ? ', a power of two' : '';
  return `an integer from ${setting.min} to ${setting.max} (${setting.unit})${power}`;
}

for (const [name, setting] of Object.entries<IntegerSetting>({
  ...clusterSettings,
  ...upSettings,
  ...verifySettings,
  ...nodeSettings,
})) {
  const value = setting.default ?? setting.min;
  assert(setting.min <= value && value <= setting.max, `the default of ${name} is allowed`);
}
for (const [name, setting] of Object.entries<IntegerSetting>(clientSettings)) {
  const value = setting.default ?? setting.min;
  assert(setting.min <= value && value <= setting.max, `the default of the client's ${name} is allowed`);
}
assert(
  clusterSettings.minReplicas.default <= clusterSettings.replicas.default,
  'fewest copies are not more than wanted',
);
assert(
  clusterSettings.zoneSize.default % clusterSettings['device.alignment'].default === 0,
  'a zone of the default size ends where a write can end',
);
assert(
  2 * clusterSettings.zoneSize.default < clusterSettings['device.capacityBytes'].default,
  'a device of the default size holds several zones',
);
assert(
  nodeSettings['shard.batchBytesTarget'].max + limits.valueBytesMax < limits.zoneBytesMax,
  'a batch and the value that closes it fit the largest zone',
);
assert(
  clientSettings.bytesMax.min > limits.valueBytesMax + limits.keyBytesMax,
  'a client that allows least can send the largest value',
);
assert(
  clientSettings.bytesMax.max < limits.outputBytesMax,
  'all that a client may send fits the output of one connection',
);
assert(upSettings.basePort.max + 399 <= 65_535, 'all ports of the largest cluster exist');
assert(
  upSettings.gateways.max <= limits.gatewayCountMax && upSettings.loggers.max <= limits.loggerCountMax,
  '`up` starts no more nodes than a cluster may have',
);
