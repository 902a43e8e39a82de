/** The loggers a shard can use now, and which of them hold its next zone. */
import { present } from '../../base/assert.ts';
import type { InstanceId, Millis, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { rendezvousOrder } from '../rendezvous.ts';
import type { ReplicaSet } from './head/metadata.ts';

interface Known {
  readonly process: InstanceId;
  readonly upSinceMs: number;
  /** It was slow, full or refused: others are preferred until then. */
  avoidUntilMs: number;
}

export class Loggers {
  readonly #up = new Map<Uuid, Known>();
  /**
   * Also of loggers that are away: a zone may be opened on one that goes down meanwhile and is back before its first
   * append.
   */
  readonly #alignments = new Map<Uuid, number>();
  #firstUpMs: number | undefined;

  up(logger: Uuid, process: InstanceId, alignment: number, nowMs: Millis): void {
    this.#alignments.set(logger, alignment);
    this.#firstUpMs ??= nowMs;
    this.#up.set(logger, { process, upSinceMs: nowMs, avoidUntilMs: 0 });
  }

  down(logger: Uuid): void {
    this.#up.delete(logger);
  }

  isUp(logger: Uuid): boolean {
    return this.#up.has(logger);
  }

  avoid(logger: Uuid, untilMs: number): void {
    const known = this.#up.get(logger);
    if (known !== undefined) known.avoidUntilMs = untilMs;
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

  /** Loggers that could hold a new zone and have been fit for it for `stableMs`. */
  usable(nowMs: Millis, stableMs = 0): Uuid[] {
    return [...this.#up]
      .filter(([, known]) => known.avoidUntilMs <= nowMs && known.upSinceMs + stableMs <= nowMs)
      .map(([logger]) => logger);
  }

  /**
   * Replicas for a new zone: up to `count` usable loggers in rendezvous order, so that zones spread evenly. When none
   * is usable, those that are merely avoided. Empty when fewer than `least` can be had.
   */
  choose(shard: ShardId, zone: ZoneId, count: number, least: number, nowMs: Millis): ReplicaSet {
    const usable = this.usable(nowMs);
    const candidates = usable.length >= least ? usable : [...this.#up.keys()];
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
