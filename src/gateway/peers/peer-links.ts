/**
 * This gateway's connections to the other gateways' peer ports: forwarded requests and catch-up. A connection counts
 * only when the member that the coordinator lists listens there: its port may have been taken over by a gateway of
 * another cluster, or by another of this one (S16).
 */
import type { ShardId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type { HandOverWish } from '../../codec/hand-over.ts';
import { handOverMethod, writeHandOver } from '../../codec/hand-over.ts';
import type { GatewayIdentity } from '../../codec/member-hello.ts';
import type { GatewayMember } from '../../coordinator/members.ts';
import type { CatchUp } from '../../core/shard/events.ts';
import type { Timer } from '../../env/clock.ts';
import type { Environment } from '../../env/environment.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import { Link } from '../../rpc/link.ts';
import { clientOptions } from '../../rpc/options.ts';
import { catchUpMethod, writeCatchUp } from './catch-up.ts';
import { greetPeer } from './greet-peer.ts';

export interface CatchUpLimits {
  /** Bytes queued towards one gateway; what does not fit is dropped and healed from the log (S14). */
  readonly queuedBytesMax: number;
  /** Bytes that are sent without waiting for more. */
  readonly gatheredBytes: number;
}

export const catchUpLimits: CatchUpLimits = {
  queuedBytesMax: limits.catchupBytesMax,
  gatheredBytes: limits.catchupBytesGathered,
};

export class PeerLinks {
  readonly #world: Environment;
  readonly #log: Log;
  readonly #self: GatewayIdentity;
  readonly #limits: CatchUpLimits;
  readonly #links = new Map<number, Link>();
  #members: ReadonlyMap<number, GatewayMember> = new Map();
  /** Why whoever listens where a gateway should is not it, as it was logged last. */
  readonly #reported = new Map<number, string>();
  #dropped = 0;
  #pending: { readonly shard: ShardId; readonly event: CatchUp }[] = [];
  #pendingBytes = 0;
  #timer: Timer | undefined;

  constructor(world: Environment, log: Log, self: GatewayIdentity, bounds: CatchUpLimits = catchUpLimits) {
    this.#limits = bounds;
    this.#world = world;
    this.#log = log;
    this.#self = self;
  }

  get count(): number {
    return this.#links.size;
  }

  /** Catch-up messages that did not fit a peer's queue: it reads them from the log (S14). */
  get dropped(): number {
    return this.#dropped;
  }

  update(members: ReadonlyMap<number, GatewayMember>): void {
    const before = this.#members;
    this.#members = new Map(members);
    for (const [number, member] of members) {
      if (number === this.#self.gateway) continue;
      const link = this.#links.get(number);
      if (link === undefined) this.#links.set(number, this.#link(number, member.peerAddress));
      else link.retarget(member.peerAddress);
      // Whoever was not the member that is listed may be it now.
      if (before.get(number)?.instance !== member.instance) link?.hurry();
    }
    for (const [number, link] of [...this.#links]) {
      if (members.has(number)) continue;
      this.#links.delete(number);
      this.#reported.delete(number);
      link.close();
    }
  }

  #link(number: number, address: string): Link {
    const { network, clock, random } = this.#world;
    return new Link({
      network,
      clock,
      random,
      address,
      rpc: clientOptions(),
      handshake: (channel, done) => {
        greetPeer(channel, this.#self, { number, instance: this.#members.get(number)?.instance }, (strange) => {
          if (strange !== undefined) this.#report(number, strange);
          done(strange);
        });
      },
      onUp: () => this.#reported.delete(number),
      onDown: (reason) => this.#log('info', 'peer connection lost', { gateway: number, reason }),
    });
  }

  /** Once, not at each attempt: it stays so until somebody does something about it. */
  #report(number: number, reason: string): void {
    if (this.#reported.get(number) === reason) return;
    this.#reported.set(number, reason);
    this.#log('warn', 'peer not accepted', { gateway: number, reason });
  }

  /** What was forwarded to a gateway that answers nothing is told `lost`: it can go to the next owner. */
  renew(gateway: number, reason: string): void {
    this.#links.get(gateway)?.renew(reason);
  }

  /** The connection to a gateway, undefined while down. */
  channel(gateway: number): RpcChannel | undefined {
    return this.#links.get(gateway)?.channel;
  }

  /** Asks a gateway for a shard; nothing while its connection is down. */
  ask(gateway: number, wish: HandOverWish): void {
    const channel = this.channel(gateway);
    channel?.notify(handOverMethod, (out) => writeHandOver(out, wish));
    channel?.flush();
  }

  /**
   * To all others. Nobody waits for it, so it goes out a few milliseconds later together with what follows: each
   * message wakes every other gateway, which on a small machine takes the processor from the next batch
   * (docs/performance.md).
   */
  catchUp(shard: ShardId, event: CatchUp): void {
    this.#pending.push({ shard, event });
    this.#pendingBytes += event.heads.length;
    if (this.#pendingBytes >= this.#limits.gatheredBytes) this.#flush();
    else this.#timer ??= this.#world.clock.after(times.catchupDelayMs, () => this.#flush());
  }

  /** A queue that is too long takes no more (S14: a gap is read from the log). */
  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const link of this.#links.values()) {
      const { channel } = link;
      if (channel === undefined) continue;
      for (const { shard, event } of pending) {
        if (channel.waitingBytes > this.#limits.queuedBytesMax) this.#dropped += 1;
        else channel.notify(catchUpMethod, (out) => writeCatchUp(out, shard, event));
      }
    }
  }

  close(): void {
    this.#flush();
    for (const link of this.#links.values()) link.close();
  }
}
