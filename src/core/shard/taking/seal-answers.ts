/** Answers to a take-over's seals: who has answered what, and what reading the tail has shown of it since (S9, S20). */
import type { Uuid } from '../../../base/ids.ts';
import type { CutRecords } from '../../../codec/cut-records.ts';
import type { SealAnswer } from '../../../codec/logger-protocol.ts';
import type { SealResult } from '../../../codec/logger-seals.ts';
import type { Testimony } from './regression.ts';

export class SealAnswers {
  readonly #answers = new Map<Uuid, SealAnswer>();
  readonly #testimonies = new Map<Uuid, Testimony>();
  /** Answered, but was gone when the tail was read: as if it had not answered. */
  readonly #gone = new Set<Uuid>();
  /** Answered, but the tail that was read of it is intact only up to here: doubtful; and what lies behind. */
  readonly #damaged = new Map<Uuid, { readonly intact: number; readonly cut: CutRecords }>();
  #zone = 0;
  #seen = 0;
  #fillEnd = 0;

  /** Highest committed length that any answer told of. */
  get seen(): number {
    return this.#seen;
  }

  /** End of the furthest Fill that was sent: what it brought may be whole somewhere, so that no length is below it. */
  get fillEnd(): number {
    return this.#fillEnd;
  }

  filling(end: number): void {
    this.#fillEnd = Math.max(this.#fillEnd, end);
  }

  /** Whether reading has taken something back. */
  get isShaken(): boolean {
    return this.#gone.size + this.#damaged.size > 0;
  }

  /** What each logger that was asked has said of the shard. */
  get testimonies(): ReadonlyMap<Uuid, Testimony> {
    return this.#testimonies;
  }

  add(logger: Uuid, result: SealResult): void {
    const isRefused = 'code' in result;
    const retired = isRefused && result.code === 'retired-zone' ? this.#zone : undefined;
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

  isDamaged(logger: Uuid, intact: number, cut: CutRecords): void {
    this.#damaged.set(logger, { intact, cut });
  }

  /** Answers of the replicas that count: what gave bad bytes is doubtful and ends there, what is gone is none. */
  of(replicas: readonly Uuid[]): Map<Uuid, SealAnswer> {
    const answers = new Map<Uuid, SealAnswer>();
    for (const logger of replicas) {
      const answer = this.#answers.get(logger);
      if (answer === undefined || this.#gone.has(logger)) continue;
      const damage = this.#damaged.get(logger);
      if (damage === undefined || damage.intact >= answer.length) answers.set(logger, answer);
      else answers.set(logger, damagedAnswer(answer, damage.intact, damage.cut));
    }
    return answers;
  }

  /** Where the logger itself takes its copy to end, so that a Fill can go on there; undefined: it can't be filled. */
  endOf(logger: Uuid): number | undefined {
    return this.#gone.has(logger) || this.#damaged.has(logger) ? undefined : this.#answers.get(logger)?.length;
  }

  /** Begins again with `zone`; what was seen to be committed in it, and filled, stays. */
  begin(zone: number): void {
    if (zone !== this.#zone) this.#seen = this.#fillEnd = 0;
    this.#zone = zone;
    this.#answers.clear();
    this.#gone.clear();
    this.#damaged.clear();
    this.#testimonies.clear();
  }
}

/** Answer of a logger that did not know yet of its damage. */
function damagedAnswer(answer: SealAnswer, length: number, found: CutRecords): SealAnswer {
  const isCutShort = found.isCutShort || answer.cut?.isCutShort === true;
  const cut = { records: [...found.records, ...(answer.cut?.records ?? [])], isCutShort };
  return { ...answer, length, doubtful: true, tail: 'damaged', cut };
}
