import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeedResult } from '../../sim/summary.ts';
import { Summary } from '../../sim/summary.ts';

const life: SeedResult = {
  seed: 1,
  kind: 'ok',
  reason: '',
  hash: '',
  events: 2,
  turns: 1,
  simulatedMs: 1,
  coverage: {},
  faults: {},
};

test('lives whose history was judged say so', () => {
  const summary = new Summary(1, 1);
  summary.add(life);
  assert.match(summary.text(), /0 failed\nevery history was judged$/);
});

test('a life that could not be judged is neither clean nor failed, and is named', () => {
  const summary = new Summary(1, 2);
  summary.add(life);
  summary.add({ ...life, seed: 2, kind: 'unjudged', reason: 'key k1: no order found' });
  assert.match(summary.text(), /0 failed\n1 COULD NOT BE JUDGED.*\n {2}seed 2: unjudged: key k1/);
  assert.deepEqual(summary.verdicts, ['unjudged']);
});
