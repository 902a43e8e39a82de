/** Lives of power losses: nodes die in the middle of a sync or a transaction, or all at once. */
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import type { FaultWeights } from '../faults/draw.ts';
import { drawFaults } from '../faults/draw.ts';
import { pick } from '../pick.ts';
import type { Theme, ThemeParts } from '../plan.ts';

const weights: FaultWeights = {
  'kill-at': 6,
  blackout: 3,
  'slow-syncs': 1,
  kill: 1,
};

export const blackout: Theme = {
  name: 'blackout',
  draw,
  drawFaults: (random, cast, windowMs) => drawFaults(random, cast, windowMs, weights),
};

function draw(random: SimulatedRandom): ThemeParts {
  return {
    world: { syncDelayMs: pick(random, [3, 10]) },
    workload: { durationMs: pick(random, [800, 2_500]), valueBytesMax: pick(random, [400, 4_000, 15_000]) },
  };
}
