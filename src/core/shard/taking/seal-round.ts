/**
 * The seals of a take-over: whom to ask, how long to wait for whom, and what the answers allow (S9, S20). Seals go to
 * every logger in reach: those that hold no copy of the zone may know that the metadata went back.
 *
 * It owns the answers and the waits. It does not own the steps of the take-over, nor the rule of the length
 * (seal-length.ts).
 * Walk: TAKE-OVER 2/7.
 */
import type { Millis, Uuid } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { SealResult } from '../../../codec/logger-seals.ts';
import type { ShardEffect, ShardSettings } from '../events.ts';
import type { Head, ShardMetadata } from '../head/metadata.ts';
import type { Loggers } from '../loggers.ts';
import { mayStillCome } from './cold-start.ts';
import type { Proof } from './regression.ts';
import { firstProof } from './regression.ts';
import { SealAnswers } from './seal-answers.ts';
import type { SealDecision, SealWait } from './seal-length.ts';
import { sealLength } from './seal-length.ts';

export class SealRound {
  readonly answers = new SealAnswers();
  readonly #settings: ShardSettings;
  readonly #loggers: Loggers;
  readonly #effects: ShardEffect[];
  /** When the take-over began: long waits count from there, however often it seals. */
  readonly #startedMs: number;
  /** First answer of a replica; 0: none yet. */
  #firstAnswerMs = 0;
  #wait: SealWait | undefined;
  #sealAgainMs = 0;

  constructor(settings: ShardSettings, loggers: Loggers, effects: ShardEffect[], startedMs: number) {
    this.#settings = settings;
    this.#loggers = loggers;
    this.#effects = effects;
    this.#startedMs = startedMs;
  }

  /** Asks everybody, anew. */
  begin(head: Head, nowMs: Millis): void {
    this.answers.begin(head.openZone.zone);
    this.#firstAnswerMs = 0;
    this.ask(head, nowMs);
  }

  /** Asks who is in reach and has not answered; a refusal may have had a reason that passes. */
  ask(head: Head, nowMs: Millis): void {
    this.#sealAgainMs = nowMs + times.sealRetryMs;
    const { epoch, openZone, owner } = head;
    const loggers = this.#loggers.all.filter((logger) => !this.answers.has(logger));
    if (loggers.length === 0) return;
    this.#effects.push({ effect: 'seal', zone: openZone.zone, epoch, instance: owner.instance, loggers });
  }

  /** Asks again, now and then: all of them when reading the tail has taken an answer back, which may be sound again. */
  tick(head: Head, nowMs: Millis): void {
    if (nowMs < this.#sealAgainMs) return;
    if (this.answers.isShaken) this.begin(head, nowMs);
    else this.ask(head, nowMs);
  }

  add(logger: Uuid, head: Head, result: SealResult, nowMs: Millis): void {
    this.answers.add(logger, result);
    const isFirst = this.#firstAnswerMs === 0 && this.answers.has(logger) && head.openZone.replicas.includes(logger);
    if (isFirst) this.#firstAnswerMs = nowMs;
  }

  /** S20: what proves that `metadata`, read after the answers, went back. */
  regression(head: Head, metadata: ShardMetadata): Proof | undefined {
    return firstProof(this.answers.testimonies, head, metadata);
  }

  /** Whether all have been heard for whom it is worth to wait. */
  isComplete({ openZone }: Head, nowMs: Millis): boolean {
    if (this.#firstAnswerMs === 0) return false;
    const isSlow = this.#loggers.all.some((logger) => !this.answers.hasHeard(logger));
    if (isSlow && nowMs < this.#firstAnswerMs + this.#settings.sealWaitMs) return false;
    const isStarting = (logger: Uuid): boolean =>
      mayStillCome(logger, this.#loggers, this.#settings, this.#startedMs, nowMs);
    return !openZone.replicas.some(isStarting);
  }

  /** S9. REQUIRES: complete. `watermark`: what the taker has applied of the zone. */
  decide({ openZone }: Head, watermark: number, nowMs: Millis): SealDecision {
    const { firstHandWaitMs } = this.#settings;
    const lost = openZone.replicas.filter((logger) => this.#loggers.isLost(logger));
    const others = openZone.replicas.filter((logger) => !lost.includes(logger));
    const answers = this.answers.of(others);
    const mayAnswer = others.some((logger) => !answers.has(logger) && !this.#loggers.isReplaced(logger));
    const decision = sealLength({
      answers,
      opened: openZone,
      lost,
      committed: Math.max(watermark, this.answers.seen),
      fillEnd: this.answers.fillEnd,
      waitsForFirstHand: firstHandWaitMs === 0 || (mayAnswer && nowMs < this.#startedMs + firstHandWaitMs),
    });
    this.#wait = decision.kind === 'wait' ? decision : undefined;
    return decision;
  }

  /** The last decision, if it was to wait for loggers that have not answered: nobody else could do better (S9). */
  get wait(): SealWait | undefined {
    return this.#wait;
  }
}
