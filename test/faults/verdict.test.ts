import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { HistoryEvent } from '../../sim/history.ts';
import { longestGapMs, lostKeys } from './verdict.ts';

function calls(...ends: readonly (Partial<HistoryEvent> & Pick<HistoryEvent, 'f'>)[]): HistoryEvent[] {
  return ends.flatMap((end, index) => {
    const call = { process: 0, key: 'k', value: null, time: index * 10 };
    return [
      { ...call, f: end.f, type: 'invoke' as const },
      { ...call, type: 'ok' as const, ...end },
    ];
  });
}

test('an acknowledged write that the last read does not find is lost', () => {
  const put = { f: 'put', value: 'v', version: 5 } as const;
  assert.deepEqual(lostKeys(calls(put, { f: 'get', version: 5 }), ['k']), []);
  assert.deepEqual(lostKeys(calls(put, { f: 'get', version: 4 }), ['k']), ['k']);
  assert.deepEqual(lostKeys(calls(put, { f: 'get', version: 0 }), ['k']), ['k']);
});

test('... unless somebody may have deleted it since', () => {
  const put = { f: 'put', value: 'v', version: 5 } as const;
  assert.deepEqual(lostKeys(calls(put, { f: 'del', type: 'ok' }, { f: 'get', version: 0 }), ['k']), []);
  assert.deepEqual(lostKeys(calls(put, { f: 'del', type: 'info' }, { f: 'get', version: 0 }), ['k']), []);
  assert.deepEqual(lostKeys(calls(put, { f: 'del', type: 'fail' }, { f: 'get', version: 0 }), ['k']), ['k']);
  assert.deepEqual(lostKeys(calls({ f: 'del' }, put, { f: 'get', version: 0 }), ['k']), ['k']);
});

test('a gap that has not ended counts until the end', () => {
  const events = calls({ f: 'put', version: 1 }, { f: 'get', version: 1 }, { f: 'put', version: 2 });
  const keys = new Set(['k']);
  assert.equal(longestGapMs(events, keys, 'write', 0, 100), 80);
  assert.equal(longestGapMs(events, keys, 'read', 0, 30), 20);
  assert.equal(longestGapMs(events, new Set(), 'read', 0, 30), 30);
});
