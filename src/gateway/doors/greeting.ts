/** `hello` and the other calls about the gateway itself, not about keys, that every door answers. */
import { KvError } from '../../base/errors.ts';
import type { ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { isUuid, shardId, zoneId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { ShardMap, Welcome } from '../../codec/client-protocol.ts';
import { protocolVersion } from '../../codec/client-protocol.ts';
import { fieldOf } from '../../codec/fields.ts';
import { arrayOf, malformed, natural } from '../../codec/message-parts.ts';
import type { MessageReader } from '../../codec/message-reader.ts';
import type { GatewayStatus } from '../../codec/node-status.ts';
import type { ListedZone } from '../../codec/node-status.ts';
import { writeGatewayStatus, writeListedZones } from '../../codec/node-status.ts';
import type { SealedZone } from '../../core/shard/head/metadata.ts';
import type { MetadataStore } from '../metadata-store.ts';
import type { ClientIds } from '../numbering.ts';
import type { Session } from './session.ts';

export interface GreetingParts {
  readonly cluster: string;
  readonly gateway: number;
  readonly node: string;
  readonly instance: string;
  readonly clientIds: ClientIds;
  readonly map: () => ShardMap;
  readonly status: () => GatewayStatus;
  /** Tells a shard that a copy is suspected of damage; false: it is not owned here. */
  readonly suspect: (shard: ShardId, zone: ZoneId, logger: Uuid) => boolean;
  readonly store: Pick<MetadataStore, 'shard' | 'shardCount'>;
  /** Bound of a client's numbers (S15). */
  readonly clientWindow: number;
}

export class Greeting {
  readonly #parts: GreetingParts;

  constructor(parts: GreetingParts) {
    this.#parts = parts;
  }

  /** False: the method is none of these. @throws KvError, MessageFormatError */
  handle(session: Session, id: number, method: string, params: MessageReader): boolean {
    switch (method) {
      case 'hello':
        this.#hello(session, id, params);
        return true;
      case 'map':
        answer(session, id, this.#parts.map());
        return true;
      case 'status':
        writeGatewayStatus(session.channel.beginAnswer(id), this.#parts.status());
        session.channel.endAnswer();
        return true;
      case 'zones':
        this.#zones(session, id, params);
        return true;
      case 'suspect':
        this.#suspect(session, id, params);
        return true;
      default:
        return false;
    }
  }

  /** Whoever asks is not believed: the owner reads the copy. @throws KvError `not-owner`, MessageFormatError */
  #suspect(session: Session, id: number, params: MessageReader): void {
    const { store, suspect } = this.#parts;
    arrayOf(params, 3, 'suspect');
    const shard = shardId(natural(params, 0, store.shardCount - 1, 'shard'));
    const zone = zoneId(natural(params, 1, Number.MAX_SAFE_INTEGER, 'zone'));
    const logger = params.text();
    if (!isUuid(logger)) malformed(params, 'logger is no UUID');
    if (!suspect(shard, zone, logger)) throw new KvError('not-owner', `shard ${shard} has another owner`);
    answer(session, id, true);
  }

  /** Sealed zones of a shard from a zone id on, as many as one answer takes. @throws MessageFormatError */
  #zones(session: Session, id: number, params: MessageReader): void {
    const { store } = this.#parts;
    arrayOf(params, 2, 'zones');
    const shard = shardId(natural(params, 0, store.shardCount - 1, 'shard'));
    const from = params.integer();
    const listed = store.shard(shard).zones.filter(({ zone }) => zone >= from);
    writeListedZones(session.channel.beginAnswer(id), listed.slice(0, limits.zonesListedMax).map(listedZone));
    session.channel.endAnswer();
  }

  /** On the port for gateways: nothing that a client sends there would be forwarded, or be served for long. */
  refuseClient(session: Session, id: number): void {
    const { gateway, map } = this.#parts;
    const address = map().gateways[gateway] ?? '';
    const message = `this is the peer port of gateway ${gateway}; its client port is ${address}`;
    session.fail(id, 'wrong-port', message);
  }

  #hello(session: Session, id: number, params: MessageReader): void {
    arrayOf(params, 1, 'hello');
    const hello = fieldOf(params.value(), 'hello', (message) => new KvError('bad-argument', message));
    const min = hello.optional('protocolMin')?.integer() ?? 1;
    const max = hello.optional('protocolMax')?.integer() ?? min;
    const protocol = Math.min(max, protocolVersion.max);
    if (protocol < Math.max(min, protocolVersion.min)) {
      throw new KvError(
        'protocol-version',
        `this gateway speaks protocol versions ${protocolVersion.min}..${protocolVersion.max}, the other side ${min}..${max}`,
      );
    }
    const { cluster } = this.#parts;
    const expected = hello.optional('cluster')?.text() ?? cluster;
    if (expected !== cluster) throw new KvError('wrong-cluster', `this is cluster ${cluster}, not ${expected}`);
    const wantsClientId = hello.optional('wantsClientId')?.boolean() ?? false;
    session.wantsMap = true;
    if (!wantsClientId) return this.#welcome(session, id, protocol, 0);
    this.#parts.clientIds.take().then(
      (client) => this.#welcome(session, id, protocol, client),
      (error: unknown) =>
        session.fail(
          id,
          'coordinator-unavailable',
          `no client id can be had now: ${error instanceof Error ? error.message : String(error)}`,
        ),
    );
  }

  #welcome(session: Session, id: number, protocol: number, client: number): void {
    const { cluster, gateway, node, instance } = this.#parts;
    const welcome: Welcome = {
      cluster,
      protocol,
      gateway,
      node,
      instance,
      client,
      keyBytesMax: limits.keyBytesMax,
      valueBytesMax: limits.valueBytesMax,
      clientWindow: this.#parts.clientWindow,
      map: this.#parts.map(),
    };
    answer(session, id, welcome);
  }
}

function answer(session: Session, id: number, value: unknown): void {
  session.channel.beginAnswer(id).value(value);
  session.channel.endAnswer();
}

function listedZone({ zone, length, epoch, instance, replicas, doubt, lost }: SealedZone): ListedZone {
  const lostKeys = lost?.keys.length ?? 0;
  const loss = { doubt: doubt ?? '', lostKeys, lostUnknown: lost?.unknown ?? 0 };
  return { zone, length, epoch, instance, replicas, ...loss };
}
