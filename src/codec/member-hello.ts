/**
 * Hello between members of a cluster: what a gateway says of itself to another gateway's peer port, and to loggers, and
 * what a gateway answers (docs/protocol.md). A map, since it grows and nobody is in a hurry. Readers throw
 * MessageFormatError when a message has another form, and nothing else.
 *
 *   hello = {role: 'gateway', protocolMin, protocolMax, cluster, gateway, node, instance}
 */
import type { InstanceId, Uuid } from '../base/ids.ts';
import { instanceId, uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { fieldOf } from './fields.ts';
import type { Field } from './fields.ts';
import { MessageFormatError } from './message-reader.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

/** Protocol between members. */
export const memberProtocol = { min: 1, max: 1 } as const;

/** A gateway as it names itself to other members. */
export interface GatewayIdentity {
  readonly cluster: Uuid;
  /** Number of the config file. */
  readonly gateway: number;
  readonly node: Uuid;
  readonly instance: InstanceId;
}

export interface MemberHello extends GatewayIdentity {
  readonly protocolMin: number;
  readonly protocolMax: number;
}

export function writeMemberHello(out: MessageWriter, self: GatewayIdentity): void {
  const { cluster, gateway, node, instance } = self;
  const { min, max } = memberProtocol;
  out.value({ role: 'gateway', protocolMin: min, protocolMax: max, cluster, gateway, node, instance });
}

/** Undefined: whoever says hello is no gateway. */
export function readMemberHello(reader: MessageReader): MemberHello | undefined {
  const hello = fieldOf(reader.value(), 'hello', (message) => new MessageFormatError(message, reader.position));
  return hello.optional('role')?.text() === 'gateway' ? memberHello(hello) : undefined;
}

function memberHello(hello: Field): MemberHello {
  return {
    cluster: hello.at('cluster').minted(uuid),
    gateway: hello.at('gateway').integer(0, limits.gatewayCountMax - 1),
    node: hello.at('node').minted(uuid),
    instance: hello.at('instance').minted(instanceId),
    protocolMin: hello.at('protocolMin').integer(1),
    protocolMax: hello.at('protocolMax').integer(1),
  };
}

/** Why a member of `cluster` does not talk to who said `hello`; undefined: it does. */
export function strangeness({ cluster, protocolMin, protocolMax }: MemberHello, expected: Uuid): string | undefined {
  if (cluster !== expected) return `this is cluster ${expected}, not ${cluster}`;
  const { min, max } = memberProtocol;
  if (protocolMin <= max && protocolMax >= min) return undefined;
  return `this member speaks protocol versions ${min}..${max}, the other side ${protocolMin}..${protocolMax}`;
}
