/**
 * Branded identifiers: plain numbers and strings at run time, distinct types at compile time, so that an epoch can't be
 * passed where a zone id is meant. They are minted here, after validation, and nowhere else.
 */

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Number of a shard, an index: 0..shardCount-1. */
export type ShardId = Brand<number, 'ShardId'>;
/** Number of a zone within its shard's log: 1, 2, ... Only grows, never used twice (S2). */
export type ZoneId = Brand<number, 'ZoneId'>;
/** One more at each new owner of a shard: 1, 2, ... */
export type Epoch = Brand<number, 'Epoch'>;
/** Bytes from the start of a zone. */
export type ZoneOffset = Brand<number, 'ZoneOffset'>;
/** Address in a shard's log: zone id * zone size + offset. A safe integer: no bit operators on it. */
export type Lba = Brand<number, 'Lba'>;
/** The LBA at which a key's newest record committed. Cleaning moves a record, its version stays. */
export type Version = Brand<number, 'Version'>;
/** Milliseconds: of a duration, of a monotonic clock or since 1970, as the name of the variable says. */
export type Millis = Brand<number, 'Millis'>;
/** A hash slot, 0..16383 (Redis Cluster's). */
export type SlotId = Brand<number, 'SlotId'>;
/** Identity of a cluster, of a gateway or of a logger: 32 lower-case hexadecimal digits. */
export type Uuid = Brand<string, 'Uuid'>;
/** Drawn at each start of a process: 16 lower-case hexadecimal digits. */
export type InstanceId = Brand<string, 'InstanceId'>;
/** From the coordinator's counter: 1, 2, ... 0 is nobody. */
export type ClientId = Brand<number, 'ClientId'>;
/** Number of a client's write: 1, 2, ... */
export type RequestNumber = Brand<number, 'RequestNumber'>;

function natural(value: number, least: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be a safe integer of at least ${least}, got ${value}`);
  }
  return value;
}

export const shardId = (value: number): ShardId => natural(value, 0, 'shard id') as ShardId;
export const zoneId = (value: number): ZoneId => natural(value, 1, 'zone id') as ZoneId;
export const epoch = (value: number): Epoch => natural(value, 1, 'epoch') as Epoch;
export const zoneOffset = (value: number): ZoneOffset => natural(value, 0, 'zone offset') as ZoneOffset;
export const lba = (value: number): Lba => natural(value, 0, 'LBA') as Lba;
export const version = (value: number): Version => natural(value, 0, 'version') as Version;
export const millis = (value: number): Millis => value as Millis;
export const slotId = (value: number): SlotId => natural(value, 0, 'slot id') as SlotId;
export const clientId = (value: number): ClientId => natural(value, 0, 'client id') as ClientId;
export const requestNumber = (value: number): RequestNumber => natural(value, 0, 'request number') as RequestNumber;

export function isUuid(value: string): value is Uuid {
  return /^[0-9a-f]{32}$/.test(value);
}

/** @throws RangeError when it isn't 32 lower-case hexadecimal digits. */
export function uuid(value: string): Uuid {
  if (!isUuid(value)) throw new RangeError(`a UUID has 32 hexadecimal digits, got '${value}'`);
  return value;
}

/** Without a regular expression, since each append and confirmation names one. */
export function isInstanceId(value: string): value is InstanceId {
  if (value.length !== 16) return false;
  for (let at = 0; at < 16; at += 1) {
    const code = value.charCodeAt(at);
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}

/** @throws RangeError when it isn't 16 lower-case hexadecimal digits. */
export function instanceId(value: string): InstanceId {
  if (!isInstanceId(value)) throw new RangeError(`an instance id has 16 hexadecimal digits, got '${value}'`);
  return value;
}

/** The address of `offset` in `zone` of a log whose zones have `zoneSize` bytes. */
export function lbaOf(zone: ZoneId, offset: number, zoneSize: number): Lba {
  return (zone * zoneSize + offset) as Lba;
}

/** Whether all addresses of `zone` are safe integers: no other zone can be written. */
export function isAddressable(zone: number, zoneSize: number): boolean {
  return Number.isSafeInteger((zone + 1) * zoneSize - 1);
}

/** The zone that `address` lies in. */
export function zoneOfLba(address: number, zoneSize: number): ZoneId {
  return Math.floor(address / zoneSize) as ZoneId;
}

/** The offset of `address` in its zone. */
export function offsetOfLba(address: number, zoneSize: number): ZoneOffset {
  return (address % zoneSize) as ZoneOffset;
}
