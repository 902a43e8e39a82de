/**
 * Pause before something that failed is tried again: one formula for links and for requests. It doubles with every
 * failure, up to a bound, and is drawn between half of that and the whole of it, so that those who lost one server
 * don't come back in step.
 */
import { assert } from '../base/assert.ts';
import type { Random } from '../env/random.ts';

const doublingsMax = 30;

/**
 * Milliseconds to wait after `failures` failures before this one.
 * REQUIRES: failures >= 0, 0 < leastMs <= mostMs.
 */
export function backoffMs(random: Random, failures: number, leastMs: number, mostMs: number): number {
  assert(failures >= 0 && leastMs > 0 && leastMs <= mostMs, 'a back-off has a count and a range');
  const stepMs = Math.min(mostMs, leastMs * 2 ** Math.min(failures, doublingsMax));
  return stepMs * (0.5 + random.uint32() / 2 ** 33);
}
