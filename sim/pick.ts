/** Choice by chance. */
import { below } from '../src/env/random.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';

/** Any of `list`, each as likely. @throws RangeError when there is nothing to pick from. */
export function pick<T>(random: SimulatedRandom, list: readonly T[]): T {
  const found = list[below(random, Math.max(1, list.length))];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
}
