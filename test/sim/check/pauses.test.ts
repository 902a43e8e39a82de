import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pausesOf } from '../../../sim/check/pauses.ts';
import { Violation } from '../../../sim/check/violation.ts';
import { drawPlan } from '../../../sim/draw-plan.ts';
import type { Fault } from '../../../sim/plan.ts';

const gone: Fault = { kind: 'gone', atMs: 600, node: 'gateway0', how: 'process' };
const { cluster, workload } = drawPlan(1);
const plan = {
  faults: [gone],
  cluster: { ...cluster, gateways: 2, suspicionMostMs: 200 },
  workload: { ...workload, moveEveryMs: 0 },
};

test('promise 3: a shard whose gateway is gone has another owner within the suspicion time and a take-over', () => {
  const pauses = pausesOf(plan);
  pauses?.look(0, false, 0);
  pauses?.look(5_000, true, 0);
  pauses?.look(5_900, false, 0);
  assert.throws(() => pauses?.look(5_901, false, 0), Violation);
});

test('... each that goes while the shards of another wait', () => {
  const pauses = pausesOf(plan);
  pauses?.look(0, true, 1);
  pauses?.look(800, false, 2);
  pauses?.look(1_700, false, 2);
  assert.throws(() => pauses?.look(1_701, false, 2), Violation);
});

test('... without a bound before all was served, and where anything else goes wrong, or owners move', () => {
  const pauses = pausesOf(plan);
  pauses?.look(0, false, 0);
  pauses?.look(9_000, false, 0);
  assert.equal(pausesOf({ ...plan, faults: [] }), undefined);
  assert.equal(pausesOf({ ...plan, faults: [{ ...gone, atMs: 100 }] }), undefined);
  assert.equal(pausesOf({ ...plan, workload: { ...workload, moveEveryMs: 100 } }), undefined);
  assert.equal(
    pausesOf({ ...plan, faults: [gone, { kind: 'leave', atMs: 1, node: 'gateway1', downMs: 1 }] }),
    undefined,
  );
});
