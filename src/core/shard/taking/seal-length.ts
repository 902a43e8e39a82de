/**
 * S9: which length a take-over records, from the answers to its seals. Pure arithmetic, so that the rule stands in one
 * place.
 */
import { assert } from '../../../base/assert.ts';
import type { Uuid } from '../../../base/ids.ts';
import type { SealAnswer } from '../../../codec/logger-protocol.ts';

export type SealDecision =
  | { readonly kind: 'length'; readonly length: number; readonly holders: readonly Uuid[] }
  | { readonly kind: 'wait'; readonly reason: string };

/**
 * `unsound`: answered, but turned out damaged below its own length. `watermark`: what the taker itself has applied of
 * this zone, which was committed. `complete`: every replica on the open zone's list has answered (or was declared
 * lost).
 */
export function sealLength(
  answers: ReadonlyMap<Uuid, SealAnswer>,
  unsound: ReadonlySet<Uuid>,
  watermark: number,
  complete: boolean,
): SealDecision {
  const all = [...answers].filter(([logger]) => !unsound.has(logger));
  const seen = [...answers.values()].reduce((most, answer) => Math.max(most, answer.seen), watermark);
  const sound = all.filter(([, answer]) => !answer.doubtful && answer.length >= seen);
  if (sound.length > 0) return decided(Math.min(...sound.map(([, answer]) => answer.length)), seen, all);
  if (!complete) return { kind: 'wait', reason: 'every answer is doubtful and a replica has not answered' };
  const longest = all.reduce((most, [, answer]) => Math.max(most, answer.length), 0);
  // Never below what is known to be committed: it would skip an acknowledged write.
  if (longest < seen || all.length === 0)
    return { kind: 'wait', reason: `committed up to ${seen}, but the longest intact copy ends at ${longest}` };
  return decided(longest, seen, all);
}

function decided(length: number, seen: number, all: readonly (readonly [Uuid, SealAnswer])[]): SealDecision {
  assert(length >= seen, 'S9 the length is never below what was committed');
  const holders = all.filter(([, answer]) => answer.length >= length).map(([logger]) => logger);
  assert(holders.length > 0, 'S10 somebody holds the zone');
  return { kind: 'length', length, holders };
}
