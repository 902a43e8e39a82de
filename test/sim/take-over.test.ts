import assert from 'node:assert/strict';
import { test } from 'node:test';
import { homeShards } from '../../src/core/ownership/ownership.ts';
import { allShards } from '../../src/gateway/shards/shard-runner.ts';
import { drawPlan } from '../../sim/draw-plan.ts';
import { gatewayHost } from '../../sim/hosts.ts';
import { runLife } from '../../sim/life.ts';
import type { Fault, Plan } from '../../sim/plan.ts';

const faultMs = 1_000;

/** Three gateways, three loggers and six shards in good weather; one thing happens. */
function planOf(fault: Fault): Plan {
  const { cluster, world, workload, ...plan } = drawPlan(3);
  const weather = { delayMaxMs: 0.5, syncDelayMs: 0.5, syncDelaySpreadMs: 0.5, readDelayMs: 0.1, splitProbability: 0 };
  const size = { gateways: 3, loggers: 3, shards: 6, replicas: 3, minReplicas: 1 };
  const waits = { sealWaitMs: 50, coldSealWaitMs: 1_000, suspicionLeastMs: 200, suspicionMostMs: 500 };
  const clocks = { clockRates: [1, 1, 1, 1, 1, 1], wallOffsetsMs: [0, 0, 0, 0, 0, 0] };
  return {
    ...plan,
    cluster: { ...cluster, ...size, ...waits },
    world: { ...world, ...weather, ...clocks },
    workload: { ...workload, durationMs: 2_500, operations: 400, timeoutMs: 10_000, sides: undefined, moveEveryMs: 0 },
    faults: [fault],
  };
}

/** Milliseconds from the fault until each shard of gateway 0 is served by another one. */
async function takenOverMs(fault: Fault): Promise<readonly number[]> {
  const times = new Map<number, number>();
  let startMs = 0;
  const result = await runLife(planOf(fault), (line) => {
    const [, at, who, what] = /^ *([0-9.]+) (\S+) +(.*)$/.exec(line) ?? [];
    if (who === 'fault') startMs = Number(at);
    const shard = /^serving .*shard=(\d+)/.exec(what ?? '')?.[1];
    if (shard !== undefined && startMs > 0 && who !== gatewayHost(0) && !times.has(Number(shard)))
      times.set(Number(shard), Number(at) - startMs);
  });
  assert.deepEqual(result.verdict, { kind: 'ok' });
  const own = homeShards([0, 1, 2], 0, allShards(6));
  assert.deepEqual([...times.keys()].sort(), own, 'its shards, and no others, have another owner');
  return [...times.values()];
}

test('all shards of a gateway that is killed for good are served by others within 100 ms', async () => {
  const times = await takenOverMs({ kind: 'gone', atMs: faultMs, node: gatewayHost(0), how: 'process' });
  assert.ok(Math.max(...times) < 100, times.join());
});

test('... and those of one that stands still, or loses power, within the suspicion time and 150 ms', async () => {
  for (const fault of [
    { kind: 'pause', atMs: faultMs, node: gatewayHost(0), forMs: 1_400 },
    { kind: 'gone', atMs: faultMs, node: gatewayHost(0), how: 'power' },
  ] as const) {
    const times = await takenOverMs(fault);
    assert.ok(Math.max(...times) < 200 + 150, times.join());
  }
});
