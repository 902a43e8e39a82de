import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reasons } from '../../sim/reasons.ts';

test('nothing explains an error of a life in which nothing goes wrong', () => {
  const calm = new Reasons(new Set(['clock-jump']));
  assert.ok(calm.isCalm);
  for (const code of ['timeout', 'unavailable', 'connection-lost', 'not-owner', 'disk-full'] as const)
    assert.ok(!calm.explains(code), code);
  assert.ok(calm.explains('condition-failed'));
});

test('an error needs a fault that can be its cause, and some have none', () => {
  const full = new Reasons(new Set(['full-disk']));
  assert.ok(full.explains('disk-full') && full.explains('timeout') && !full.explains('metadata-regressed'));
  assert.ok(
    new Reasons(new Set(), true, () => true).explains('disk-full') &&
      !new Reasons(new Set(), true).explains('disk-full'),
  );
  const slow = new Reasons(new Set(['slow-syncs']));
  assert.ok(slow.explains('timeout') && !slow.explains('connection-lost') && !slow.explains('disk-full'));
  const every = new Reasons(new Set(['kill', 'coordinator']));
  for (const code of ['internal', 'protocol-error', 'bad-argument'] as const) assert.ok(!every.explains(code));
});
