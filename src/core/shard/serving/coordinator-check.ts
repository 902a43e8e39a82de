/**
 * Changes of a zone freeze the shard until the coordinator answers (S6). So those that could be left undone (replicas
 * that are back, a replica that is slow but may answer yet), or that can wait (the zone is full: reads go on), wait
 * until it has just been seen to take a transaction: without the coordinator a shard goes on with what it has.
 */
import type { Millis } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';

/** Share of a zone from which on its end is prepared for. */
const nearlyFullShare = 7 / 8;

/** `share`: of a zone that is used. */
export function isNearlyFull(share: number): boolean {
  return share > nearlyFullShare;
}

export class CoordinatorCheck {
  readonly #keeper: HeadKeeper;
  #isAsked = false;
  #answeredMs = Number.NEGATIVE_INFINITY;
  #askAgainMs = 0;
  #awaitedSinceMs: Millis | undefined;
  #isAway = false;

  constructor(keeper: HeadKeeper) {
    this.#keeper = keeper;
  }

  /** Whether it has answered just now; if not it is asked, and the caller looks again when `looked`, or later. */
  isAnswering(nowMs: Millis): boolean {
    if (nowMs - this.#answeredMs <= times.coordinatorTrustedMs) return true;
    if (this.#isAsked || nowMs < this.#askAgainMs) return false;
    this.#isAsked = true;
    this.#keeper.look();
    return false;
  }

  /**
   * Seen to answer ahead of need, it does not keep writes waiting when the zone is full. `share`: of it that is used.
   */
  lookAhead(share: number, nowMs: Millis): void {
    if (isNearlyFull(share)) this.isAnswering(nowMs);
  }

  /** What was asked for was answered, or failed. */
  looked(answered: boolean, nowMs: Millis): void {
    if (!this.#isAsked) return;
    this.#isAsked = false;
    if (answered) this.#answeredMs = nowMs;
    else this.failed(nowMs);
  }

  /** Whether the zone waits for nothing else now. */
  awaited(isAwaited: boolean, nowMs: Millis): void {
    if (!isAwaited) this.#awaitedSinceMs = undefined;
    else this.#awaitedSinceMs ??= nowMs;
    this.#isAway = this.#awaitedSinceMs !== undefined && nowMs - this.#awaitedSinceMs >= times.coordinatorPatienceMs;
  }

  /** It was awaited for so long that writers are not kept waiting. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** A transaction failed: it does not answer now. */
  failed(nowMs: Millis): void {
    this.#answeredMs = Number.NEGATIVE_INFINITY;
    this.#askAgainMs = nowMs + times.coordinatorAskAgainMs;
  }
}
