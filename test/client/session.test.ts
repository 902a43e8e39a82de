import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Session } from '../../src/client/session.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';

test('S15 first is the smallest number not settled, in whatever order they settle', () => {
  const random = new SimulatedRandom(11);
  const session = new Session(1, 16);
  const open = new Set<number>();
  let newest = 0;
  for (let step = 0; step < 20_000; step++) {
    if (session.hasRoom && random.chance(0.6)) {
      const number = session.take();
      assert.equal(number, ++newest);
      open.add(number);
    } else if (open.size > 0) {
      const numbers = [...open];
      const number = numbers[random.uint32() % numbers.length] ?? 0;
      session.settle(number);
      open.delete(number);
    }
    assert.equal(session.first, open.size > 0 ? Math.min(...open) : newest + 1);
    assert.equal(session.hasRoom, newest + 1 - session.first < 16);
  }
  assert.ok(newest > 5_000);
});

test('S15 a number settles once, and a full window gives none', () => {
  const session = new Session(1, 2);
  session.take();
  session.take();
  assert.throws(() => session.take(), /S15/);
  session.settle(2);
  assert.throws(() => session.settle(2), /S15/);
  assert.throws(() => session.settle(3), /S15/);
});
