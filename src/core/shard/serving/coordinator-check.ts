/**
 * Changes of a zone that could be left undone (replicas that are back, a replica that is slow but may answer yet)
 * freeze the shard as every change does, until the coordinator answers (S6). So they wait until it has just been seen
 * to answer: without the coordinator a shard goes on with the replicas that it has.
 */
import type { Millis } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';

export class CoordinatorCheck {
  readonly #keeper: HeadKeeper;
  #isAsked = false;
  #answeredMs = Number.NEGATIVE_INFINITY;
  #askAgainMs = 0;

  constructor(keeper: HeadKeeper) {
    this.#keeper = keeper;
  }

  /** Whether it has answered since it was asked; if not it is asked, and the caller looks again at a later tick. */
  isAnswering(nowMs: Millis): boolean {
    if (nowMs - this.#answeredMs <= times.coordinatorTrustedMs) return true;
    if (this.#isAsked || nowMs < this.#askAgainMs) return false;
    this.#isAsked = true;
    this.#keeper.load('look');
    return false;
  }

  /** The coordinator's content was read. For another purpose it says nothing: the change was not wanted then. */
  answered(nowMs: Millis): void {
    if (!this.#isAsked) return;
    this.#isAsked = false;
    this.#answeredMs = nowMs;
  }

  /** It could not be read. */
  failed(nowMs: Millis): void {
    this.#isAsked = false;
    this.#askAgainMs = nowMs + times.coordinatorAskAgainMs;
  }
}
