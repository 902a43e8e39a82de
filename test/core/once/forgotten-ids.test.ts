import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ForgottenIds } from '../../../src/core/once/forgotten-ids.ts';
import { seededRandom } from '../index/index-support.ts';

const of = (ids: readonly number[], rangesMax: number): ForgottenIds => {
  const forgotten = new ForgottenIds(rangesMax);
  for (const id of ids) forgotten.add(id);
  return forgotten;
};

test('S15 ids that follow one another are one range, in whatever order they come', () => {
  for (const ids of [
    [5, 6, 7],
    [7, 6, 5],
    [5, 7, 6],
    [6, 6, 5, 7, 5],
  ])
    assert.deepEqual(of(ids, 4).ranges, [{ low: 5, high: 7 }], ids.join(' '));
  const begun = of([1, 2, 4], 4);
  assert.deepEqual([begun.floor, begun.ranges], [2, [{ low: 4, high: 4 }]]);
});

test('S15 when there are too many ranges the lowest joins the floor', () => {
  const forgotten = of([2 ** 48 - 1, 20, 10, 30], 3);
  assert.equal(forgotten.floor, 10);
  assert.deepEqual(
    forgotten.ranges.map(({ low }) => low),
    [20, 30, 2 ** 48 - 1],
  );
  assert.ok(forgotten.has(9), 'it counts as forgotten although it never was here');
  assert.ok(!forgotten.has(11) && !forgotten.has(2 ** 48 - 2));
});

test('S15 what was added is forgotten, nothing else above the floor is, and a copy goes on like the original', () => {
  const random = seededRandom(3);
  for (let round = 0; round < 200; round++) {
    const rangesMax = random.below(6);
    const forgotten = new ForgottenIds(rangesMax);
    const added = new Set<number>();
    let copy: ForgottenIds | undefined;
    for (let count = 0; count < 60; count++) {
      const id = 1 + random.below(80);
      added.add(id);
      forgotten.add(id);
      copy?.add(id);
      if (count === 20) {
        copy = new ForgottenIds(rangesMax);
        copy.restore(forgotten.floor, forgotten.ranges);
      }
      assert.ok(forgotten.ranges.length <= rangesMax);
      for (let one = 1; one <= 82; one++)
        assert.equal(forgotten.has(one), one <= forgotten.floor || added.has(one), `id ${one}`);
    }
    assert.deepEqual([copy?.floor, copy?.ranges], [forgotten.floor, forgotten.ranges]);
  }
});
