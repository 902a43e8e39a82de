/**
 * The question before a claim (S20): what the loggers in reach know of the shard. It raises no fence, so that who stops
 * by their answers has changed nothing, and is told the same when it starts again.
 *
 * It owns the answers and the waits. It does not own what they prove (regression.ts), nor the steps of the take-over.
 */
import type { Uuid } from '../../../base/ids.ts';
import type { ShardKnowledge } from '../../../codec/logger-protocol.ts';
import type { Lost, ShardEffect, ShardSettings } from '../events.ts';
import type { Head, ShardMetadata } from '../head/metadata.ts';
import type { Loggers } from '../loggers.ts';
import { mayStillCome } from './cold-start.ts';
import type { Proof, Testimony } from './regression.ts';
import { firstProof } from './regression.ts';

export class Question {
  readonly #settings: ShardSettings;
  readonly #loggers: Loggers;
  readonly #effects: ShardEffect[];
  /** When the take-over began. */
  readonly #startedMs: number;
  readonly #testimonies = new Map<Uuid, Testimony>();
  /** When each was first asked: it is waited for from there, however often its connection is lost. */
  readonly #askedMs = new Map<Uuid, number>();
  readonly #pending = new Set<Uuid>();

  constructor(settings: ShardSettings, loggers: Loggers, effects: ShardEffect[], startedMs: number) {
    this.#settings = settings;
    this.#loggers = loggers;
    this.#effects = effects;
    this.#startedMs = startedMs;
  }

  /** Asks who is in reach and has not answered. */
  ask(nowMs: number): void {
    for (const logger of this.#pending) if (!this.#loggers.isUp(logger)) this.#pending.delete(logger);
    const loggers = this.#loggers.all.filter((logger) => !this.#testimonies.has(logger) && !this.#pending.has(logger));
    if (loggers.length === 0) return;
    for (const logger of loggers) {
      this.#pending.add(logger);
      if (!this.#askedMs.has(logger)) this.#askedMs.set(logger, nowMs);
    }
    this.#effects.push({ effect: 'testify', loggers });
  }

  add(logger: Uuid, answer: ShardKnowledge | Lost): void {
    this.#pending.delete(logger);
    if (!('kind' in answer)) this.#testimonies.set(logger, { known: answer, retired: undefined });
  }

  /** Why nothing may be claimed yet: one of these must be in reach, and have answered; undefined: one has. */
  unheard(what: string, loggers: readonly Uuid[]): string | undefined {
    const inReach = loggers.filter((logger) => this.#loggers.isUp(logger));
    if (inReach.some((logger) => this.#testimonies.has(logger))) return undefined;
    return inReach.length > 0 ? `no ${what} has said what it knows` : `no ${what} is connected`;
  }

  /** Whether all have been heard for whom it is worth to wait. `head`: the newest known. */
  isComplete(head: Head | undefined, nowMs: number): boolean {
    for (const logger of this.#pending) {
      const askedMs = this.#askedMs.get(logger) ?? nowMs;
      if (this.#loggers.isUp(logger) && nowMs < askedMs + this.#settings.sealWaitMs) return false;
    }
    const replicas = head?.openZone.replicas ?? [];
    const isStarting = (logger: Uuid): boolean =>
      mayStillCome(logger, this.#loggers, this.#settings, this.#startedMs, nowMs);
    return !replicas.some(isStarting);
  }

  /** What proves that `metadata`, read after the answers, went back. */
  regression(head: Head | undefined, metadata: ShardMetadata): Proof | undefined {
    return firstProof(this.#testimonies, head, metadata);
  }
}
