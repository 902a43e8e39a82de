/**
 * A shard's metadata in the coordinator: one head, and one entry per sealed zone that still holds something. Every
 * transaction compares and rewrites the whole head, change number included (S1).
 */
import type { Epoch, InstanceId, ShardId, Uuid, ZoneId } from '../../../base/ids.ts';
import { epoch, instanceId, uuid, zoneId } from '../../../base/ids.ts';
import { limits } from '../../../base/limits.ts';
import type { Field } from '../../../codec/fields.ts';
import { fieldOf } from '../../../codec/fields.ts';
import type { Writer } from '../../../codec/log-format.ts';

/** The process that orders a shard's writes. The instance counts, not the gateway's name (S1). */
export interface Owner {
  /** Number of the gateway in the configuration. */
  readonly gateway: number;
  readonly node: Uuid;
  readonly instance: InstanceId;
}

type Unknown = Readonly<Record<string, unknown>>;

/** Loggers of a zone, and the processes of them that it was opened with: answers of others are not first-hand (S9). */
export interface ReplicaSet {
  readonly replicas: readonly Uuid[];
  /** In the order of the replicas. */
  readonly processes: readonly InstanceId[];
}

/** Zone that its writer appends to: the head's owner, except between a claim and its close. */
export interface OpenZone extends Writer, ReplicaSet {
  readonly zone: ZoneId;
  /** Sealed zone whose lost keys the first batch of this one must name; nothing is served before (S9). */
  readonly owes?: ZoneId;
  /** Fields that this version does not know, kept when the zone's entry is written again (rolling upgrades). */
  readonly rest?: Unknown;
}

export interface Head {
  readonly epoch: Epoch;
  readonly owner: Owner;
  readonly openZone: OpenZone;
  readonly nextZone: ZoneId;
  /** One more with every transaction on the shard. */
  readonly change: number;
  readonly rest?: Unknown;
}

/**
 * Reasons for which a zone's length is not proven (S9). `restarted`: it rests on copies of loggers that restarted since
 * the zone was opened, while a replica was missing. `cut`: every copy was damaged behind it, where acknowledged records
 * may have been.
 */
export type ZoneDoubt = 'restarted' | 'cut';

/** Keys whose newest record was cut off with a damaged end of a zone, as far as they could be read (S9). */
export interface LostKeys {
  readonly keys: readonly Uint8Array[];
  /** At least so many records or batches were cut of which nobody knows the keys. */
  readonly unknown: number;
}

/** A zone that ended. Bytes past `length` do not exist. */
export interface SealedZone extends Writer {
  readonly zone: ZoneId;
  readonly length: number;
  /** Each of them holds all of [0, length), stable and verified (S10). */
  readonly replicas: readonly Uuid[];
  /**
   * Held part of it when it was open and did not answer the seal: usable for single batches whose checksum is good
   * (S9).
   */
  readonly former: readonly Uuid[];
  /** Undefined: the length is proven. */
  readonly doubt?: ZoneDoubt;
  /** With the doubt `cut`. */
  readonly lost?: LostKeys;
  readonly rest?: Unknown;
}

/** What the coordinator said at one revision. `zones` are sorted by id. */
export interface ShardMetadata {
  readonly head: Head | undefined;
  /** Revision of the head's key; 0 when it is absent. */
  readonly headRevision: number;
  readonly zones: readonly SealedZone[];
  /** What proves that the coordinator's content went back while this process ran (S20); undefined: nothing does. */
  readonly wentBack?: string;
}

export const shardPrefix = (shard: ShardId): string => `shard/${shard}/`;
export const headKey = (shard: ShardId): string => `shard/${shard}/head`;
export const zoneKey = (shard: ShardId, zone: ZoneId): string =>
  `shard/${shard}/zone/${String(zone).padStart(16, '0')}`;

export function sameOwner(a: Owner, b: Owner): boolean {
  return a.node === b.node && a.instance === b.instance;
}

/** Known fields win over unknown ones of the same name. */
export function encodeMetadata(value: Head | SealedZone): Uint8Array {
  const flat = 'openZone' in value ? { ...value, openZone: flatten(value.openZone) } : sealedZoneJson(value);
  return Buffer.from(JSON.stringify(flatten(flat)));
}

/** Keys are any bytes: they are written in base64. */
function sealedZoneJson(zone: SealedZone): Unknown {
  const { lost } = zone;
  if (lost === undefined) return { ...zone };
  return { ...zone, lost: { ...lost, keys: lost.keys.map((key) => Buffer.from(key).toString('base64')) } };
}

function flatten<T extends { readonly rest?: Unknown }>({ rest, ...known }: T): Unknown {
  return { ...rest, ...known };
}

/** @throws RangeError, SyntaxError, TypeError when the bytes are no head: the caller reports which key. */
export function decodeHead(bytes: Uint8Array): Head {
  const json = parse(bytes);
  const head = fieldOf(json, 'head');
  const owner = head.at('owner');
  return {
    epoch: epoch(head.at('epoch').integer(1)),
    owner: {
      gateway: owner.at('gateway').integer(),
      node: owner.at('node').minted(uuid),
      instance: owner.at('instance').minted(instanceId),
    },
    openZone: decodeOpenZone(head.at('openZone'), json),
    nextZone: zoneId(head.at('nextZone').integer(1)),
    change: head.at('change').integer(1),
    ...unknown(json, ['epoch', 'owner', 'openZone', 'nextZone', 'change']),
  };
}

function decodeOpenZone(open: Field, head: unknown): OpenZone {
  const replicas = open.at('replicas').list(limits.loggerCountMax);
  const processes = open.at('processes').list(limits.loggerCountMax);
  if (processes.length !== replicas.length) open.wrong(`${replicas.length} processes`);
  return {
    zone: zoneId(open.at('zone').integer(1)),
    epoch: epoch(open.at('epoch').integer(1)),
    instance: open.at('instance').minted(instanceId),
    replicas: replicas.map((logger) => logger.minted(uuid)),
    processes: processes.map((process) => process.minted(instanceId)),
    ...owesIn(open.optional('owes')),
    ...unknown(memberOf(head, 'openZone'), ['zone', 'epoch', 'instance', 'replicas', 'processes', 'owes']),
  };
}

/** @throws like `decodeHead`. */
export function decodeSealedZone(bytes: Uint8Array): SealedZone {
  const json = parse(bytes);
  const zone = fieldOf(json, 'zone');
  const loggers = (name: string): Uuid[] =>
    zone
      .at(name)
      .list(limits.loggerCountMax)
      .map((logger) => logger.minted(uuid));
  return {
    zone: zoneId(zone.at('zone').integer(1)),
    epoch: epoch(zone.at('epoch').integer(1)),
    instance: zone.at('instance').minted(instanceId),
    length: zone.at('length').integer(),
    replicas: loggers('replicas'),
    former: loggers('former'),
    ...doubtIn(zone.optional('doubt')),
    ...lostIn(zone.optional('lost')),
    ...unknown(json, ['zone', 'epoch', 'instance', 'length', 'replicas', 'former', 'doubt', 'lost']),
  };
}

function doubtIn(field: Field | undefined): { readonly doubt?: ZoneDoubt } {
  return field === undefined ? {} : { doubt: field.oneOf(['restarted', 'cut']) };
}

function owesIn(field: Field | undefined): { readonly owes?: ZoneId } {
  return field === undefined ? {} : { owes: zoneId(field.integer(1)) };
}

function lostIn(field: Field | undefined): { readonly lost?: LostKeys } {
  if (field === undefined) return {};
  const keys = field.at('keys').list(limits.lostKeysMax);
  return {
    lost: { keys: keys.map((key) => Buffer.from(key.text(), 'base64')), unknown: field.at('unknown').integer() },
  };
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : value;
}

/** Members that this version does not know. */
function unknown(value: unknown, known: readonly string[]): { readonly rest?: Unknown } {
  const rest = Object.entries(value ?? {}).filter(([name]) => !known.includes(name));
  return rest.length === 0 ? {} : { rest: Object.fromEntries(rest) };
}
