import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WaitingAnswers } from '../../src/rpc/waiting-answers.ts';

type Step =
  | { readonly kind: 'ask' }
  | { readonly kind: 'answer'; readonly which: number }
  | { readonly kind: 'answer unknown'; readonly id: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'ask' } as const) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('answer unknown' as const), id: fc.nat() }) },
);

test('each answer finds who waits for it, once, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const waiting = new WaitingAnswers<string>();
      const model = new Map<number, string>();
      for (const [index, one] of steps.entries()) {
        const ids = [...model.keys()];
        if (one.kind === 'ask') {
          const id = waiting.takeId();
          assert.ok(!model.has(id), 'an id that nobody waits for');
          waiting.add(id, `request ${index}`);
          model.set(id, `request ${index}`);
        } else {
          const id = one.kind === 'answer' ? (ids[one.which % ids.length] ?? 0) : one.id;
          assert.equal(waiting.remove(id), model.get(id));
          model.delete(id);
        }
        assert.equal(waiting.count, model.size);
      }
      assert.deepEqual(waiting.removeAll(), [...model.values()]);
      assert.equal(waiting.count, 0);
    }),
  );
});

test('one that waits for long is passed over by the ids that come round', () => {
  const waiting = new WaitingAnswers<string>();
  const first = waiting.takeId();
  waiting.add(first, 'waits for long');
  for (let index = 0; index < 1_000; index++) {
    const id = waiting.takeId();
    waiting.add(id, `request ${index}`);
    assert.equal(waiting.remove(id), `request ${index}`);
    assert.equal(waiting.remove(id), undefined);
  }
  assert.deepEqual([waiting.remove(first), waiting.count], ['waits for long', 0]);
});
