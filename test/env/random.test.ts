import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, type Random, randomHex } from '../../src/env/random.ts';
import { RealRandom } from '../../src/env/real/random.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';

const subjects: Readonly<Record<string, () => Random>> = {
  real: () => new RealRandom(),
  simulated: () => new SimulatedRandom(42),
};

for (const [name, subject] of Object.entries(subjects)) {
  test(`${name} random: every bit is set about half of the time`, () => {
    const random = subject();
    const counts = new Array<number>(32).fill(0);
    const rounds = 20_000;
    for (let round = 0; round < rounds; round++) {
      const value = random.uint32();
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 32);
      for (let bit = 0; bit < 32; bit++) counts[bit] = (counts[bit] ?? 0) + ((value >>> bit) & 1);
    }
    // Ten standard deviations: an honest source fails once in 10^22 runs.
    for (const count of counts) assert.ok(Math.abs(count - rounds / 2) < 10 * Math.sqrt(rounds / 4), counts.join(' '));
  });

  test(`${name} random: bytes are fresh, of the length asked for, and cover all values`, () => {
    const random = subject();
    for (const count of [0, 1, 2, 3, 4, 5, 63, 64]) assert.equal(random.bytes(count).length, count);
    assert.notDeepEqual(random.bytes(32), random.bytes(32));
    assert.equal(new Set(random.bytes(20_000)).size, 256);
    assert.match(randomHex(random, 16), /^[0-9a-f]{32}$/);
  });

  test(`${name} random: below stays below`, () => {
    const random = subject();
    const seen = new Set(Array.from({ length: 1000 }, () => below(random, 7)));
    assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4, 5, 6]);
    assert.equal(below(random, 1), 0);
  });
}

test('the same seed gives the same numbers, for ever', () => {
  const random = new SimulatedRandom(1);
  const again = new SimulatedRandom(1);
  const first = Array.from({ length: 100 }, () => random.uint32());
  assert.deepEqual(
    Array.from({ length: 100 }, () => again.uint32()),
    first,
  );
  assert.notDeepEqual(
    Array.from({ length: 100 }, () => new SimulatedRandom(2).uint32()),
    first,
  );
  // Recorded once: a seed in a report must mean the same run later.
  assert.deepEqual(first.slice(0, 4), [3721271263, 504547358, 3545351467, 312421344]);
});

test('a fork depends on its label alone, not on what was drawn', () => {
  const random = new SimulatedRandom('seed');
  const early = random.fork('network').bytes(16);
  random.uint32();
  assert.deepEqual(random.fork('network').bytes(16), early);
  assert.notDeepEqual(random.fork('disk').bytes(16), early);
  assert.notDeepEqual(new SimulatedRandom('other').fork('network').bytes(16), early);
});
