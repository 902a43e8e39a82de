/** The loggers a shard can use now, and which of them hold its next zone. */
import { present } from '../../base/assert.ts';
import type { InstanceId, Millis, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import type { Standings } from '../../coordinator/standings.ts';
import { rendezvousOrder } from '../rendezvous.ts';
import type { Failing } from './logger-fitness.ts';
import { LoggerFitness } from './logger-fitness.ts';
import type { ReplicaSet } from './head/metadata.ts';

interface Connected {
  readonly process: InstanceId;
  readonly sinceMs: Millis;
}

export class Loggers {
  /** Time since when each is connected. */
  readonly #up = new Map<Uuid, Connected>();
  /** Those that have failed once. Kept while they are away. */
  readonly #fitness = new Map<Uuid, LoggerFitness>();
  /**
   * Also of loggers that are away: a zone may be opened on one that goes down meanwhile and is back before its first
   * append.
   */
  readonly #alignments = new Map<Uuid, number>();
  /** When those that are away went. */
  readonly #awaySinceMs = new Map<Uuid, number>();
  #firstUpMs: number | undefined;
  /** Those that have a number; undefined: not known yet. */
  #members: ReadonlySet<Uuid> | undefined;
  #standings: Standings = { draining: new Set(), lost: new Set() };

  /** The operator's word, as the coordinator has it. */
  learn(standings: Standings): void {
    this.#standings = standings;
  }

  /** All that have a number, as the coordinator has them. */
  list(members: ReadonlySet<Uuid>): void {
    this.#members = members;
  }

  /** It will never return: it is waited for nowhere, and holds nothing. */
  isLost(logger: Uuid): boolean {
    return this.#standings.lost.has(logger);
  }

  /** It is to leave: it holds what it is listed for until others do, and gets nothing new. */
  isDraining(logger: Uuid): boolean {
    return this.#standings.draining.has(logger);
  }

  /** It is not to hold anything new, and what it holds is to be held by others. */
  isLeaving(logger: Uuid): boolean {
    return this.isDraining(logger) || this.isLost(logger);
  }

  /** It is away and another logger has its number: its folder was emptied, or replaced (S16). */
  isReplaced(logger: Uuid): boolean {
    return this.#members?.has(logger) === false && !this.isUp(logger);
  }

  up(logger: Uuid, process: InstanceId, alignment: number, nowMs: Millis): void {
    this.#alignments.set(logger, alignment);
    this.#firstUpMs ??= nowMs;
    this.#up.set(logger, { process, sinceMs: nowMs });
    this.#awaySinceMs.delete(logger);
  }

  down(logger: Uuid, nowMs: Millis): void {
    if (this.#up.delete(logger)) this.#awaySinceMs.set(logger, nowMs);
  }

  /**
   * Whether it is connected, or has not been away for `patienceMs`: one that was never met since the first was. Not one
   * whose number another logger has: its folder was emptied, or replaced (S16).
   */
  isExpected(logger: Uuid, nowMs: Millis, patienceMs: number): boolean {
    if (this.isLost(logger)) return false;
    if (this.isReplaced(logger)) return false;
    const sinceMs = this.#awaySinceMs.get(logger) ?? this.#firstUpMs ?? nowMs;
    return this.isUp(logger) || nowMs - sinceMs < patienceMs;
  }

  isUp(logger: Uuid): boolean {
    return this.#up.has(logger);
  }

  /** It failed as a replica: others are preferred for a while. */
  failed(logger: Uuid, how: Failing, nowMs: Millis): void {
    let fitness = this.#fitness.get(logger);
    if (fitness === undefined) this.#fitness.set(logger, (fitness = new LoggerFitness()));
    fitness.failed(how, nowMs);
  }

  /** Whether it was connected once. */
  hasMet(logger: Uuid): boolean {
    return this.#alignments.has(logger);
  }

  /** When the first of them connected. */
  get firstUpMs(): number | undefined {
    return this.#firstUpMs;
  }

  /** All that are connected. */
  get all(): Uuid[] {
    return [...this.#up.keys()];
  }

  /** Loggers that are to be probed now, each named once. */
  takeProbes(nowMs: Millis): Uuid[] {
    return [...this.#fitness]
      .filter(([logger, one]) => this.isUp(logger) && one.takeProbe(nowMs))
      .map(([name]) => name);
  }

  /** A probe was answered; `how` it failed, if it did. */
  probed(logger: Uuid, how: Failing | undefined, nowMs: Millis): void {
    const fitness = this.#fitness.get(logger);
    if (how === undefined) fitness?.passed(nowMs);
    else fitness?.refusedProbe(how, nowMs);
  }

  /** Loggers that could hold a new zone and have been connected for `stableMs`. */
  usable(nowMs: Millis, stableMs = 0): Uuid[] {
    return [...this.#up]
      .filter(([logger, { sinceMs }]) => this.#fitness.get(logger)?.isFit !== false && sinceMs + stableMs <= nowMs)
      .map(([logger]) => logger)
      .filter((logger) => !this.isLeaving(logger));
  }

  /** Loggers for a zone when too few are usable: those that are merely avoided, and only then those that drain. */
  #inNeed(least: number): Uuid[] {
    const there = [...this.#up.keys()].filter((logger) => !this.isLost(logger));
    const staying = there.filter((logger) => !this.isLeaving(logger));
    return staying.length >= least ? staying : there;
  }

  /**
   * Loggers that are connected and not known to be full, be they avoided for another reason. Room at one that drains is
   * none for a new zone.
   */
  get notFull(): Uuid[] {
    const staying = [...this.#up.keys()].filter((logger) => !this.isLeaving(logger));
    return staying.filter((logger) => this.#fitness.get(logger)?.isFull !== true);
  }

  /**
   * Replicas for a new zone: up to `count` usable loggers in rendezvous order, so that zones spread evenly. When too
   * few are usable, those that are merely avoided, too, and last of all those that drain: what would not be served is
   * worse. Empty when fewer than `least` can be had.
   */
  choose(shard: ShardId, zone: ZoneId, count: number, least: number, nowMs: Millis): ReplicaSet {
    const usable = this.usable(nowMs);
    const candidates = usable.length >= least ? usable : this.#inNeed(least);
    if (candidates.length < least) return { replicas: [], processes: [] };
    const byName = new Map<string, Uuid>(candidates.map((logger) => [logger, logger]));
    const replicas = rendezvousOrder(`${shard}/${zone}`, candidates)
      .slice(0, count)
      .map((name) => present(byName.get(name), 'a candidate'));
    const processes = replicas.map((logger) => present(this.#up.get(logger), 'a candidate').process);
    return { replicas, processes };
  }

  /** The alignment that suits all of `replicas`, each of which was up once. */
  alignmentOf(replicas: readonly Uuid[]): number {
    return replicas.reduce((most, logger) => Math.max(most, this.#alignments.get(logger) ?? 1), 1);
  }
}
