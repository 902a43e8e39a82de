import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reversals } from '../../sim/reversals.ts';
import { uuid } from '../../src/base/ids.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../../src/env/simulated/files.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';

const [a, b] = [uuid('1'.repeat(32)), uuid('2'.repeat(32))];

test('a logger that went back is forgiven its copies of the zones there were, where another holds them too', () => {
  const lost: string[] = [];
  const reversals = new Reversals((copies) => lost.push(...copies));
  reversals.loggerBack({ logger: a, newestZones: new Map([[3, 5]]) }, ['copy']);
  assert.deepEqual(lost, ['copy']);
  assert.deepEqual(reversals.soundCopies(3, { zone: 5, length: 100, replicas: [a, b] }), [b]);
  assert.deepEqual(reversals.soundCopies(3, { zone: 6, length: 100, replicas: [a, b] }), [a, b], 'a later zone');
  assert.deepEqual(reversals.soundCopies(2, { zone: 5, length: 100, replicas: [a, b] }), [a, b], 'another shard');
  assert.deepEqual(reversals.soundCopies(3, { zone: 5, length: 100, replicas: [a] }), [a], 'listed alone');
  reversals.filled(a, 3, 5, 100);
  assert.deepEqual(reversals.soundCopies(3, { zone: 5, length: 100, replicas: [a, b] }), [a, b], 'completed since');
  assert.deepEqual(reversals.soundCopies(3, { zone: 5, length: 101, replicas: [a, b] }), [b], 'not up to there');
});

test('a copy that rotted and a logger that was wiped are forgiven, for that zone and for ever', () => {
  const lost: string[] = [];
  const reversals = new Reversals((copies) => lost.push(...copies));
  reversals.rotted(a, 3, 5, 'copy');
  assert.deepEqual(reversals.soundCopies(3, { zone: 5, length: 100, replicas: [a, b] }), [b]);
  assert.deepEqual(reversals.soundCopies(3, { zone: 6, length: 100, replicas: [a, b] }), [a, b], 'another zone');
  assert.equal(reversals.isRotten(a, 3, 5), true);
  assert.equal(reversals.isRotten(b, 3, 5), false);
  reversals.wiped(b, ['other']);
  assert.deepEqual(reversals.soundCopies(3, { zone: 6, length: 100, replicas: [a, b] }), [a]);
  assert.deepEqual(lost, ['copy', 'other']);
  assert.deepEqual([...reversals.unsound], [a, b]);
});

test('one disk of a life may be spoilt, as often as it likes', () => {
  const clock = new SimulatedClock();
  const disk = () => new SimulatedDisk({ clock, random: new SimulatedRandom(1) });
  const [one, other] = [disk(), disk()];
  const reversals = new Reversals();
  assert.deepEqual([reversals.maySpoil(one), reversals.maySpoil(other), reversals.maySpoil(one)], [true, false, true]);
});

test('changes of a shard are told apart by revision: exchanged, of the older content, usual', () => {
  const reversals = new Reversals();
  reversals.metadataBack([1], 10);
  assert.equal(reversals.isBack(1), true);
  assert.equal(reversals.isBack(2), false);
  reversals.metadataRestored(12);
  assert.equal(reversals.isBack(1), false);
  assert.deepEqual(
    [9, 10, 11, 12, 13].map((revision) => reversals.kindOf(1, revision)),
    ['usual', 'exchanged', 'older', 'exchanged', 'usual'],
  );
  assert.equal(reversals.kindOf(2, 11), 'usual');
});
