/** Answers to a take-over's seals: who has answered what, and what reading the tail has shown of it since (S9, S20). */
import type { Uuid } from '../../../base/ids.ts';
import type { SealAnswer } from '../../../codec/logger-protocol.ts';
import type { SealResult } from '../../../codec/logger-seals.ts';
import type { Testimony } from './regression.ts';

export class SealAnswers {
  readonly #answers = new Map<Uuid, SealAnswer>();
  readonly #testimonies = new Map<Uuid, Testimony>();
  /** Answered, but was gone when the tail was read: as if it had not answered. */
  readonly #gone = new Set<Uuid>();
  /** Answered, but the tail that was read of it is intact only up to here: doubtful. */
  readonly #damaged = new Map<Uuid, number>();
  #seen = 0;

  /** Highest committed length that any answer told of. */
  get seen(): number {
    return this.#seen;
  }

  /** Whether reading has taken something back. */
  get isShaken(): boolean {
    return this.#gone.size + this.#damaged.size > 0;
  }

  /** What each logger that was asked has said of the shard. */
  get testimonies(): ReadonlyMap<Uuid, Testimony> {
    return this.#testimonies;
  }

  /** `zone`: the one that was to be sealed. */
  add(logger: Uuid, zone: number, result: SealResult): void {
    const isRefused = 'code' in result;
    const retired = isRefused && result.code === 'retired-zone' ? zone : undefined;
    this.#testimonies.set(logger, { known: result.known, retired });
    if (isRefused) return;
    this.#answers.set(logger, result);
    this.#seen = Math.max(this.#seen, result.seen);
  }

  has(logger: Uuid): boolean {
    return this.#answers.has(logger);
  }

  /** Whether the logger has said what it knows, sealed or refused. */
  hasHeard(logger: Uuid): boolean {
    return this.#testimonies.has(logger);
  }

  isGone(logger: Uuid): void {
    this.#gone.add(logger);
  }

  isDamaged(logger: Uuid, intact: number): void {
    this.#damaged.set(logger, intact);
  }

  /** Answers of the replicas that count: what gave bad bytes is doubtful and ends there, what is gone is none. */
  of(replicas: readonly Uuid[]): Map<Uuid, SealAnswer> {
    const answers = new Map<Uuid, SealAnswer>();
    for (const logger of replicas) {
      const answer = this.#answers.get(logger);
      if (answer === undefined || this.#gone.has(logger)) continue;
      const intact = this.#damaged.get(logger);
      const isShort = intact !== undefined && intact < answer.length;
      answers.set(logger, isShort ? { ...answer, length: intact, doubtful: true, tail: 'damaged' } : answer);
    }
    return answers;
  }

  /** Where the logger itself takes its copy to end, so that a Fill can go on there; undefined: it can't be filled. */
  endOf(logger: Uuid): number | undefined {
    return this.#gone.has(logger) || this.#damaged.has(logger) ? undefined : this.#answers.get(logger)?.length;
  }

  /** Begins again; what was seen to be committed stays. */
  clear(): void {
    this.#answers.clear();
    this.#gone.clear();
    this.#damaged.clear();
    this.#testimonies.clear();
  }
}
