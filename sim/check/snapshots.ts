/**
 * What a gateway that starts has of a shard, from its snapshot, holds every result up to the watermark that a client
 * may still ask for (S15). The results are counted anew from what owners commit. Clients see what is missing only when
 * they send such a write again at a gateway that owns the shard by then.
 */
import type { OnceTable } from '../../src/core/once/once-table.ts';
import type { LogPosition, ShardEffect } from '../../src/core/shard/events.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { Coverage } from '../coverage.ts';
import { Violation } from './violation.ts';

/** Numbered write that was committed, and the end of its batch. */
interface Numbered {
  readonly end: LogPosition;
  readonly client: OnceClient;
  readonly number: number;
}

type OnceClient = Parameters<OnceTable['stateOf']>[0];
type Results = Pick<OnceTable, 'stateOf'>;

/** Judges what shards begin with. */
export function watchSnapshots(coverage: Coverage, onViolation: (violation: Violation) => void): ShardTrace {
  const known = new WeakSet<object>();
  const committed = new CommittedNumbers();
  return {
    before(shard) {
      if (known.has(shard)) return;
      known.add(shard);
      const { shard: number, position, once } = shard.state;
      if (position.zone === 0) return;
      coverage.count('index loaded from a snapshot');
      const lacking = committed.lackingOf(number, position, once);
      if (lacking !== undefined) onViolation(new Violation(`S15 shard ${number}: a snapshot lacks ${lacking}`));
    },
    after({ state }, _event, effects) {
      for (const effect of effects) if (effect.effect === 'committed') committed.add(state.shard, effect);
    },
  };
}

/** Numbers of all writes that owners committed. */
export class CommittedNumbers {
  readonly #shards = new Map<number, Numbered[]>();

  add(
    shard: number,
    { zone, end, writes }: Pick<Extract<ShardEffect, { effect: 'committed' }>, 'zone' | 'end' | 'writes'>,
  ): void {
    let numbers = this.#shards.get(shard);
    if (numbers === undefined) this.#shards.set(shard, (numbers = []));
    for (const { client, number } of writes)
      if (client !== 0) numbers.push({ end: { zone, offset: end }, client, number });
  }

  /** Something that is missing where all up to `watermark` should be; undefined: nothing. */
  lackingOf(shard: number, watermark: LogPosition, once: Results): string | undefined {
    const loaded = new Map<OnceClient, ReturnType<typeof loadedOf>>();
    for (const { end, client, number } of this.#shards.get(shard) ?? []) {
      if (!isUpTo(end, watermark)) continue;
      let results = loaded.get(client);
      if (results === undefined) loaded.set(client, (results = loadedOf(once, client)));
      if (number >= results.first && !results.numbers.has(number)) return `request ${number} of client ${client}`;
    }
    return undefined;
  }
}

function isUpTo({ zone, offset }: LogPosition, watermark: LogPosition): boolean {
  return zone < watermark.zone || (zone === watermark.zone && offset <= watermark.offset);
}

/** Results of a client that are asked for: none of one that is forgotten, in whole or in part. */
function loadedOf(
  once: Results,
  client: OnceClient,
): { readonly first: number; readonly numbers: ReadonlySet<number> } {
  const state = once.stateOf(client);
  if (state === undefined || state.partial) return { first: Number.POSITIVE_INFINITY, numbers: new Set() };
  return { first: state.first, numbers: new Set(state.results.map(({ number }) => number)) };
}
