/** Several traces as one: each is told in their order. */
import type { LoggerTrace } from '../src/core/logger/trace.ts';
import type { ShardTrace } from '../src/core/shard/trace.ts';

export function shardTraces(traces: readonly ShardTrace[]): ShardTrace {
  return {
    before(shard, event) {
      for (const trace of traces) trace.before(shard, event);
    },
    after(shard, event, effects) {
      for (const trace of traces) trace.after(shard, event, effects);
    },
  };
}

export function loggerTraces(traces: readonly LoggerTrace[]): LoggerTrace {
  return {
    before(machine, event) {
      for (const trace of traces) trace.before(machine, event);
    },
    after(machine, event, effects) {
      for (const trace of traces) trace.after(machine, event, effects);
    },
  };
}
