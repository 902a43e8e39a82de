/**
 * A view of shards at work: what each is told, and what it wants done. The shell offers it
 * (gateway/shards/shard-runner.ts), for checkers and counters; the machines know nothing of it.
 */
import type { ShardEffect, ShardEvent } from './events.ts';
import type { Shard } from './shard.ts';

export interface ShardTrace {
  /** The shard gets the event next: it is as it was. */
  before(shard: Shard, event: ShardEvent): void;
  /** The shard has decided; none of the effects has been carried out. REQUIRES: they are not changed. */
  after(shard: Shard, event: ShardEvent, effects: readonly ShardEffect[]): void;
}

/** One step, seen. */
export function tracedStep(trace: ShardTrace, shard: Shard, event: ShardEvent): readonly ShardEffect[] {
  trace.before(shard, event);
  const effects = shard.step(event);
  trace.after(shard, event, effects);
  return effects;
}
