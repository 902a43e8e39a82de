/**
 * Every setting of a cluster's config file beside its addresses: default, range, unit. docs/operating.md lists the same
 * ones (a test compares both ways).
 */
import { limits } from '../base/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;

export interface IntegerSetting {
  readonly min: number;
  readonly max: number;
  /** Undefined: worked out from the others, as `meaning` says. */
  readonly default: number | undefined;
  readonly unit: string;
  readonly meaning: string;
  /** A cluster keeps the value it was created with. */
  readonly fixed?: boolean;
  /** Only powers of two. */
  readonly powerOfTwo?: boolean;
}

/** By its path in the config file. */
export const integerSettings = {
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
    default: limits.zoneBytesDefault,
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
  'device.capacityBytes': {
    min: 16 * MIB,
    max: 1024 * TIB,
    default: 64 * GIB,
    unit: 'bytes',
    meaning: 'space a logger may use; it is taken as it is needed',
  },
  'device.alignment': {
    min: 1,
    max: limits.alignmentBytesMax,
    default: 512,
    unit: 'bytes',
    meaning:
      'every write of a device has a multiple of this length: with the sector size no acknowledged byte is ever written again',
    powerOfTwo: true,
    fixed: true,
  },
  'device.prefillBytes': {
    min: 0,
    max: GIB,
    default: 2 * MIB,
    unit: 'bytes',
    meaning: 'zeros written ahead of each write pointer',
  },
} as const satisfies Readonly<Record<string, IntegerSetting>>;

export type IntegerSettingName = keyof typeof integerSettings;

/** What else a config file may say, for its documentation and for the message about an unknown name. */
export const otherSettings = ['gateways', 'loggers', 'coordinator.kind', 'coordinator.file', 'dir'] as const;

export function allowedRange(setting: IntegerSetting): string {
  const power = setting.powerOfTwo === true ? ', a power of two' : '';
  return `an integer from ${setting.min} to ${setting.max} (${setting.unit})${power}`;
}
