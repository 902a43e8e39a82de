/**
 * Options of `startCluster`, checked before anything is started: unknown names and values that are not allowed are
 * refused, as in a config file. The device checks the sizes that it is given, and what is an object (the environment, a
 * coordinator) is taken as it is.
 */
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { allowedRange, clusterSettings, type IntegerSetting } from '../base/settings.ts';

const counts = { gateways: limits.gatewayCountMax, loggers: limits.loggerCountMax } as const;
const settings: readonly (keyof typeof clusterSettings)[] = [
  'shards',
  'zoneSize',
  'replicas',
  'minReplicas',
  'valueCacheBytes',
  'snapshotEveryBytes',
  'loggerTimeoutMs',
  'loggerSlowMs',
  'firstHandWaitMs',
  'repairDelayMs',
  'repairBytesPerSecond',
  'scrubBytesPerSecond',
  'scrubEveryMs',
  'suspicionLeastMs',
  'suspicionMostMs',
];
const names = ['folder', ...Object.keys(counts), ...settings, 'device', 'host', 'log', 'environment', 'coordinator'];
const deviceNames = ['capacityBytes', 'alignment', 'extentBytes', 'prefillBytes', 'reserveBytes'];

/** @throws KvError `bad-argument` */
export function checkClusterOptions(options: unknown): void {
  const given = fields('the options of startCluster', options, names);
  checkText('folder', given.get('folder'));
  if (given.get('host') !== undefined) checkText('host', given.get('host'));
  for (const [name, max] of Object.entries(counts)) {
    const value = given.get(name);
    if (value !== undefined && !isInteger(value, 1, max)) throw wrong(name, value, `1 to ${max}`);
  }
  for (const name of settings) {
    const value = given.get(name);
    const setting: IntegerSetting = clusterSettings[name];
    if (value !== undefined && !isInteger(value, setting.min, setting.max))
      throw wrong(name, value, allowedRange(setting));
  }
  const [fewest, loggers = 1] = [given.get('minReplicas'), given.get('loggers')];
  if (Number(fewest) > Number(loggers))
    throw wrong('minReplicas', fewest, `at most the number of loggers (${String(loggers)})`);
  const leastMs = given.get('suspicionLeastMs') ?? clusterSettings.suspicionLeastMs.default;
  const mostMs = given.get('suspicionMostMs') ?? clusterSettings.suspicionMostMs.default;
  if (Number(leastMs) > Number(mostMs))
    throw wrong('suspicionLeastMs', leastMs, `at most suspicionMostMs (${Number(mostMs)})`);
  const device = given.get('device');
  if (device !== undefined) fields('device', device, deviceNames);
}

/** What an object holds, by name. @throws KvError `bad-argument` for another thing than an object, or other names */
function fields(what: string, value: unknown, known: readonly string[]): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(what, value, 'an object');
  const given = new Map<string, unknown>(Object.entries(value));
  const others = [...given.keys()].filter((name) => !known.includes(name));
  if (others.length === 0) return given;
  const found = others.map((name) => `"${name}"`).join(', ');
  throw new KvError('bad-argument', `${what}: found unknown names ${found}; allowed: ${known.join(', ')}`);
}

function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw wrong(name, value, 'a text');
}

function isInteger(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

function wrong(name: string, value: unknown, allowed: string): KvError {
  const found = typeof value === 'object' && value !== null ? 'an object' : String(value);
  return new KvError('bad-argument', `${name}: found ${found}; allowed: ${allowed}`);
}
