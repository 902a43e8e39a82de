/**
 * The cluster's config file: the testbed's form (`"gateways": ["ip:peerPort, clientPort"]`, `"loggers": ["ip:readPort,
 * writePort"]`) with the settings of base/settings.ts. Every mistake is told with the file, the place in it, what was
 * found and what is allowed.
 */
import * as path from 'node:path';
import { z } from 'zod';
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { allowedRange, clusterSettings, type ClusterSettingName, type IntegerSetting } from '../base/settings.ts';
import type { ClusterPlace } from '../coordinator/open-cluster.ts';
import type { Address } from '../env/network.ts';
import { parseJson } from './json-text.ts';

export interface GatewayPorts {
  readonly id: number;
  readonly peerAddress: Address;
  readonly clientAddress: Address;
}

export interface LoggerPorts {
  readonly id: number;
  readonly readAddress: Address;
  readonly writeAddress: Address;
}

export interface DeviceSettings {
  readonly capacityBytes: number;
  readonly alignment: number;
  readonly prefillBytes: number;
}

/** All defaults filled in, all paths absolute. */
export interface ClusterConfig {
  readonly file: string;
  readonly gateways: readonly GatewayPorts[];
  readonly loggers: readonly LoggerPorts[];
  readonly coordinator: { readonly kind: 'sqlite'; readonly file: string };
  /** Data of the nodes: `gateway-<id>` and `logger-<id>` below it. */
  readonly dir: string;
  readonly shards: number;
  readonly zoneSize: number;
  readonly replicas: number;
  readonly minReplicas: number;
  readonly valueCacheBytes: number;
  readonly snapshotEveryBytes: number;
  readonly loggerTimeoutMs: number;
  readonly loggerSlowMs: number;
  readonly firstHandWaitMs: number;
  readonly repairDelayMs: number;
  readonly repairBytesPerSecond: number;
  readonly scrubBytesPerSecond: number;
  readonly scrubEveryMs: number;
  readonly suspicionLeastMs: number;
  readonly suspicionMostMs: number;
  readonly device: DeviceSettings;
}

const nodePattern = /^\s*(\[[0-9a-fA-F:.]+\]|[^\s:,[\]]+)\s*:\s*(\d{1,5})\s*,\s*(\d{1,5})\s*$/;

/** @throws KvError `config-invalid` with every mistake, one a line */
export function parseConfig(text: string, file: string): ClusterConfig {
  const config = complete(parseContent(text, file), file);
  const errors = [...duplicateAddresses(config), ...relations(config)];
  if (errors.length > 0) throw mistakes(file, errors);
  return config;
}

/** The file as it is, without defaults. @throws KvError `config-invalid` */
export function parseContent(text: string, file: string): ConfigFile {
  const json = parseJson(text);
  if (!json.ok)
    throw new KvError(
      'config-invalid',
      `${file}: line ${json.line}, column ${json.column}: found ${json.found}, which is no JSON there`,
    );
  const parsed = configShape.safeParse(json.value);
  if (!parsed.success)
    throw mistakes(
      file,
      parsed.error.issues.map((issue) => mistake(issue, json.value)),
    );
  return parsed.data;
}

function mistakes(file: string, lines: readonly string[]): KvError {
  return new KvError('config-invalid', lines.map((line) => `${file}: ${line}`).join('\n'));
}

function integer(name: ClusterSettingName): z.ZodType<number> {
  const setting: IntegerSetting = clusterSettings[name];
  const error = `allowed: ${allowedRange(setting)}`;
  const range = z.number({ error }).int({ error }).min(setting.min, { error }).max(setting.max, { error });
  return setting.powerOfTwo === true ? range.refine((value) => Number.isInteger(Math.log2(value)), { error }) : range;
}

function nodes(kind: 'gateways' | 'loggers', form: string, countMax: number): z.ZodType<string[]> {
  const error = `allowed: a list of 1 to ${countMax} texts "${form}"`;
  const node = z
    .string({ error: `allowed: "${form}"` })
    .refine((text) => splitNode(text) !== undefined, { error: `allowed: "${form}" with ports from 1 to 65535` });
  return z
    .array(node, { error: `${kind} are missing; ${error}` })
    .min(1, { error })
    .max(countMax, { error });
}

const configShape = z.strictObject(
  {
    gateways: nodes('gateways', 'host:peerPort, clientPort', limits.gatewayCountMax),
    loggers: nodes('loggers', 'host:readPort, writePort', limits.loggerCountMax),
    coordinator: z
      .strictObject(
        {
          kind: z.literal('sqlite', { error: 'allowed: "sqlite"' }),
          file: z
            .string({ error: 'allowed: a path, relative to the config file' })
            .min(1, { error: 'allowed: a path' }),
        },
        { error: 'allowed: {"kind": "sqlite", "file": PATH}' },
      )
      .optional(),
    dir: z
      .string({ error: 'allowed: a path, relative to the config file' })
      .min(1, { error: 'allowed: a path' })
      .optional(),
    shards: integer('shards').optional(),
    zoneSize: integer('zoneSize').optional(),
    replicas: integer('replicas').optional(),
    minReplicas: integer('minReplicas').optional(),
    valueCacheBytes: integer('valueCacheBytes').optional(),
    snapshotEveryBytes: integer('snapshotEveryBytes').optional(),
    loggerTimeoutMs: integer('loggerTimeoutMs').optional(),
    loggerSlowMs: integer('loggerSlowMs').optional(),
    firstHandWaitMs: integer('firstHandWaitMs').optional(),
    repairDelayMs: integer('repairDelayMs').optional(),
    repairBytesPerSecond: integer('repairBytesPerSecond').optional(),
    scrubBytesPerSecond: integer('scrubBytesPerSecond').optional(),
    scrubEveryMs: integer('scrubEveryMs').optional(),
    suspicionLeastMs: integer('suspicionLeastMs').optional(),
    suspicionMostMs: integer('suspicionMostMs').optional(),
    device: z
      .strictObject(
        {
          capacityBytes: integer('device.capacityBytes').optional(),
          alignment: integer('device.alignment').optional(),
          prefillBytes: integer('device.prefillBytes').optional(),
        },
        { error: 'allowed: an object with capacityBytes, alignment, prefillBytes' },
      )
      .optional(),
  },
  { error: 'allowed: an object {"gateways": [...], "loggers": [...], ...}' },
);

/** What a config file may hold. */
export type ConfigFile = Readonly<z.infer<typeof configShape>>;

const knownNames: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(configShape.shape),
  coordinator: ['kind', 'file'],
  device: ['capacityBytes', 'alignment', 'prefillBytes'],
};

function mistake(issue: z.core.$ZodIssue, root: unknown): string {
  const where = issue.path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part)}`),
    '$',
  );
  if (issue.code === 'unrecognized_keys') {
    const names = knownNames[issue.path.join('.')] ?? [];
    return `${where}: found unknown names ${issue.keys.map((key) => `"${key}"`).join(', ')}; allowed: ${names.join(', ')}`;
  }
  return `${where}: found ${shown(valueAt(root, issue.path))}; ${issue.message}`;
}

function valueAt(root: unknown, places: readonly PropertyKey[]): unknown {
  return places.reduce<unknown>(
    (value, place) => (typeof value === 'object' && value !== null ? Reflect.get(value, place) : undefined),
    root,
  );
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

function splitNode(
  text: string,
): { readonly host: string; readonly first: number; readonly second: number } | undefined {
  const match = nodePattern.exec(text);
  const [host, first, second] = [match?.[1], Number(match?.[2]), Number(match?.[3])];
  const isPort = (port: number): boolean => port >= 1 && port <= 65_535;
  return host !== undefined && isPort(first) && isPort(second) ? { host, first, second } : undefined;
}

function addresses(text: string): readonly [Address, Address] {
  const node = splitNode(text);
  if (node === undefined) throw new KvError('config-invalid', `not a node: ${text}`);
  return [`${node.host}:${node.first}`, `${node.host}:${node.second}`];
}

function complete(content: ConfigFile, file: string): ClusterConfig {
  const folder = path.dirname(path.resolve(file));
  const dir = path.resolve(folder, content.dir ?? '.');
  const value = (name: Exclude<ClusterSettingName, 'shards' | `device.${string}`>): number =>
    content[name] ?? clusterSettings[name].default;
  const device = (name: keyof DeviceSettings): number =>
    content.device?.[name] ?? clusterSettings[`device.${name}`].default;
  return {
    file: path.resolve(file),
    gateways: content.gateways
      .map(addresses)
      .map(([peerAddress, clientAddress], id) => ({ id, peerAddress, clientAddress })),
    loggers: content.loggers
      .map(addresses)
      .map(([readAddress, writeAddress], id) => ({ id, readAddress, writeAddress })),
    coordinator: {
      kind: 'sqlite',
      file:
        content.coordinator === undefined
          ? path.join(dir, 'coordinator.sqlite')
          : path.resolve(folder, content.coordinator.file),
    },
    dir,
    shards: content.shards ?? content.gateways.length,
    zoneSize: value('zoneSize'),
    replicas: value('replicas'),
    minReplicas: value('minReplicas'),
    valueCacheBytes: value('valueCacheBytes'),
    snapshotEveryBytes: value('snapshotEveryBytes'),
    loggerTimeoutMs: value('loggerTimeoutMs'),
    loggerSlowMs: value('loggerSlowMs'),
    firstHandWaitMs: value('firstHandWaitMs'),
    repairDelayMs: value('repairDelayMs'),
    repairBytesPerSecond: value('repairBytesPerSecond'),
    scrubBytesPerSecond: value('scrubBytesPerSecond'),
    scrubEveryMs: value('scrubEveryMs'),
    suspicionLeastMs: value('suspicionLeastMs'),
    suspicionMostMs: value('suspicionMostMs'),
    device: {
      capacityBytes: device('capacityBytes'),
      alignment: device('alignment'),
      prefillBytes: device('prefillBytes'),
    },
  };
}

/** Where the cluster is and what it is made with, for `openCluster`. */
export function placeOf({ dir, coordinator, shards, zoneSize }: ClusterConfig): ClusterPlace {
  return { dir, file: coordinator.file, shardCount: shards, zoneSize };
}

/** Every address with its place in the file. */
export function addressesOf(
  config: Pick<ClusterConfig, 'gateways' | 'loggers'>,
): readonly { readonly address: Address; readonly what: string; readonly place: string }[] {
  return [
    ...config.gateways.flatMap(({ id, peerAddress, clientAddress }) => [
      { address: peerAddress, what: `peer port of gateway ${id}`, place: `$.gateways[${id}]` },
      { address: clientAddress, what: `client port of gateway ${id}`, place: `$.gateways[${id}]` },
    ]),
    ...config.loggers.flatMap(({ id, readAddress, writeAddress }) => [
      { address: readAddress, what: `read port of logger ${id}`, place: `$.loggers[${id}]` },
      { address: writeAddress, what: `write port of logger ${id}`, place: `$.loggers[${id}]` },
    ]),
  ];
}

function duplicateAddresses(config: ClusterConfig): readonly string[] {
  const seen = new Map<Address, string>();
  return addressesOf(config).flatMap(({ address, what, place }) => {
    const before = seen.get(address);
    seen.set(address, what);
    return before === undefined
      ? []
      : [`${place}: found ${address} as ${what}, which is already the ${before}; allowed: each address once`];
  });
}

function relations(config: ClusterConfig): readonly string[] {
  const errors: string[] = [];
  if (config.minReplicas > Math.min(config.replicas, config.loggers.length)) {
    errors.push(
      `$.minReplicas: found ${config.minReplicas}; allowed: at most replicas (${config.replicas}) and the number of loggers (${config.loggers.length})`,
    );
  }
  if (config.zoneSize % config.device.alignment !== 0) {
    errors.push(
      `$.zoneSize: found ${config.zoneSize}; allowed: a multiple of device.alignment (${config.device.alignment})`,
    );
  }
  if (config.suspicionLeastMs > config.suspicionMostMs) {
    errors.push(
      `$.suspicionLeastMs: found ${config.suspicionLeastMs}; allowed: at most suspicionMostMs (${config.suspicionMostMs})`,
    );
  }
  return errors;
}

/** The text of a config file. */
export function formatConfig(content: ConfigFile): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Whether a host is this machine's own loopback: what needs no --insecure. */
export function isLoopback(address: Address): boolean {
  const host = address.slice(0, address.lastIndexOf(':'));
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** @throws KvError `address-invalid` for an address that other machines could reach */
export function requireLoopback(wanted: readonly Address[], isInsecure: boolean): void {
  const open = wanted.filter((address) => !isLoopback(address));
  if (open.length === 0 || isInsecure) return;
  throw new KvError(
    'address-invalid',
    `${open.join(', ')} can be reached from other machines, and there is no authentication; allowed: 127.0.0.1, localhost, [::1], or others with --insecure`,
  );
}
