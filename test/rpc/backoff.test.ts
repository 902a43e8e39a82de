import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { backoffMs } from '../../src/rpc/backoff.ts';

/** Randomness that is the same number for ever. */
function constant(uint32: number): SimulatedRandom {
  return new (class extends SimulatedRandom {
    override uint32(): number {
      return uint32;
    }
  })(1);
}

const least = constant(0);
const most = constant(2 ** 32 - 1);

test('the pause doubles with every failure, up to its bound', () => {
  assert.deepEqual(
    [0, 1, 2, 5, 6, 7, 100, Number.MAX_SAFE_INTEGER].map((failures) => backoffMs(least, failures, 20, 1_000)),
    [10, 20, 40, 320, 500, 500, 500, 500],
  );
});

test('it lies between half of the step and the whole of it', () => {
  for (const failures of [0, 1, 5, 9]) {
    const step = Math.min(1_000, 20 * 2 ** failures);
    assert.equal(backoffMs(least, failures, 20, 1_000), step / 2);
    const longest = backoffMs(most, failures, 20, 1_000);
    assert.ok(longest < step && longest > step * 0.999);
  }
});

test('draws are spread evenly', () => {
  const random = new SimulatedRandom('backoff');
  const pauses = Array.from({ length: 10_000 }, () => backoffMs(random, 0, 1_000, 1_000));
  const mean = pauses.reduce((sum, pause) => sum + pause, 0) / pauses.length;
  assert.ok(Math.abs(mean - 750) < 10, `mean ${mean}`);
  assert.ok(new Set(pauses.map(Math.round)).size > 450);
});

test('a range that is none is a mistake', () => {
  assert.throws(() => backoffMs(least, 0, 0, 10));
  assert.throws(() => backoffMs(least, 0, 20, 10));
  assert.throws(() => backoffMs(least, -1, 10, 20));
});
