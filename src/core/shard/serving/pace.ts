/**
 * How long the replicas of a shard take to make a batch stable, and for how long one may owe an answer before it is
 * slow. Compared with its peers, not with the clock alone: where all of them need three seconds, the disks are so, and
 * another zone would cure nothing; where one has answered, the others are not waited for long.
 */
import type { Millis } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';

/** Times what the first replica needed that another one gets. */
const patience = 2;
/** Share of the estimate that one faster batch leaves. */
const decay = 0.9;

export interface PaceSettings {
  /** Milliseconds: nobody is slow before, where no replica has answered. */
  readonly loggerTimeoutMs: number;
  /** Milliseconds: nobody is slow before, where one has. At most the time above is used. */
  readonly loggerSlowMs: number;
}

export class Pace {
  readonly #timeoutMs: number;
  readonly #slowMs: number;
  #tickedMs: Millis;
  #stoodStill = false;
  /** Longest time that the first of the replicas needed lately. */
  #firstMs = 0;

  constructor({ loggerTimeoutMs, loggerSlowMs }: PaceSettings, nowMs: Millis) {
    this.#timeoutMs = loggerTimeoutMs;
    this.#slowMs = Math.min(loggerSlowMs, loggerTimeoutMs);
    this.#tickedMs = nowMs;
  }

  /** Time has passed. A process that stood still has not read yet what came meanwhile, and calls nobody slow. */
  tick(nowMs: Millis): void {
    this.#stoodStill = nowMs - this.#tickedMs > 2 * times.restTickMs;
    this.#tickedMs = nowMs;
  }

  /** The first replica has answered, so long after it was asked or had its last answer given. */
  firstAnswered(tookMs: number): void {
    this.#firstMs = Math.max(tookMs, this.#firstMs * decay);
  }

  /** For how long a replica may owe an answer that another gave after `firstMs`; undefined: nobody gave it yet. */
  patienceMs(firstMs: number | undefined): number {
    if (this.#stoodStill) return Number.POSITIVE_INFINITY;
    const usualMs = Math.min(patience * this.#firstMs, times.replicaPatienceFactor * this.#timeoutMs);
    return Math.max(firstMs === undefined ? this.#timeoutMs : this.#slowMs, usualMs, patience * (firstMs ?? 0));
  }
}
