import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../src/base/limits.ts';
import { acceptedMax, refusalOf } from '../../src/rpc/admission.ts';

test('clients leave a reserve of the descriptors, members all but a few', () => {
  assert.deepEqual(
    [64, 128, 256, 1_024, 4_096, 20_000].map((max) => [acceptedMax(max, 'clients'), acceptedMax(max, 'members')]),
    [
      [32, 40],
      [64, 104],
      [192, 232],
      [768, 1_000],
      [3_072, 4_072],
      [18_976, 19_976],
    ],
  );
  assert.equal(acceptedMax(Number.POSITIVE_INFINITY, 'clients'), Number.POSITIVE_INFINITY);
  for (let max = 1; max < 3_000; max += 7) {
    assert.ok(acceptedMax(max, 'clients') >= 1 && acceptedMax(max, 'members') >= 1, 'somebody can ask what is wrong');
    if (max > 2 * limits.descriptorsKept) assert.ok(acceptedMax(max, 'clients') < acceptedMax(max, 'members'));
  }
});

test('a connection counts with the descriptors of the whole process, and with its door', () => {
  const full = { max: 128, accepted: 65 };
  assert.match(refusalOf(3, 10, 'clients', full)?.reason ?? '', /descriptors used up: this process may have 128/);
  assert.equal(refusalOf(3, 10, 'members', full), undefined);
  assert.equal(refusalOf(3, 10, 'clients', { max: 128, accepted: 64 }), undefined);
  assert.deepEqual(refusalOf(10, 10, 'members', full), { limit: 10 });
  assert.equal(refusalOf(9_999, 10_000, 'clients'), undefined);
});
