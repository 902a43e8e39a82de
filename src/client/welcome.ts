/**
 * Reads and checks what a gateway says of itself: the answer to `hello` and the map of shards. What it says is not
 * trusted to be well formed.
 */
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { ShardMap, Welcome } from '../codec/client-protocol.ts';
import { protocolVersion } from '../codec/client-protocol.ts';

/** @throws KvError `protocol-error`, `protocol-version` */
export function welcomeOf(value: unknown): Welcome {
  const fields = fieldsOf(value, 'welcome');
  const protocol = integer(fields, 'protocol', 0, 1_000_000);
  if (protocol < protocolVersion.min || protocol > protocolVersion.max) {
    throw new KvError(
      'protocol-version',
      `the gateway chose protocol ${protocol}; this client speaks ${protocolVersion.min} to ${protocolVersion.max}`,
    );
  }
  return {
    cluster: text(fields, 'cluster'),
    protocol,
    gateway: integer(fields, 'gateway', 0, limits.gatewayCountMax - 1),
    node: text(fields, 'node'),
    instance: text(fields, 'instance'),
    client: integer(fields, 'client', 0, Number.MAX_SAFE_INTEGER),
    keyBytesMax: integer(fields, 'keyBytesMax', 1, limits.frameBytesMax),
    valueBytesMax: integer(fields, 'valueBytesMax', 0, limits.frameBytesMax),
    clientWindow: integer(fields, 'clientWindow', 1, 1_000_000),
    map: shardMapOf(fields['map']),
  };
}

/** @throws KvError `protocol-error` */
export function shardMapOf(value: unknown): ShardMap {
  const fields = fieldsOf(value, 'map');
  const shards = integer(fields, 'shards', 1, limits.shardCountMax);
  const owners = list(fields, 'owners', limits.shardCountMax).map((owner) => {
    if (typeof owner !== 'number' || !Number.isInteger(owner) || owner < -1 || owner >= limits.gatewayCountMax)
      throw wrong('owners', owner);
    return owner;
  });
  if (owners.length !== shards) throw wrong('owners', owners.length);
  const gateways = list(fields, 'gateways', limits.gatewayCountMax).map((address) => {
    if (typeof address !== 'string') throw wrong('gateways', address);
    return address;
  });
  return { revision: integer(fields, 'revision', 0, Number.MAX_SAFE_INTEGER), shards, owners, gateways };
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function fieldsOf(value: unknown, what: string): Fields {
  if (!isFields(value)) throw wrong(what, value);
  return value;
}

function integer(fields: Fields, name: string, least: number, most: number): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most)
    throw wrong(name, value);
  return value;
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw wrong(name, value);
  return value;
}

function list(fields: Fields, name: string, most: number): unknown[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length > most) throw wrong(name, value);
  return value;
}

function wrong(name: string, value: unknown): KvError {
  const shown =
    typeof value === 'string' || typeof value === 'number' ? `'${String(value).slice(0, 40)}'` : `a ${typeof value}`;
  return new KvError('protocol-error', `the gateway's '${name}' can't be ${shown}`);
}
