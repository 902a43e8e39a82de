/**
 * A logger as shards see it: requests go out when the turn ends, answers come as events of the shard or by the
 * callback, each exactly once. A logger that is not there answers `lost` to everything.
 */
import type { ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import type {
  CopyItem,
  FillItem,
  ReadAnswer,
  ShardKnowledge,
  ZoneRef,
  ZoneStatus,
} from '../../codec/logger-protocol.ts';
import type { SealResult } from '../../codec/logger-seals.ts';
import type { Copied, Filled, Lost, Refused, ShardEvent } from '../../core/shard/events.ts';

export type ProbeAnswer = { readonly kind: 'ok' } | Lost | Refused;

export type Dispatch = (shard: ShardId, event: ShardEvent) => void;

export interface LoggerPort {
  /** Both connections are up. */
  readonly isUp: boolean;
  append(at: ZoneRef, offset: number, bytes: Uint8Array): void;
  confirm(at: ZoneRef, number: number): void;
  read(shard: ShardId, zone: ZoneId, offset: number, length: number, onRead: (answer: ReadAnswer | Lost) => void): void;
  testify(shard: ShardId, onAnswer: (answer: ShardKnowledge | Lost) => void): void;
  seal(at: ZoneRef, onAnswer: (answer: SealResult | Lost) => void): void;
  fill(item: FillItem, onAnswer: (answer: Filled | Lost | Refused) => void): void;
  copy(item: CopyItem, onAnswer: (answer: Copied | Lost | Refused) => void): void;
  /** Whether it answers at all, be its disk slow. Called once. */
  ping(onAnswer: (isThere: boolean) => void): void;
  /** Whether it can take a new zone: answered behind a write and a sync of its device. */
  probe(onAnswer: (answer: ProbeAnswer) => void): void;
  /** Best effort: what a logger misses it is told when it connects again (reconciler.ts). */
  finish(shard: ShardId, zone: ZoneId, length: number): void;
  /** Not called when there is no answer. */
  reportZones(onAnswer: (zones: readonly ZoneStatus[]) => void): void;
}

export const lost: Lost = { kind: 'lost' };

/** Reason of an answer that is none; undefined: it has no item for what was asked. */
export function reasonOf(answer: { readonly kind: string } | Refused | Lost | undefined): Lost | Refused {
  return answer !== undefined && 'code' in answer ? { kind: 'refused', code: answer.code } : lost;
}

/** A logger that no member has the name of. */
export class AbsentLogger implements LoggerPort {
  readonly isUp = false;
  readonly #logger: Uuid;
  readonly #dispatch: Dispatch;

  constructor(logger: Uuid, dispatch: Dispatch) {
    this.#logger = logger;
    this.#dispatch = dispatch;
  }

  append({ shard, zone }: ZoneRef): void {
    this.#dispatch(shard, { event: 'append-failed', logger: this.#logger, zone, reason: lost });
  }

  confirm({ shard, zone }: ZoneRef): void {
    this.#dispatch(shard, { event: 'confirm-failed', logger: this.#logger, zone, reason: lost });
  }

  read(...[, , , , onRead]: Parameters<LoggerPort['read']>): void {
    onRead(lost);
  }

  testify(...[, onAnswer]: Parameters<LoggerPort['testify']>): void {
    onAnswer(lost);
  }

  seal(...[, onAnswer]: Parameters<LoggerPort['seal']>): void {
    onAnswer(lost);
  }

  fill(...[, onAnswer]: Parameters<LoggerPort['fill']>): void {
    onAnswer(lost);
  }

  copy(...[, onAnswer]: Parameters<LoggerPort['copy']>): void {
    onAnswer(lost);
  }

  ping(onAnswer: (isThere: boolean) => void): void {
    onAnswer(false);
  }

  probe(onAnswer: (answer: ProbeAnswer) => void): void {
    onAnswer(lost);
  }

  finish(): void {
    // It is told when it is there.
  }

  reportZones(): void {
    // It has nothing to report.
  }
}
