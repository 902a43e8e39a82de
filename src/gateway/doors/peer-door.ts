/**
 * The peer port: requests that other gateways forward, which are not forwarded again, and what owners tell standbys
 * (S14). Gateways say hello first: those of another cluster are refused, and what a connection tells of a shard's log
 * is believed only if the process that said hello owns the shard in that epoch, as far as the coordinator was heard.
 *
 * It owns its connections and who is at their other ends.
 */
import type { InstanceId, ShardId } from '../../base/ids.ts';
import type { HandOverWish } from '../../codec/hand-over.ts';
import { handOverMethod, readHandOver } from '../../codec/hand-over.ts';
import type { ShardReport } from '../../codec/heartbeat.ts';
import { heartbeatMethod, readHeartbeat, writeReports } from '../../codec/heartbeat.ts';
import type { GatewayIdentity } from '../../codec/member-hello.ts';
import { readMemberHello, strangeness, writeMemberHello } from '../../codec/member-hello.ts';
import { arrayOf } from '../../codec/message-parts.ts';
import type { MessageReader } from '../../codec/message-reader.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import { catchUpMethod, readCatchUp } from '../peers/catch-up.ts';
import type { CatchUp } from '../../core/shard/events.ts';
import type { MetadataStore } from '../metadata-store.ts';
import type { ShardRunner } from '../shards/shard-runner.ts';
import type { GatewayDoor } from './door.ts';
import type { Greeting } from './greeting.ts';
import type { Requests } from './requests.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

export interface PeerDoorParts {
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly greeting: Greeting;
  readonly runner: Pick<ShardRunner, 'dispatch'>;
  readonly store: Pick<MetadataStore, 'shard' | 'shardCount'>;
  readonly self: GatewayIdentity;
  /** A process that said hello asks for a shard, ... */
  readonly onHandOver: (peer: InstanceId, wish: HandOverWish) => void;
  /** ... or sends a heartbeat: gives the answer. */
  readonly onHeartbeat: (peer: InstanceId, reports: readonly ShardReport[]) => readonly ShardReport[];
}

/** Methods for gateways that said hello. The others ask about this gateway itself, which anybody may. */
const membersOnly: ReadonlySet<string> = new Set(['put', 'delete', 'get', 'has', heartbeatMethod]);

export class PeerDoor implements GatewayDoor {
  readonly #parts: PeerDoorParts;
  /** Processes that said hello. */
  readonly #peers = new Map<RpcChannel, InstanceId>();

  constructor(parts: PeerDoorParts) {
    this.#parts = parts;
  }

  get connections(): number {
    return this.#parts.sessions.count;
  }

  admit(channel: RpcChannel): void {
    this.#parts.sessions.add(channel);
  }

  onOpen(): void {
    // Counted by `admit`.
  }

  onClose(channel: RpcChannel): void {
    this.#peers.delete(channel);
    this.#parts.sessions.delete(channel);
  }

  onDrain(): void {
    // The channel stops reading by itself while its output waits.
  }

  onNotice(channel: RpcChannel, method: string, params: MessageReader): void {
    const peer = this.#peers.get(channel);
    if (method === handOverMethod && peer !== undefined) this.#parts.onHandOver(peer, readHandOver(params));
    if (method !== catchUpMethod) return;
    const { shard, event } = readCatchUp(params);
    if (this.#isOwner(peer, shard, event)) this.#parts.runner.dispatch(shard, event);
  }

  /** What is not believed is read from the log, when the coordinator has told of its owner (S14). */
  #isOwner(peer: InstanceId | undefined, shard: ShardId, { epoch, instance }: CatchUp): boolean {
    const { store } = this.#parts;
    if (peer === undefined || shard >= store.shardCount) return false;
    const { head } = store.shard(shard);
    return head !== undefined && head.owner.instance === peer && instance === peer && head.epoch === epoch;
  }

  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    this.#parts.sessions.request(channel, id, method, (session) => this.#handle(session, id, method, params));
  }

  #handle(session: Session, id: number, method: string, params: MessageReader): void {
    const { requests, greeting } = this.#parts;
    if (method === 'hello') {
      if (!this.#hello(session, id, params)) greeting.refuseClient(session, id);
      return;
    }
    const peer = this.#peers.get(session.channel);
    if (membersOnly.has(method) && peer === undefined)
      return session.fail(id, 'protocol-error', 'the peer port is for gateways that said hello');
    if (method === heartbeatMethod && peer !== undefined) return this.#heartbeat(session, id, peer, params);
    if (requests.handle(session, id, method, params) || greeting.handle(session, id, method, params)) return;
    session.fail(id, 'unknown-method', `no method '${method}' on the peer port`);
  }

  #heartbeat({ channel }: Session, id: number, peer: InstanceId, params: MessageReader): void {
    const reports = this.#parts.onHeartbeat(peer, readHeartbeat(params));
    writeReports(channel.beginAnswer(id), reports);
    channel.endAnswer();
    channel.flush();
  }

  /** False: it is no gateway that says hello. @throws MessageFormatError */
  #hello(session: Session, id: number, params: MessageReader): boolean {
    const { self } = this.#parts;
    const start = params.position;
    arrayOf(params, 1, 'hello');
    const hello = readMemberHello(params);
    params.position = start;
    if (hello === undefined) return false;
    const { channel } = session;
    const wrong = strangeness(hello, self.cluster);
    if (wrong === undefined) {
      this.#peers.set(channel, hello.instance);
      writeMemberHello(channel.beginAnswer(id), self);
      channel.endAnswer();
    } else {
      session.fail(id, hello.cluster === self.cluster ? 'protocol-version' : 'wrong-cluster', wrong);
      channel.close(wrong);
    }
    return true;
  }

  mapChanged(): void {
    this.#parts.sessions.mapChanged();
  }

  close(): void {
    this.#parts.sessions.close();
  }
}
