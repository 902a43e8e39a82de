import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pausesOf } from '../../../sim/check/pauses.ts';
import { Violation } from '../../../sim/check/violation.ts';
import { drawPlan } from '../../../sim/draw-plan.ts';
import type { Fault } from '../../../sim/plan.ts';

const gone: Fault = { kind: 'gone', atMs: 100, node: 'gateway0', how: 'process' };
const { cluster } = drawPlan(1);
const plan = { faults: [gone], cluster: { ...cluster, gateways: 2, suspicionMostMs: 200 } };

test('promise 3: a shard whose gateway is gone has another owner within the suspicion time and a take-over', () => {
  const pauses = pausesOf(plan);
  pauses?.look(0, false);
  pauses?.look(5_000, true);
  pauses?.look(5_900, false);
  assert.throws(() => pauses?.look(5_901, false), Violation);
});

test('... which has no bound before all was served, and where anything else goes wrong, or nothing', () => {
  const pauses = pausesOf(plan);
  pauses?.look(0, false);
  pauses?.look(9_000, false);
  assert.equal(pausesOf({ ...plan, faults: [] }), undefined);
  assert.equal(
    pausesOf({ ...plan, faults: [gone, { kind: 'leave', atMs: 1, node: 'gateway1', downMs: 1 }] }),
    undefined,
  );
});
