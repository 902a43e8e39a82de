/**
 * Refusals of shards need a reason (promise 3): nothing is overloaded in a life whose queues hold more than it asks
 * for, and where nothing is made to go wrong an owner refuses nothing but what nobody waits for any more: the SDK sends
 * a write that a former owner still has to the next one as well, and that copy may come after the write has ended.
 * Whoever still waits for a write that is refused so is found by the recorder.
 */
import type { ShardEffect } from '../../src/core/shard/events.ts';
import type { Failure, ShardWrite } from '../../src/core/shard/requests.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { Plan } from '../plan.ts';
import { Violation } from './violation.ts';

export function watchRefusals({ faults, cluster }: Plan, onViolation: (violation: Violation) => void): ShardTrace {
  const knobs = cluster.knobs ?? {};
  const mayOverflow = knobs.queueRecordsMax !== undefined || knobs.queueBytesMax !== undefined;
  const isCalm = faults.length === 0 && Object.keys(knobs).length === 0;
  const ends = new Ends();
  return {
    before({ state }, event) {
      if (event.event === 'write') ends.told(state.shard, event);
    },
    after({ state, role }, _event, effects) {
      for (const effect of effects) {
        const failure = failureOf(effect);
        if (failure === undefined) continue;
        const isOver =
          failure.code === 'request-superseded' &&
          effect.effect === 'answer-write' &&
          ends.includes(state.shard, effect.write);
        const isExplained = failure.code === 'overloaded' ? mayOverflow : isOver || !isCalm || role !== 'owner';
        if (!isExplained)
          onViolation(new Violation(`promise 3: shard ${state.shard} refuses without a reason: ${failure.message}`));
      }
    },
  };
}

/** Numbers that clients themselves said are over, by what they sent to any gateway (S15). */
class Ends {
  /** Largest first incomplete number, by shard and client. */
  readonly #firsts = new Map<string, number>();

  told(shard: number, write: ShardWrite): void {
    const of = nameOf(shard, write);
    this.#firsts.set(of, Math.max(write.firstIncomplete, this.#firsts.get(of) ?? 0));
  }

  includes(shard: number, write: ShardWrite): boolean {
    return write.number < (this.#firsts.get(nameOf(shard, write)) ?? 0);
  }
}

function nameOf(shard: number, { client }: ShardWrite): string {
  return `${shard}/${client}`;
}

function failureOf(effect: ShardEffect): Failure | undefined {
  if (effect.effect === 'fail-read') return effect.failure;
  return effect.effect === 'answer-write' && effect.result.kind === 'failed' ? effect.result : undefined;
}
