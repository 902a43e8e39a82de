/**
 * Shards whose metadata in the coordinator is an older one (S20): nobody serves them, nothing of them is committed or
 * acknowledged, no zone of them is finished or reset. What becomes of their metadata, metadata.ts judges.
 */
import type { LoggerTrace } from '../../src/core/logger/trace.ts';
import type { ShardEffect } from '../../src/core/shard/events.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { Reversals } from '../reversals.ts';
import { Violation } from './violation.ts';

/** Judges what gateways do, and notes which copies they have completed. */
export function watchRegressedShards(reversals: Reversals, onViolation: (violation: Violation) => void): ShardTrace {
  return {
    before({ state: { shard } }, event) {
      if ((event.event === 'filled' || event.event === 'copied') && event.answer.kind === 'filled')
        reversals.filled(event.logger, shard, event.zone, event.answer.length);
      if (event.event === 'copied' && event.answer.kind === 'filled' && event.answer.length > 0)
        reversals.replaced(event.logger, shard, event.zone, event.answer.copyId);
    },
    after({ state: { shard } }, _event, effects) {
      if (!reversals.isBack(shard)) return;
      for (const effect of effects) {
        const deed = forbidden(effect);
        if (deed !== undefined) onViolation(new Violation(`S20 shard ${shard} ${deed}, though its metadata went back`));
      }
    },
  };
}

/** What must not happen to such a shard; undefined: the effect is harmless. */
export function forbidden(effect: ShardEffect): string | undefined {
  switch (effect.effect) {
    case 'role':
      return effect.role === 'owner' ? 'is served' : undefined;
    case 'append':
    case 'committed':
    case 'fill':
      return `gives the effect ${effect.effect}`;
    case 'finish':
      return `has zone ${effect.zone} finished`;
    case 'answer-write':
      return effect.result.kind === 'failed' ? undefined : 'has a write acknowledged';
    case 'release':
      return effect.read.stale ? undefined : 'has a read answered';
    default:
      return undefined;
  }
}

/** Judges what loggers are told. */
export function watchRegressedLoggers(reversals: Reversals, onViolation: (violation: Violation) => void): LoggerTrace {
  return {
    before: () => undefined,
    after(_machine, event) {
      if (event.kind !== 'finish' && event.kind !== 'reset') return;
      if (!reversals.isBack(event.shard)) return;
      const what = `zone ${event.zone} of shard ${event.shard}`;
      onViolation(new Violation(`S20 ${what}: a logger is told to ${event.kind} it, though its metadata went back`));
    },
  };
}
