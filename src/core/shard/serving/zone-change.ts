/**
 * How an owner leaves its open zone (S6). One state:
 *
 *   serving --full, a replica is back, handed over--> closing --what is in flight has committed--.
 *      ^   '---------------- a replica failed or is slow ----------------------------> frozen
 *      |                                                                                 |
 *      '------------------------------ the own change is seen ---------------------------'
 *
 * From `closing` the zone is frozen when the coordinator is seen to answer. A change that certainly failed (the
 * transaction was never begun) goes back to where it came from, so that reads go on; where the zone must be left it is
 * `forced` then: nothing new is appended, what is in flight may commit, and the change is tried again.
 *
 *   frozen:  waiting --loggers for the next zone--> proposed --unknown--> waiting ...
 *
 * While frozen nothing commits and nothing is confirmed: the coordinator may already hold that the zone ended. It owns
 * this state. It does not own the zone's records: owner.ts has them appended again when the change is seen.
 * Walk: ZONE CHANGE 2/5.
 */
import { assert } from '../../../base/assert.ts';
import type { Millis, Uuid } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { ShardIdentity, ShardSettings } from '../events.ts';
import { handedOver, zoneChanged } from '../head/head-edits.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';
import type { Owner } from '../head/metadata.ts';
import type { Loggers } from '../loggers.ts';
import { isNearlyFull } from './coordinator-check.ts';
import type { ZoneWriter } from './zone-writer.ts';

/** The zone must be left, and the coordinator can't take the change: what it still can do goes on. */
interface Forced {
  readonly kind: 'forced';
  readonly reason: string;
  readonly forSpace: boolean;
  /** Not tried again before. */
  readonly againAtMs: number;
}

type Phase =
  | { readonly kind: 'serving' }
  /** `isOptional`: the zone could be written on. */
  | { readonly kind: 'closing'; readonly reason: string; readonly isOptional: boolean; readonly to?: Owner }
  | Forced
  | {
      readonly kind: 'frozen';
      readonly reason: string;
      /** Phase to go back to when the change certainly failed. */
      readonly before: Phase;
      /** A proposal may still arrive. */
      isUncertain: boolean;
      /** What all replicas have acknowledged: where the zone ends. */
      readonly length: number;
      /** When to propose; undefined: a proposal is under way. */
      proposeAtMs: number | undefined;
      /** Process that the shard is handed over to; undefined: its owner goes on. */
      readonly to: Owner | undefined;
    };

const serving: Phase = { kind: 'serving' };
export class ZoneChange {
  readonly #identity: ShardIdentity;
  readonly #settings: ShardSettings;
  readonly #loggers: Loggers;
  readonly #keeper: HeadKeeper;
  #phase: Phase = serving;
  /** Process that has asked for the shard, until the coordinator is seen to answer. */
  #wished: Owner | undefined;

  constructor(identity: ShardIdentity, settings: ShardSettings, loggers: Loggers, keeper: HeadKeeper) {
    this.#identity = identity;
    this.#settings = settings;
    this.#loggers = loggers;
    this.#keeper = keeper;
  }

  /** Nothing new is appended to the zone. */
  get isClosing(): boolean {
    return this.#phase.kind === 'closing' || this.#phase.kind === 'forced';
  }

  /** What is in flight is not waited for. */
  get isForced(): boolean {
    return this.#phase.kind === 'forced';
  }

  /** ... and no space is the reason. */
  get isForcedForSpace(): boolean {
    return this.#phase.kind === 'forced' && this.#phase.forSpace;
  }

  get isFrozen(): boolean {
    return this.#phase.kind === 'frozen';
  }

  /** The zone must be left, not for want of space, and could not be yet. */
  get isStuck(): boolean {
    if (this.#phase.kind !== 'frozen') return this.isForced && !this.isForcedForSpace;
    const { before } = this.#phase;
    return before.kind !== 'forced' || !before.forSpace;
  }

  /** The zone is frozen, and its shard to be handed over. */
  get isHandOver(): boolean {
    return this.#phase.kind === 'frozen' && this.#phase.to !== undefined;
  }

  /** Why the zone is being left; undefined while nothing is frozen. */
  get reason(): string | undefined {
    return this.#phase.kind === 'frozen' ? this.#phase.reason : undefined;
  }

  /** The zone ends when what is in flight has committed. `isOptional`: it could be written on. */
  close(reason: string, isOptional = false): void {
    if (this.#phase.kind === 'serving') this.#phase = { kind: 'closing', reason, isOptional };
  }

  /** Gateway `to` asks for the shard. Ignored while the zone is being left. */
  wish(to: Owner): void {
    if (this.#phase.kind === 'serving') this.#wished = to;
  }

  /** Somebody asked for the shard, and nothing else is to be done. */
  get isWished(): boolean {
    return this.#phase.kind === 'serving' && this.#wished !== undefined;
  }

  /** It goes to who asked for it when what is in flight has committed. */
  handOver(): void {
    const to = this.#wished;
    if (this.#phase.kind !== 'serving' || to === undefined) return;
    this.#wished = undefined;
    this.#phase = { kind: 'closing', reason: `handed over to gateway ${to.gateway}`, isOptional: true, to };
  }

  /** The coordinator does not answer: what could be left undone is. */
  reopen(): void {
    this.#wished = undefined;
    if (this.#phase.kind === 'closing' && this.#phase.isOptional) this.#phase = serving;
  }

  /** What a closing zone had in flight has committed: freezes it. */
  closed(length: number, nowMs: Millis): void {
    const phase = this.#phase;
    if (phase.kind === 'closing') this.#freeze(phase.reason, length, nowMs, 0, phase);
    else if (phase.kind === 'forced' && nowMs >= phase.againAtMs) this.#freeze(phase.reason, length, nowMs, 0, phase);
  }

  /** The transaction was certainly not applied. True: the zone is not frozen any more. */
  failed(nowMs: Millis): boolean {
    const phase = this.#phase;
    if (phase.kind !== 'frozen' || phase.isUncertain) return false;
    const { before } = phase;
    this.#phase = before.kind === 'forced' ? { ...before, againAtMs: nowMs + times.coordinatorAskAgainMs } : before;
    this.reopen();
    return true;
  }

  /** Whether the coordinator has a proposal and has not answered. */
  get isProposed(): boolean {
    return this.#phase.kind === 'frozen' && this.#phase.proposeAtMs === undefined;
  }

  /**
   * S6: from now on nothing commits in the zone, which ends at `length`. `delayMs`: the change itself waits so long.
   */
  freeze(reason: string, length: number, nowMs: Millis, delayMs = 0): void {
    this.#leave(reason, length, nowMs, delayMs, false);
  }

  /** The same, for want of space. */
  leave(reason: string, length: number, nowMs: Millis, delayMs: number): void {
    this.#leave(reason, length, nowMs, delayMs, true);
  }

  #leave(reason: string, length: number, nowMs: Millis, delayMs: number, forSpace: boolean): void {
    if (this.#phase.kind === 'forced' && nowMs < this.#phase.againAtMs) return;
    this.#freeze(reason, length, nowMs, delayMs, { kind: 'forced', reason, forSpace, againAtMs: nowMs });
  }

  #freeze(reason: string, length: number, nowMs: Millis, delayMs: number, before: Phase): void {
    if (this.#phase.kind === 'frozen') return;
    const proposeAtMs = nowMs + delayMs;
    const to = before.kind === 'closing' ? before.to : undefined;
    this.#phase = { kind: 'frozen', reason, length, proposeAtMs, before, isUncertain: false, to };
    if (delayMs === 0) this.propose(length, nowMs);
  }

  /** Proposes the change when it is due, or waits for loggers. `committed`: where the zone stands. */
  propose(committed: number, nowMs: Millis): void {
    const phase = this.#phase;
    if (phase.kind !== 'frozen' || phase.proposeAtMs === undefined || nowMs < phase.proposeAtMs) return;
    assert(phase.length === committed, 'S6 nothing committed since the freeze');
    const { head } = this.#keeper;
    assert(head !== undefined, 'S1 an owner knows its head');
    const { replicas: wanted, minReplicas } = this.#settings;
    const opened = this.#loggers.choose(this.#identity.shard, head.nextZone, wanted, minReplicas, nowMs);
    if (opened.replicas.length === 0) return this.retry(nowMs);
    phase.proposeAtMs = undefined;
    const { to, length } = phase;
    if (to === undefined) this.#keeper.propose('zone-change', zoneChanged(head, length, opened));
    else this.#keeper.propose('hand-over', handedOver(head, length, to, opened));
  }

  /** Proposes again later. */
  retry(nowMs: Millis): void {
    if (this.#phase.kind === 'frozen') this.#phase.proposeAtMs = nowMs + times.zoneChangeRetryMs;
  }

  /** Not seen: it stays frozen, since the request may still arrive, and proposes again. */
  notSeen(nowMs: Millis): void {
    if (this.#phase.kind === 'frozen') this.#phase.isUncertain = true;
    this.retry(nowMs);
  }

  /** The change is seen: gives why it was made. */
  seen(sealedLength: number): string {
    const phase = this.#phase;
    assert(phase.kind === 'frozen', 'S6 a zone changes only after a freeze');
    assert(sealedLength === phase.length, 'S6 the sealed length is what was committed at the freeze');
    this.#phase = serving;
    return phase.reason;
  }

  /** The owner is none any more. */
  stop(): void {
    this.#phase = serving;
  }

  /**
   * Reason to leave the zone although it could be written on; undefined: none. Loggers that it lacks are back, a
   * replica drains, or it is nearly full while nobody writes: who would wait for the change otherwise need not
   * (docs/decisions/0017).
   */
  early(zone: ZoneWriter, share: number, nowMs: Millis): string | undefined {
    if (this.#phase.kind !== 'serving') return undefined;
    const fresh = this.#missing(zone.replicas, nowMs);
    if (fresh.length > 0) return `replica ${fresh.join(', ')} is back`;
    const leaving = this.#leaving(zone.replicas, nowMs);
    if (leaving.length > 0) return `replica ${leaving.join(', ')} is to leave`;
    return isNearlyFull(share) && zone.isQuiet(nowMs) ? 'zone full soon' : undefined;
  }

  /** Replicas that drain, when the next zone has as many as wanted without them. */
  #leaving(replicas: readonly Uuid[], nowMs: Millis): Uuid[] {
    const leaving = replicas.filter((logger) => this.#loggers.isDraining(logger));
    const isEnough = leaving.length > 0 && this.#loggers.usable(nowMs).length >= this.#settings.replicas;
    return isEnough ? leaving : [];
  }

  /**
   * Loggers that could join the zone's replicas, when there are fewer than wanted and they have been back for a while.
   */
  #missing(replicas: readonly Uuid[], nowMs: Millis): Uuid[] {
    if (replicas.length >= this.#settings.replicas) return [];
    return this.#loggers.usable(nowMs, this.#settings.regrowDelayMs).filter((logger) => !replicas.includes(logger));
  }
}
