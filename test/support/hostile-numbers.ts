/** Numbers that a message of the right form can hold and an honest sender never would. */
import type { SeededRandom } from '../core/index/index-support.ts';

/** Edges of the fields and limits that numbers end up in, both sides of each. */
export const hostileNumbers: readonly number[] = [0, 1, 9, 15, 16, 28, 31, 32, 33, 40, 47, 48, 49, 52, 53]
  .flatMap((power) => [2 ** power - 1, 2 ** power, 2 ** power + 1])
  .flatMap((number) => [number, -number])
  .filter((number) => Number.isSafeInteger(number));

/** One of `honest`, or a hostile number: about as often. */
export function drawNumber(random: SeededRandom, ...honest: readonly number[]): number {
  const from = random.below(2) === 0 && honest.length > 0 ? honest : hostileNumbers;
  return from[random.below(from.length)] ?? 0;
}
