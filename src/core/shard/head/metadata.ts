/**
 * A shard's metadata in the coordinator: one head, and one entry per sealed zone that still holds something. Every
 * transaction compares and rewrites the whole head, change number included (S1).
 */
import type { Epoch, InstanceId, ShardId, Uuid, ZoneId } from '../../../base/ids.ts';
import { epoch, instanceId, uuid, zoneId } from '../../../base/ids.ts';

/** The process that orders a shard's writes. The instance counts, not the gateway's name (S1). */
export interface Owner {
  /** Number of the gateway in the configuration. */
  readonly gateway: number;
  readonly node: Uuid;
  readonly instance: InstanceId;
}

type Unknown = Readonly<Record<string, unknown>>;

export interface OpenZone {
  readonly zone: ZoneId;
  /** The epoch that writes it: the head's, except between a claim and its close. */
  readonly epoch: Epoch;
  readonly replicas: readonly Uuid[];
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

/** A zone that ended. Bytes past `length` do not exist. */
export interface SealedZone {
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  readonly length: number;
  /** Each of them holds all of [0, length), stable and verified (S10). */
  readonly replicas: readonly Uuid[];
  /**
   * Held part of it when it was open and did not answer the seal: usable for single batches whose checksum is good
   * (S9).
   */
  readonly former: readonly Uuid[];
  readonly rest?: Unknown;
}

/** What the coordinator said at one revision. `zones` are sorted by id. */
export interface ShardMetadata {
  readonly head: Head | undefined;
  /** Of the head's key; 0 when it is absent. */
  readonly headRevision: number;
  readonly zones: readonly SealedZone[];
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
  const flat = 'openZone' in value ? { ...value, openZone: flatten(value.openZone) } : value;
  return Buffer.from(JSON.stringify(flatten(flat)));
}

function flatten<T extends { readonly rest?: Unknown }>({ rest, ...known }: T): Unknown {
  return { ...rest, ...known };
}

/** @throws RangeError, SyntaxError, TypeError when the bytes are no head: the caller reports which key. */
export function decodeHead(bytes: Uint8Array): Head {
  const { epoch: epochs, owner: owning, openZone, nextZone, change, ...rest } = parse(bytes);
  const owner = object(owning);
  return {
    epoch: epoch(number(epochs)),
    owner: {
      gateway: number(owner['gateway']),
      node: uuid(text(owner['node'])),
      instance: instanceId(text(owner['instance'])),
    },
    openZone: decodeOpenZone(object(openZone)),
    nextZone: zoneId(number(nextZone)),
    change: number(change),
    ...unknown(rest),
  };
}

function decodeOpenZone({ zone, epoch: writer, replicas, ...rest }: Record<string, unknown>): OpenZone {
  return { zone: zoneId(number(zone)), epoch: epoch(number(writer)), replicas: uuids(replicas), ...unknown(rest) };
}

/** @throws like `decodeHead`. */
export function decodeSealedZone(bytes: Uint8Array): SealedZone {
  const { zone, epoch: writer, length, replicas, former, ...rest } = parse(bytes);
  return {
    zone: zoneId(number(zone)),
    epoch: epoch(number(writer)),
    length: number(length),
    replicas: uuids(replicas),
    former: uuids(former),
    ...unknown(rest),
  };
}

function unknown(rest: Unknown): { readonly rest?: Unknown } {
  return Object.keys(rest).length === 0 ? {} : { rest };
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  return object(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')));
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null)
    throw new TypeError(`expected an object, found ${JSON.stringify(value)}`);
  return Object.fromEntries(Object.entries(value));
}

function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new TypeError(`expected an integer, found ${JSON.stringify(value)}`);
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`expected a string, found ${JSON.stringify(value)}`);
  return value;
}

function uuids(value: unknown): Uuid[] {
  if (!Array.isArray(value)) throw new TypeError(`expected a list, found ${JSON.stringify(value)}`);
  return value.map((member) => uuid(text(member)));
}
