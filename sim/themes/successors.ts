/**
 * Lives in which gateways end for good, one or all but one, and nothing else goes wrong: nobody but the other gateways
 * helps, and how long a shard is without an owner has a bound (check/pauses.ts).
 */
import { below } from '../../src/env/random.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import type { Cast } from '../faults/actor.ts';
import { pick } from '../pick.ts';
import type { Fault, Theme, ThemeParts } from '../plan.ts';

export const successors: Theme = {
  name: 'successors',
  draw,
  drawFaults,
};

function draw(random: SimulatedRandom): ThemeParts {
  const gateways = pick(random, [2, 2, 3]);
  return {
    // Each owns some.
    cluster: { gateways, shards: gateways * pick(random, [1, 2]) },
    // Owners that changed of late are followed later: no gateway takes part in ping-pong.
    workload: { durationMs: pick(random, [800, 2_500]), moveEveryMs: 0 },
  };
}

/** Time before the first fault, in which all shards are taken. */
const calmMs = 600;

function drawFaults(random: SimulatedRandom, { gateways }: Cast, windowMs: number): readonly Fault[] {
  const left = [...gateways];
  const count = 1 + below(random, gateways.length - 1);
  return Array.from({ length: count }, (): Fault => {
    const [node = ''] = left.splice(below(random, left.length), 1);
    const how = pick(random, ['process', 'power'] as const);
    return { kind: 'gone', atMs: calmMs + below(random, windowMs - calmMs), node, how };
  }).sort((a, b) => a.atMs - b.atMs);
}
