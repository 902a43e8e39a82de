/** The traces through which the simulator sees the machines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawPlan } from '../../sim/draw-plan.ts';
import { runLife } from '../../sim/life.ts';
import { shardTraces } from '../../sim/traces.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import { tracedStep } from '../../src/core/shard/trace.ts';
import { Cluster } from '../core/shard/harness.ts';

test('a traced step is seen before and after, by all in order, with its effects', () => {
  const cluster = new Cluster(1, 1);
  const seen: string[] = [];
  const trace = (name: string): ShardTrace => ({
    before: (shard, { event }) => seen.push(`${name} before ${event}: ${shard.role}`),
    after: (shard, { event }, effects) =>
      seen.push(`${name} after ${event}: ${shard.role}, ${effects.map(({ effect }) => effect).join()}`),
  });
  const effects = tracedStep(shardTraces([trace('a'), trace('b')]), cluster.gateway(0), {
    event: 'claim',
    nowMs: cluster.gateway(0).state.shardTimeMs,
    over: 0,
  });
  assert.deepEqual(seen, [
    'a before claim: follower',
    'b before claim: follower',
    'a after claim: taking, testify,role',
    'b after claim: taking, testify,role',
  ]);
  assert.deepEqual(
    effects.map(({ effect }) => effect),
    ['testify', 'role'],
  );
});

test('lives that are run at the same time do not see one another', async () => {
  const alone = [await runLife(drawPlan(7)), await runLife(drawPlan(8))];
  const together = await Promise.all([runLife(drawPlan(7)), runLife(drawPlan(8))]);
  for (const [index, life] of together.entries()) {
    assert.equal(life.hash, alone[index]?.hash);
    assert.deepEqual(life.coverage, alone[index]?.coverage);
  }
});
