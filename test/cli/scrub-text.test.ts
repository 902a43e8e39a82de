import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrubText } from '../../src/cli/scrub-text.ts';

const rest = { passes: 0, endedAgoMs: -1, underWay: false, zone: 0, checked: 0, unreached: 0, listed: 0, damaged: 0 };
const first = { ...rest, underWay: true, checked: 30, listed: 1_200 };
const second = { ...first, passes: 1, endedAgoMs: 7_300_000 };

test('the scrub in words: how far it is, when it was done last, and what it met', () => {
  assert.equal(scrubText(rest), 'not yet');
  assert.equal(scrubText(first), '2 % of 1,200 copies');
  assert.equal(scrubText(second), '2 % of 1,200 copies, last 2 h ago');
  assert.equal(scrubText({ ...second, underWay: false }), '2 h ago');
  assert.equal(
    scrubText({ ...second, underWay: false, endedAgoMs: 100, damaged: 1, unreached: 2 }),
    '0 s ago, 1 found damaged, 2 out of reach',
  );
});
