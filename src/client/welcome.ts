/**
 * Reads and checks what a gateway says of itself: the answer to `hello` and the map of shards. What it says is not
 * trusted to be well formed.
 */
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { ShardMap, Welcome } from '../codec/client-protocol.ts';
import { protocolVersion } from '../codec/client-protocol.ts';
import { fieldOf } from '../codec/fields.ts';
import type { Field } from '../codec/fields.ts';

/** @throws KvError `protocol-error`, `protocol-version`; `wrong-port` for the answer of a logger */
export function welcomeOf(value: unknown, address: string): Welcome {
  const welcome = fieldOf(value, "the gateway's welcome", protocolError);
  if (welcome.optional('logger') !== undefined) throw wrongPort(address, 'a logger listens there');
  const protocol = welcome.at('protocol').integer();
  if (protocol < protocolVersion.min || protocol > protocolVersion.max) {
    throw new KvError(
      'protocol-version',
      `the gateway chose protocol ${protocol}; this client speaks ${protocolVersion.min} to ${protocolVersion.max}`,
    );
  }
  return {
    cluster: welcome.at('cluster').text(),
    protocol,
    gateway: welcome.at('gateway').integer(0, limits.gatewayCountMax - 1),
    node: welcome.at('node').text(),
    instance: welcome.at('instance').text(),
    client: welcome.at('client').integer(),
    keyBytesMax: welcome.at('keyBytesMax').integer(1, limits.frameBytesMax),
    valueBytesMax: welcome.at('valueBytesMax').integer(0, limits.frameBytesMax),
    clientWindow: welcome.at('clientWindow').integer(1, 1_000_000),
    map: mapOf(welcome.at('map')),
  };
}

/** Error for an address at which no gateway takes clients. */
export function wrongPort(address: string, why: string): KvError {
  return new KvError('wrong-port', `${address} is not the client port of a gateway: ${why}`);
}

/** @throws KvError `protocol-error` */
export function shardMapOf(value: unknown): ShardMap {
  return mapOf(fieldOf(value, "the gateway's map", protocolError));
}

function mapOf(map: Field): ShardMap {
  const shards = map.at('shards').integer(1, limits.shardCountMax);
  const owners = map.at('owners').list(limits.shardCountMax);
  if (owners.length !== shards) map.at('owners').wrong(`an owner for each of ${shards} shards`);
  return {
    revision: map.at('revision').integer(),
    shards,
    owners: owners.map((owner) => owner.integer(-1, limits.gatewayCountMax - 1)),
    gateways: map
      .at('gateways')
      .list(limits.gatewayCountMax)
      .map((address) => address.text()),
  };
}

function protocolError(message: string): KvError {
  return new KvError('protocol-error', message);
}
