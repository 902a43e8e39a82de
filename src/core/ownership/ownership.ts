/**
 * Which shards this gateway takes over, and when: asked by every gateway alike of what the coordinator lists (members,
 * heads) and of what it sees itself (which processes live), so that nobody has to agree with anybody. Two that decide
 * alike meet in the compare-and-set of the claim. docs/decisions/0016-ownership.md has the policy and its reasons.
 *
 * A shard is vacant when
 *   unborn    nobody has owned it yet: whom it is at home with begins it
 *   returned  its owner was an earlier life of this gateway
 *   replaced  its owner was an earlier life of another gateway, which gets some time to claim it itself
 *   dead      its owner's process is gone: nobody listens there any more
 *   silent    its owner answers no heartbeats
 *   unmet     its owner was not met in the life of this process: it may be starting
 *   useless   its owner lives, and could not commit for a while, or is cut off from all loggers
 *
 * The candidates stand in an order (rendezvous.ts), and the k-th waits k steps, so that one that fails is followed by
 * the next. What somebody serves well is left to him. Hysteresis: where the owner's end is not proven, each change of
 * owner of late doubles the wait, so that gateways that do not see one another do not take shards from each other all
 * day.
 *
 * A shard that is served well changes its owner by a hand-over, without a pause, which whoever wants it asks its owner
 * for: when the owner is about to stop, and when the shard's home has been back for a while and nothing has failed
 * meanwhile. Who asks is up to date.
 *
 * It owns these reasons, the order and the waits. It does not own verdicts on processes (core/members), nor the steps
 * of a take-over (core/shard/taking).
 */
import { unreachable } from '../../base/assert.ts';
import type { InstanceId, Millis, ShardId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import { times } from '../../base/times.ts';
import type { ShardCondition } from '../../codec/heartbeat.ts';
import type { Verdict } from '../members/detector.ts';
import { balancedOwners, rendezvousOrder } from '../rendezvous.ts';
import type { ShardRole } from '../shard/events.ts';
import type { Head, Owner } from '../shard/head/metadata.ts';

export type VacancyKind = 'unborn' | 'returned' | 'replaced' | 'dead' | 'silent' | 'unmet' | 'useless';

/** A gateway that the coordinator lists. */
export interface PeerView {
  readonly instance: InstanceId;
  readonly verdict: Verdict;
  /** As it said last; undefined: it said nothing of the shard in that epoch. */
  condition(shard: ShardId, epoch: number): ShardCondition | undefined;
}

export interface ShardView {
  readonly shard: ShardId;
  readonly head: Head | undefined;
  /** `loading`: its index is not there yet. */
  readonly role: ShardRole | 'loading';
  /** Committed log that its index lacks, bytes. */
  readonly lag: number;
}

export interface OwnershipView {
  readonly nowMs: Millis;
  /** Process that the coordinator lists under this gateway's number. */
  readonly listed: InstanceId | undefined;
  /** This gateway is about to stop: it takes nothing. */
  readonly isLeaving: boolean;
  /** The other members, by number. */
  readonly peers: ReadonlyMap<number, PeerView>;
  /** All of them. */
  readonly shards: readonly ShardView[];
}

export interface Claim {
  readonly shard: ShardId;
  /** Epoch of the owner that it is claimed from; 0: nobody's. A later owner is left alone. */
  readonly over: number;
  readonly reason: VacancyKind;
}

/** A shard that its owner, `gateway`, is asked for. */
export interface Wish {
  readonly shard: ShardId;
  readonly gateway: number;
  readonly epoch: number;
}

export interface Decisions {
  readonly claims: readonly Claim[];
  readonly wishes: readonly Wish[];
  /** Shards that are being taken over and need not be any more. */
  readonly withdrawn: readonly ShardId[];
}

/** A reason to change the owner. */
interface Move<Kind> {
  readonly kind: Kind;
  /** Wait of the first candidate, milliseconds. */
  readonly waitMs: number;
  /** Number of a gateway that comes before the others. */
  readonly first?: number;
}

type Vacancy = Move<VacancyKind>;

/** Memory of a shard. */
interface Watched {
  epoch: number;
  /** Number of the gateway that owns it; -1: none. */
  owner: number;
  /** When it went from one gateway to another, of late. */
  changesMs: readonly number[];
  kind: VacancyKind | 'leaving' | 'away' | undefined;
  sinceMs: number;
  /** When its owner was last seen to wait for copies; 0: never. */
  waitedUntilMs: number;
  /** No further attempt before. */
  notBeforeMs: number;
}

/** Changes of owner that count: more make no wait longer. */
const changesMax = 8;

export class Ownership {
  readonly #self: Owner;
  /** Numbers of the config file: members before they have come, as long as a shard has never been owned. */
  readonly #expected: readonly number[];
  readonly #copiesWaitMs: number;
  readonly #shards = new Map<ShardId, Watched>();
  /** Names of the members that the homes were worked out of. */
  #members = '';
  #homes: ReadonlyMap<string, string> = new Map();

  /** `firstHandWaitMs`: for how long a take-over may wait for copies, 0: for ever (S9). */
  constructor(self: Owner, expected: readonly number[], firstHandWaitMs: number) {
    this.#self = self;
    this.#expected = expected;
    this.#copiesWaitMs = firstHandWaitMs === 0 ? Number.POSITIVE_INFINITY : firstHandWaitMs;
  }

  step(view: OwnershipView): Decisions {
    const claims: Claim[] = [];
    const wishes: Wish[] = [];
    const withdrawn: ShardId[] = [];
    this.#learnHomes(view);
    for (const shard of view.shards) {
      const watched = this.#watch(shard, view.nowMs);
      const vacancy = this.#vacancy(shard, watched, view);
      const move = vacancy ?? this.#wanted(shard, watched, view);
      if (move?.kind !== watched.kind) watched.sinceMs = view.nowMs;
      watched.kind = move?.kind;
      if (vacancy === undefined && shard.role === 'taking' && !this.#isMine(shard)) withdrawn.push(shard.shard);
      if (move === undefined || shard.role !== 'follower') continue;
      if (view.nowMs < Math.max(this.#dueMs(shard, move, watched, view), watched.notBeforeMs)) continue;
      watched.notBeforeMs = view.nowMs + times.claimAgainMs;
      const epoch = shard.head?.epoch ?? 0;
      if (vacancy !== undefined) claims.push({ shard: shard.shard, over: epoch, reason: vacancy.kind });
      else if (shard.lag <= limits.handOverLagBytes)
        wishes.push({ shard: shard.shard, gateway: shard.head?.owner.gateway ?? -1, epoch });
    }
    return { claims, wishes, withdrawn };
  }

  /** Why the shard, which its owner serves, should be handed over; undefined: it should not. */
  #wanted(shard: ShardView, { changesMs }: Watched, view: OwnershipView): Move<'leaving' | 'away'> | undefined {
    const { head } = shard;
    const peer = view.peers.get(head?.owner.gateway ?? -1);
    if (head === undefined || peer?.verdict !== 'alive' || peer.instance !== head.owner.instance) return undefined;
    if (view.listed !== this.#self.instance || view.isLeaving) return undefined;
    const condition = peer.condition(shard.shard, head.epoch);
    if (condition === 'leaving') return { kind: 'leaving', waitMs: 0 };
    const home = this.#homeOf(shard.shard);
    if (condition !== 'serving' || home !== this.#self.gateway) return undefined;
    return { kind: 'away', waitMs: times.homeAfterMs * 2 ** changesMs.length, first: home };
  }

  #watch({ shard, head }: ShardView, nowMs: Millis): Watched {
    const [epoch, owner] = [head?.epoch ?? 0, head?.owner.gateway ?? -1];
    let watched = this.#shards.get(shard);
    if (watched === undefined) {
      watched = { epoch, owner, changesMs: [], kind: undefined, sinceMs: nowMs, waitedUntilMs: 0, notBeforeMs: 0 };
      this.#shards.set(shard, watched);
    } else if (watched.epoch !== epoch) {
      const isMove = watched.owner !== -1 && watched.owner !== owner;
      const changesMs = isMove ? [...watched.changesMs, nowMs].slice(-changesMax) : watched.changesMs;
      // The next owner's faults are its own.
      Object.assign(watched, { epoch, owner, changesMs, kind: undefined, waitedUntilMs: 0 });
    }
    const [oldest] = watched.changesMs;
    if (oldest !== undefined && oldest + times.ownersRememberedMs < nowMs)
      watched.changesMs = watched.changesMs.slice(1);
    return watched;
  }

  #isMine({ head }: ShardView): boolean {
    return head?.owner.instance === this.#self.instance;
  }

  /** Why the shard needs an owner; undefined: it has one, or this process is no member any more. */
  #vacancy(shard: ShardView, watched: Watched, view: OwnershipView): Vacancy | undefined {
    const { listed, peers, isLeaving } = view;
    if (listed !== this.#self.instance || isLeaving) return undefined;
    const { head } = shard;
    if (head === undefined) return { kind: 'unborn', waitMs: 0, first: this.#homeOf(shard.shard) };
    const { owner, epoch } = head;
    if (this.#isMine(shard)) return undefined;
    if (owner.gateway === this.#self.gateway) return { kind: 'returned', waitMs: 0, first: owner.gateway };
    const peer = peers.get(owner.gateway);
    if (peer === undefined) return { kind: 'dead', waitMs: 0 };
    if (peer.instance !== owner.instance) return { kind: 'replaced', waitMs: 0, first: owner.gateway };
    const { changesMs } = watched;
    const calmMs = changesMs.length === 0 ? 0 : times.takeOverStepMs * 2 ** changesMs.length;
    switch (peer.verdict) {
      case 'dead':
        return { kind: 'dead', waitMs: 0 };
      case 'silent':
        return { kind: 'silent', waitMs: calmMs };
      case 'unmet':
        return { kind: 'unmet', waitMs: times.gatewayUnmetMs + calmMs };
      case 'alive': {
        const condition = peer.condition(shard.shard, epoch);
        if (condition === 'waiting') watched.waitedUntilMs = view.nowMs;
        return this.#uselessness(condition, watched, calmMs);
      }
      default:
        return unreachable(peer.verdict);
    }
  }

  /**
   * A taker that waits for copies is left its wait, and the time to take the shard after it: the next one would begin
   * the wait again.
   */
  #uselessness(condition: ShardCondition | undefined, watched: Watched, calmMs: number): Vacancy | undefined {
    switch (condition) {
      case 'serving':
      case 'leaving':
      case 'stopped':
        return undefined;
      case 'cut-off':
        return { kind: 'useless', waitMs: calmMs };
      case 'waiting':
        return { kind: 'useless', waitMs: this.#copiesWaitMs + times.ownerTakingMs + calmMs };
      case 'taking': {
        const waitedMs = Math.max(0, watched.waitedUntilMs - watched.sinceMs);
        return { kind: 'useless', waitMs: Math.min(waitedMs, this.#copiesWaitMs) + times.ownerTakingMs + calmMs };
      }
      default:
        return { kind: 'useless', waitMs: times.ownerStuckMs + calmMs };
    }
  }

  /** Gateway that begins a shard when all is well. */
  #homeOf(shard: ShardId): number {
    return Number(this.#homes.get(String(shard)));
  }

  #learnHomes({ peers, shards }: OwnershipView): void {
    const members = [...new Set([...this.#expected, this.#self.gateway, ...peers.keys()])].map(String);
    const joined = members.join();
    if (joined === this.#members) return;
    this.#members = joined;
    this.#homes = balancedOwners(
      shards.map((one) => String(one.shard)),
      members,
    );
  }

  #dueMs(
    { shard, head }: ShardView,
    { first, waitMs }: Move<unknown>,
    { sinceMs }: Watched,
    view: OwnershipView,
  ): number {
    const { gateway } = this.#self;
    if (first === gateway) return sinceMs + waitMs;
    const owner = head?.owner.gateway;
    const alive = [...view.peers].filter(([number, { verdict }]) => verdict === 'alive' && number !== owner);
    const candidates = [gateway, ...alive.map(([number]) => number)].map(String);
    const place = rendezvousOrder(String(shard), candidates).indexOf(String(gateway));
    const firstMs = first === undefined ? 0 : times.gatewayReturnMs;
    return sinceMs + waitMs + firstMs + place * times.takeOverStepMs;
  }
}

/** Shards, of `shardCount`, that are at home with gateway `self`. REQUIRES: `self` is one of `members`. */
export function homeShards(members: readonly number[], self: number, shards: readonly ShardId[]): ShardId[] {
  const owners = balancedOwners(shards.map(String), members.map(String));
  return shards.filter((shard) => owners.get(String(shard)) === String(self));
}
