/**
 * One record's way from replica to replica: the first is asked, the next one when that fails, gives something damaged,
 * or takes longer than usual (usual-time.ts). The first intact answer counts. A logger that owes answers for longer
 * than usual is asked last, until it answers any of them: one that is frozen delays the first reads, not all.
 *
 * It owns what was asked and when. It does not own whether an answer is right (value-fetcher.ts), nor connections.
 */
import type { ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { times } from '../../base/times.ts';
import type { ReadAnswer } from '../../codec/logger-protocol.ts';
import type { Lost } from '../../core/shard/events.ts';
import type { Clock, Timer } from '../../env/clock.ts';
import type { LoggerPort } from '../loggers/logger-port.ts';
import { UsualTime } from './usual-time.ts';

/** A record to be found. */
export interface Wanted {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly offset: number;
  readonly bytes: number;
  /** Gives what is wrong with the answer; undefined: the record is found. */
  readonly take: (logger: Uuid, answer: ReadAnswer | Lost) => string | undefined;
  /** No logger has it intact; so many of those that were asked did not answer. */
  readonly missing: (silent: number) => void;
}

interface Search {
  readonly wanted: Wanted;
  /** Loggers that were not asked yet. */
  readonly left: Uuid[];
  silent: number;
  /** Loggers that owe an answer. */
  owing: number;
  found: boolean;
}

/** One question. */
interface Asked {
  readonly search: Search;
  readonly logger: Uuid;
  readonly atMs: number;
  answered: boolean;
  overdue: boolean;
}

export class ReplicaSearches {
  readonly #clock: Clock;
  readonly #loggers: { of(logger: Uuid): Pick<LoggerPort, 'read'> };
  readonly #usual = new UsualTime();
  /** Questions whose time is not over, oldest first. */
  #asked: Asked[] = [];
  /** Loggers that owe answers for longer than usual, and how many. */
  readonly #overdue = new Map<Uuid, number>();
  #timer: Timer | undefined;
  #hedged = 0;

  constructor(clock: Clock, loggers: { of(logger: Uuid): Pick<LoggerPort, 'read'> }) {
    this.#clock = clock;
    this.#loggers = loggers;
  }

  /** Questions that were asked of a second logger before the first one answered. */
  get hedged(): number {
    return this.#hedged;
  }

  /** Asks one of `loggers` after the other, in their order but for those that owe answers. */
  begin(wanted: Wanted, loggers: readonly Uuid[]): void {
    const left = this.#overdue.size === 0 ? [...loggers] : this.#lateLast(loggers);
    this.#next({ wanted, left, silent: 0, owing: 0, found: false });
  }

  close(): void {
    this.#timer?.cancel();
    this.#asked = [];
  }

  #lateLast(loggers: readonly Uuid[]): Uuid[] {
    const isLate = (logger: Uuid): boolean => this.#overdue.has(logger);
    return [...loggers.filter((logger) => !isLate(logger)), ...loggers.filter(isLate)];
  }

  #next(search: Search): void {
    const { wanted, left } = search;
    const logger = left.shift();
    if (logger === undefined) {
      if (search.owing === 0) wanted.missing(search.silent);
      return;
    }
    search.owing += 1;
    const asked: Asked = { search, logger, atMs: this.#clock.now(), answered: false, overdue: false };
    if (left.length > 0) this.#watch(asked);
    this.#loggers
      .of(logger)
      .read(wanted.shard, wanted.zone, wanted.offset, wanted.bytes, (answer) => this.#answered(asked, answer));
  }

  #answered(asked: Asked, answer: ReadAnswer | Lost): void {
    const { search, logger, atMs } = asked;
    const { wanted } = search;
    asked.answered = true;
    search.owing -= 1;
    if (asked.overdue) this.#paid(logger);
    if (answer.kind === 'ok') this.#usual.took(this.#clock.now() - atMs, wanted.bytes);
    if (search.found) return;
    if (wanted.take(logger, answer) === undefined) {
      search.found = true;
      return;
    }
    if (answer.kind === 'lost') search.silent += 1;
    this.#next(search);
  }

  #paid(logger: Uuid): void {
    const owed = (this.#overdue.get(logger) ?? 0) - 1;
    if (owed > 0) this.#overdue.set(logger, owed);
    else this.#overdue.delete(logger);
  }

  // --- questions that take longer than usual -------------------------------------------------------------------------

  #watch(asked: Asked): void {
    this.#asked.push(asked);
    this.#arm();
  }

  #arm(): void {
    this.#timer ??= this.#clock.after(times.hedgeTickMs, () => {
      this.#timer = undefined;
      this.#look();
      if (this.#asked.length > 0) this.#arm();
    });
  }

  #look(): void {
    const nowMs = this.#clock.now();
    const late: Asked[] = [];
    this.#asked = this.#asked.filter((asked) => {
      if (asked.answered || asked.search.found) return false;
      if (nowMs - asked.atMs < this.#usual.boundMs(asked.search.wanted.bytes)) return true;
      late.push(asked);
      return false;
    });
    for (const asked of late) {
      asked.overdue = true;
      this.#overdue.set(asked.logger, (this.#overdue.get(asked.logger) ?? 0) + 1);
      this.#hedged += 1;
      this.#next(asked.search);
    }
  }
}
