/**
 * Refusals of shards need a reason (promise 3): nothing is overloaded in a life whose queues hold more than it asks
 * for, and where nothing is made to go wrong an owner refuses nothing.
 */
import type { ShardEffect } from '../../src/core/shard/events.ts';
import type { Failure } from '../../src/core/shard/requests.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { Plan } from '../plan.ts';
import { Violation } from './violation.ts';

export function watchRefusals({ faults, cluster }: Plan, onViolation: (violation: Violation) => void): ShardTrace {
  const knobs = cluster.knobs ?? {};
  const mayOverflow = knobs.queueRecordsMax !== undefined || knobs.queueBytesMax !== undefined;
  const isCalm = faults.length === 0 && Object.keys(knobs).length === 0;
  return {
    before: () => undefined,
    after({ state, role }, _event, effects) {
      for (const effect of effects) {
        const failure = failureOf(effect);
        if (failure === undefined) continue;
        const isExplained = failure.code === 'overloaded' ? mayOverflow : !isCalm || role !== 'owner';
        if (!isExplained)
          onViolation(new Violation(`promise 3: shard ${state.shard} refuses without a reason: ${failure.message}`));
      }
    },
  };
}

function failureOf(effect: ShardEffect): Failure | undefined {
  if (effect.effect === 'fail-read') return effect.failure;
  return effect.effect === 'answer-write' && effect.result.kind === 'failed' ? effect.result : undefined;
}
