/**
 * `verify --repair`: tells the owners of damaged copies, and waits until those are made anew. Nothing is written here:
 * each owner reads the copy itself before it believes it, and repairs it from the others (decision 0020).
 */
import { times } from '../base/times.ts';
import { pause } from '../env/clock.ts';
import { operatingError } from './errors.ts';
import type { CliIo } from './io.ts';
import { suspectCopies } from './node-calls.ts';
import type { ClusterView } from './status.ts';
import type { CopyReading, VerifiedCopy } from './verify-copies.ts';
import { copyName, listedCopies, zonesToVerify } from './verify-copies.ts';

export interface RepairedCopy {
  readonly copy: VerifiedCopy;
  /**
   * `replaced`: another copy is listed in its place. `sound`: it was read again, and is good. `waits`: its zone is
   * open, and its owner looks at it when that has ended. `alone`: no other copy is listed. `damaged`: it still is.
   */
  readonly outcome: 'replaced' | 'sound' | 'waits' | 'alone' | 'damaged';
}

export interface RepairParts {
  readonly look: () => Promise<ClusterView>;
  readonly reading: CopyReading;
  readonly timeoutMs: number;
  /** Time without one more copy that was made anew, after which it is given up. */
  readonly waitMs: number;
  readonly onDone: (done: number) => void;
}

/** How many are sound now. */
export function curedCount(repaired: readonly RepairedCopy[] = []): number {
  return repaired.filter(({ outcome }) => outcome === 'replaced' || outcome === 'sound').length;
}

/** One outcome for each copy. @throws KvError `unavailable`, `connection-lost`, `timeout`, `protocol-error` */
export async function repairCopies(
  io: CliIo,
  parts: RepairParts,
  damaged: readonly VerifiedCopy[],
): Promise<readonly RepairedCopy[]> {
  const { clock } = io.environment;
  const before = copyIds(await parts.look());
  const pending = new Set(damaged.filter(({ zone }) => !zone.isOpen && zone.replicas.length > 1));
  const replaced = new Set<VerifiedCopy>();
  let untold = damaged;
  let toldMs = clock.now();
  let progressMs = clock.now();
  for (;;) {
    const view = await parts.look();
    untold = await tell(io, view, untold, parts.timeoutMs);
    for (const copy of await replacedIn(io, view, before, pending, parts.timeoutMs)) {
      pending.delete(copy);
      replaced.add(copy);
      progressMs = clock.now();
    }
    parts.onDone(replaced.size);
    if (pending.size === 0 && untold.length === 0) break;
    if (clock.now() - progressMs >= parts.waitMs) break;
    await pause(clock, times.verifyLookMs);
    if (clock.now() - toldMs < times.repairAgainMs) continue;
    // Suspicions are bounded, and go with their owner: a new one has not heard of them.
    untold = [...new Set([...untold, ...pending])];
    toldMs = clock.now();
  }
  const view = await parts.look();
  const outcomeOf = async (copy: VerifiedCopy): Promise<RepairedCopy> => {
    const outcome = replaced.has(copy) ? 'replaced' : await lookAgain(parts.reading, view, copy);
    return { copy, outcome };
  };
  return await Promise.all(damaged.map(outcomeOf));
}

/** Gives those that could not be told: their shards have no owner just now, or it does not answer. */
async function tell(
  { environment }: CliIo,
  { gateways }: ClusterView,
  copies: readonly VerifiedCopy[],
  timeoutMs: number,
): Promise<readonly VerifiedCopy[]> {
  const told = new Set<VerifiedCopy>();
  for (const answer of gateways) {
    if (!answer.ok) continue;
    const { gateway, shards } = answer.value;
    const own = copies.filter(({ zone }) => shards[zone.shard]?.owner === gateway);
    const named = own.map((copy) => ({ shard: copy.zone.shard, zone: copy.zone.zone, replica: copy.replica, copy }));
    try {
      const noticed = named.length === 0 ? [] : await suspectCopies(environment, answer.address, named, timeoutMs);
      for (const { copy } of noticed) told.add(copy);
    } catch (error) {
      if (operatingError(error)?.retryable !== true) throw error;
    }
  }
  return copies.filter((copy) => !told.has(copy));
}

/** Those of `pending` in whose place their loggers are listed for copies of other names. */
async function replacedIn(
  io: CliIo,
  view: ClusterView,
  before: ReadonlyMap<string, string>,
  pending: ReadonlySet<VerifiedCopy>,
  timeoutMs: number,
): Promise<readonly VerifiedCopy[]> {
  if (pending.size === 0) return [];
  const now = copyIds(view);
  const listed = listedCopies(await zonesToVerify(io, view, timeoutMs));
  return [...pending].filter((copy) => {
    const name = copyName(copy);
    return listed.has(name) && now.has(name) && now.get(name) !== before.get(name);
  });
}

function copyIds({ loggers }: ClusterView): ReadonlyMap<string, string> {
  const ids = loggers.flatMap((answer) => {
    if (!answer.ok) return [];
    const { status, zones } = answer.value;
    return zones.map(({ shard, zone, copyId }) => [`${shard}/${zone}/${status.logger}`, copyId] as const);
  });
  return new Map(ids);
}

async function lookAgain(
  reading: CopyReading,
  view: ClusterView,
  { zone, replica }: VerifiedCopy,
): Promise<RepairedCopy['outcome']> {
  if (zone.isOpen) return 'waits';
  const [copy] = await reading.zone(view, { ...zone, replicas: [replica] });
  if (copy?.finding.kind === 'sound') return 'sound';
  return zone.replicas.length === 1 ? 'alone' : 'damaged';
}
