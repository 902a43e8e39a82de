/**
 * How long the replicas of a shard take to make a batch stable, and for how long one may owe an answer before it is
 * slow. Compared with its peers, not with the clock alone: where all of them need three seconds, the disks are so, and
 * another zone would cure nothing.
 */
import { times } from '../../../base/times.ts';

/** Times what the first replica needed that another one gets. */
const patience = 2;
/** Share of the estimate that one faster batch leaves. */
const decay = 0.9;

export class Pace {
  readonly #timeoutMs: number;
  /** Longest time that the first of the replicas needed lately. */
  #firstMs = 0;

  /** `timeoutMs`: nobody is slow before. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** The first replica has answered, so long after it was asked or had its last answer given. */
  firstAnswered(tookMs: number): void {
    this.#firstMs = Math.max(tookMs, this.#firstMs * decay);
  }

  /** For how long a replica may owe an answer that another gave after `firstMs`; undefined: nobody gave it yet. */
  patienceMs(firstMs: number | undefined): number {
    const usualMs = Math.min(patience * this.#firstMs, times.replicaPatienceFactor * this.#timeoutMs);
    return Math.max(this.#timeoutMs, usualMs, patience * (firstMs ?? 0));
  }
}
