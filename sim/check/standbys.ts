/**
 * Standbys and the owner of a shard, at the same watermark, hold the same: index (S14), once-only results and floor
 * (S15), and shard time (S18). What a standby lacks is seen by clients only after it has taken over, and then seldom.
 *
 * Only the newest owner is compared: a snapshot may tell of later records than its watermark, and a standby that has
 * loaded it may know them where an owner of before does not.
 */
import type { Uuid } from '../../src/base/ids.ts';
import type { OnceTable } from '../../src/core/once/once-table.ts';
import type { ShardState } from '../../src/core/shard/following/apply.ts';
import type { KeyIndex } from '../../src/core/index/key-index.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import { Violation } from './violation.ts';

/** Part of a shard that is compared. */
export interface Compared {
  readonly role: string;
  readonly status: { readonly owner?: { readonly epoch: number } | undefined };
  readonly state: Pick<ShardState, 'shard' | 'position' | 'shardTimeMs' | 'index' | 'once'> & {
    readonly cluster: Uuid;
  };
}

/** Shards of the processes that live: those that step. */
export class Standbys {
  readonly #living = new Set<Compared>();
  /** Newest epoch that was served, by shard. */
  readonly #epochs = new Map<number, number>();

  get trace(): ShardTrace {
    return {
      before: (shard) => void this.#living.add(shard),
      after: () => undefined,
    };
  }

  /** From now on who steps lives. */
  forget(): void {
    this.#living.clear();
  }

  /** Compares all that have stepped since `forget`, and gives how many standbys were. @throws Violation */
  compare(): number {
    let count = 0;
    for (const owner of this.#newestOwners()) {
      for (const standby of this.#living) {
        if (standby === owner || !isAtOnePlace(owner, standby)) continue;
        const difference = differenceOf(owner.state, standby.state);
        if (difference !== undefined) throw new Violation(difference);
        count += 1;
      }
    }
    return count;
  }

  #newestOwners(): Compared[] {
    const owners = [...this.#living].filter(({ role }) => role === 'owner');
    const epochOf = ({ status }: Compared): number => status.owner?.epoch ?? 0;
    for (const owner of owners) {
      const { shard } = owner.state;
      this.#epochs.set(shard, Math.max(epochOf(owner), this.#epochs.get(shard) ?? 0));
    }
    return owners.filter((owner) => epochOf(owner) === this.#epochs.get(owner.state.shard));
  }
}

function isAtOnePlace({ state: one }: Compared, { state: other }: Compared): boolean {
  const { zone, offset } = one.position;
  return one.shard === other.shard && zone === other.position.zone && offset === other.position.offset;
}

/** What is not the same; undefined: nothing. */
export function differenceOf(owner: Compared['state'], standby: Compared['state']): string | undefined {
  const { zone, offset } = owner.position;
  const where = `shard ${owner.shard} at ${offset} of zone ${zone}`;
  const key = firstDifference(entriesOf(owner.index), entriesOf(standby.index));
  if (owner.shardTimeMs !== standby.shardTimeMs)
    return `S18 ${where}: the owner has time ${owner.shardTimeMs} and a standby ${standby.shardTimeMs}`;
  if (key !== undefined) return `S14 ${where}: owner and standby differ in the key ${key}`;
  const [forgotten, others] = [forgottenBy(owner.once), forgottenBy(standby.once)];
  if (forgotten !== others) return `S15 ${where}: the owner has forgotten clients ${forgotten} and a standby ${others}`;
  const client = firstDifference(...resultsOf(owner.once, standby.once));
  return client === undefined ? undefined : `S15 ${where}: owner and standby differ in what they know of ${client}`;
}

/** Floor and ranges above it. */
function forgottenBy({ floor, forgottenRanges }: OnceTable): string {
  return [`0-${floor}`, ...forgottenRanges.map(({ low, high }) => `${low}-${high}`)].join(' ');
}

/** Name with what they say of it. */
function firstDifference(owner: ReadonlyMap<string, string>, standby: ReadonlyMap<string, string>): string | undefined {
  for (const name of new Set([...owner.keys(), ...standby.keys()])) {
    const [one, other] = [owner.get(name) ?? 'nothing', standby.get(name) ?? 'nothing'];
    if (one !== other) return `${name}: ${one} and ${other}`;
  }
  return undefined;
}

function entriesOf(index: KeyIndex): Map<string, string> {
  const entries = new Map<string, string>();
  for (const id of index.entries(0, index.entryIdEnd)) {
    const place = `version ${index.versionOf(id)} at ${index.lbaOf(id)} of ${index.lengthOf(id)} bytes`;
    entries.set(Buffer.from(index.keyOf(id)).toString('latin1'), `${place}, ${index.valueLengthOf(id)} of them value`);
  }
  return entries;
}

/**
 * Results of both by client, as far as both may still be asked for them: an owner forgets numbers by what it has begun,
 * too, and that may never have become a record.
 */
function resultsOf(owner: OnceTable, standby: OnceTable): readonly [Map<string, string>, Map<string, string>] {
  const found = [new Map<string, string>(), new Map<string, string>()] as const;
  for (const client of new Set([...owner.clientIds(), ...standby.clientIds()])) {
    const states = [owner.stateOf(client), standby.stateOf(client)] as const;
    const first = Math.max(...states.map((state) => state?.first ?? 0));
    for (const [side, state] of states.entries())
      if (state !== undefined) found[side]?.set(`client ${client}`, textOf(state.results, first));
  }
  return found;
}

type Results = NonNullable<ReturnType<OnceTable['stateOf']>>['results'];

function textOf(results: Results, first: number): string {
  const known = results.filter(({ number }) => number >= first);
  const texts = known.map(({ number, kind, version, reply }) => {
    const answer = reply === undefined ? '' : ` ${Buffer.from(reply).toString('hex')}`;
    return `${number}=${kind}@${version}${answer}`;
  });
  return texts.length === 0 ? 'no results' : texts.join();
}
