/**
 * Carries out what is decided about ownership (core/ownership): shards that need an owner are claimed, all at once,
 * after a replica of each was seen to answer: a claim stops the zone changes of the owner before, so who could not go
 * on with it must not make it. Owners that serve are asked to hand over, and a gateway that leaves has the others ask.
 *
 * It owns which shards are being made sure of. It does not own who takes what when (core/ownership), nor the take-over
 * (core/shard/taking).
 */
import type { InstanceId, ShardId, Uuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type { HandOverWish } from '../../codec/hand-over.ts';
import type { ShardCondition, ShardReport } from '../../codec/heartbeat.ts';
import type { Claim, PeerView, ShardView } from '../../core/ownership/ownership.ts';
import { Ownership } from '../../core/ownership/ownership.ts';
import type { Head, Owner } from '../../core/shard/head/metadata.ts';
import type { Reign } from '../../core/shard/serving/owner-parts.ts';
import type { Shard } from '../../core/shard/shard.ts';
import type { Clock } from '../../env/clock.ts';
import type { LoggerLinks } from '../loggers/logger-links.ts';
import type { MetadataStore } from '../metadata-store.ts';
import { allShards, type ShardRunner } from './shard-runner.ts';

export interface ClaimsParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly self: Owner;
  /** Gateways of the config file. */
  readonly gatewayCount: number;
  readonly minReplicas: number;
  /** As the shards have it (S9). */
  readonly firstHandWaitMs: number;
  readonly store: MetadataStore;
  readonly loggers: LoggerLinks;
  readonly runner: ShardRunner;
  readonly peers: () => ReadonlyMap<number, PeerView>;
  /** Asks gateway number `gateway` for a shard of its own. */
  readonly ask: (gateway: number, wish: HandOverWish) => void;
  /** Whether no logger answers this gateway. */
  readonly isCutOff: () => boolean;
}

class SeenShard implements ShardView {
  readonly shard: ShardId;
  readonly head: Head | undefined;
  readonly role: ShardView['role'];
  readonly #machine: Shard | undefined;

  constructor(shard: ShardId, head: Head | undefined, machine: Shard | undefined) {
    this.shard = shard;
    this.head = head;
    this.role = machine?.role ?? 'loading';
    this.#machine = machine;
  }

  /** Worked out from all zones of the shard: only where it is asked for. */
  get lag(): number {
    return this.#machine?.lag ?? Number.POSITIVE_INFINITY;
  }
}

export class Claims {
  readonly #parts: ClaimsParts;
  readonly #shards: readonly ShardId[];
  readonly #ownership: Ownership;
  #isOpen = false;
  #isLeaving = false;

  constructor(parts: ClaimsParts) {
    this.#parts = parts;
    const { self, gatewayCount, firstHandWaitMs, runner } = parts;
    this.#shards = allShards(runner.shardCount);
    this.#ownership = new Ownership(
      self,
      Array.from({ length: gatewayCount }, (_, number) => number),
      firstHandWaitMs,
    );
  }

  /** From now on shards are claimed. REQUIRES: the metadata was read. */
  open(): void {
    this.#isOpen = true;
    this.consider();
  }

  close(): void {
    this.#isOpen = false;
  }

  /** Something is known that was not, or time has passed. */
  consider(): void {
    if (!this.#isOpen) return;
    const { clock, store, runner, self, peers } = this.#parts;
    const shards = this.#shards.map((shard) => new SeenShard(shard, store.shard(shard).head, runner.shard(shard)));
    const listed = store.gateways.get(self.gateway)?.instance;
    const seen = { nowMs: clock.now(), listed, isLeaving: this.#isLeaving, peers: peers(), shards };
    const { claims, wishes, withdrawn } = this.#ownership.step(seen);
    for (const wish of wishes) this.#parts.ask(wish.gateway, wish);
    for (const shard of withdrawn) runner.dispatch(shard, { event: 'withdraw' });
    this.#claim(claims);
  }

  /** Another process, which the coordinator lists as a gateway, asks for a shard. */
  asked(peer: InstanceId, { shard, epoch }: HandOverWish): void {
    const { store, runner } = this.#parts;
    if (shard >= runner.shardCount) return;
    for (const [gateway, { uuid: node, instance }] of store.gateways)
      if (instance === peer) runner.dispatch(shard, { event: 'hand-over', to: { gateway, node, instance }, epoch });
  }

  /** Asks for a shard that another gateway owns. */
  wish(shard: ShardId): void {
    const { head } = this.#parts.store.shard(shard);
    if (head === undefined || this.#isLeaving || shard >= this.#parts.runner.shardCount) return;
    this.#parts.ask(head.owner.gateway, { shard, epoch: head.epoch });
  }

  /**
   * From now on nothing is claimed, and the others are told to take what this gateway owns. Settles when it owns
   * nothing and is not `isBusy`, when nobody is there to take it, or after `times.leaveMs`.
   */
  leave(isBusy: () => boolean): Promise<void> {
    const { clock, runner, peers } = this.#parts;
    const untilMs = clock.now() + times.leaveMs;
    this.#isLeaving = true;
    return new Promise((resolve) => {
      const look = (): void => {
        const isOwner = runner.shards.some(({ role }) => role === 'owner' || role === 'taking');
        const isAlone = ![...peers().values()].some(({ verdict }) => verdict === 'alive');
        if (!(isOwner || isBusy()) || isAlone || clock.now() >= untilMs) resolve();
        else clock.after(times.leaveLookMs, look);
      };
      look();
    });
  }

  #claim(claims: readonly Claim[]): void {
    const { store, loggers } = this.#parts;
    const waiting = new Map<Uuid, Claim[]>();
    for (const claim of claims) {
      // Its own shards, and those of nobody, wait for loggers themselves: there is nobody to be in the way of.
      if (claim.reason === 'unborn' || claim.reason === 'returned') this.#dispatch(claim);
      else
        for (const logger of store.shard(claim.shard).head?.openZone.replicas ?? [])
          waiting.set(logger, [...(waiting.get(logger) ?? []), claim]);
    }
    const isEnough = loggers.upCount >= this.#parts.minReplicas;
    for (const [logger, claimed] of isEnough ? waiting : []) {
      loggers.of(logger).ping((isThere) => {
        if (isThere) for (const claim of claimed) this.#dispatch(claim);
      });
    }
  }

  /** The first replica that answers is enough. */
  #dispatch({ shard, over, reason }: Claim): void {
    const { runner, clock, log, store } = this.#parts;
    if (!this.#isOpen || runner.shard(shard)?.role !== 'follower' || (store.shard(shard).head?.epoch ?? 0) > over)
      return;
    if (reason !== 'unborn' && reason !== 'returned')
      log('warn', 'taking a shard over', { shard, epoch: over, gateway: store.ownerOf(shard), reason });
    runner.dispatch(shard, { event: 'claim', nowMs: clock.now(), over });
  }

  /** What other gateways are told of the shards that this one owns or is taking over. */
  get reports(): readonly ShardReport[] {
    return this.#parts.runner.shards.flatMap((machine) => {
      const report = this.#report(machine);
      return report === undefined ? [] : [report];
    });
  }

  #report(machine: Shard): ShardReport | undefined {
    const { role, reign } = machine;
    const { shard } = machine.state;
    const epoch = reign?.epoch ?? this.#parts.store.shard(shard).head?.epoch ?? 0;
    const isActive = role === 'owner' || role === 'taking';
    if (isActive && this.#parts.isCutOff()) return { shard, epoch, condition: 'cut-off' };
    switch (role) {
      case 'owner':
        return { shard, epoch, condition: this.#condition(reign) };
      case 'taking':
        return { shard, epoch, condition: machine.wait?.lacksCopies === true ? 'waiting' : role };
      case 'stopped':
        return { shard, epoch, condition: role };
      case 'follower':
        return undefined;
    }
  }

  #condition(reign: Reign | undefined): ShardCondition {
    if (reign?.stuck === true) return 'stuck';
    return this.#isLeaving ? 'leaving' : 'serving';
  }
}
