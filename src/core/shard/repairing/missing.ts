/**
 * What lacks copies: zones that ended with fewer holders than wanted, because a replica failed while they were written,
 * or a holder is gone. Pure, of the metadata and of who is there.
 */
import type { ShardId, Uuid } from '../../../base/ids.ts';
import { rendezvousOrder } from '../../rendezvous.ts';
import type { SealedZone } from '../head/metadata.ts';

/** Loggers as repair sees them. */
export interface Presence {
  isUp(logger: Uuid): boolean;
  /** It is there, or not away for long enough to be given up. */
  isExpected(logger: Uuid): boolean;
  /** It is to leave the lists: what it holds is to be held by others (loggers that drain, or are lost). */
  isLeaving(logger: Uuid): boolean;
  /** Loggers that take new zones. */
  readonly usable: readonly Uuid[];
}

/** Copy to be made: all of `zone`, at `target`. */
export interface CopyTask {
  readonly zone: SealedZone;
  readonly target: Uuid;
}

/** Copies that are wanted, for the operator. */
export function lackingCopies(zones: readonly SealedZone[], wanted: number, loggers: Presence): number {
  return zones.reduce((sum, zone) => sum + lackOf(zone, wanted, loggers), 0);
}

/**
 * The copy to be made next: of the zone with the fewest holders, the oldest of these, of which another holder is there.
 * A former holder has most of it; else the target goes by rendezvous order, so that copies spread. `isRefused`: tried
 * lately, in vain.
 */
export function nextCopy(
  shard: ShardId,
  zones: readonly SealedZone[],
  wanted: number,
  loggers: Presence,
  isRefused: (task: CopyTask) => boolean,
): CopyTask | undefined {
  let best: CopyTask | undefined;
  let bestLack = 0;
  for (const zone of zones) {
    const lack = lackOf(zone, wanted, loggers);
    if (lack <= bestLack || !zone.replicas.some((logger) => loggers.isUp(logger))) continue;
    const target = targetsOf(shard, zone, loggers).find((logger) => !isRefused({ zone, target: logger }));
    if (target === undefined) continue;
    best = { zone, target };
    bestLack = lack;
  }
  return best;
}

/** Copies that a zone lacks: none when it ended empty. */
function lackOf({ length, replicas }: SealedZone, wanted: number, loggers: Presence): number {
  if (length === 0) return 0;
  const counts = (logger: Uuid): boolean => loggers.isExpected(logger) && !loggers.isLeaving(logger);
  return Math.max(0, wanted - replicas.filter(counts).length);
}

function targetsOf(shard: ShardId, { zone, replicas, former }: SealedZone, loggers: Presence): Uuid[] {
  const others = loggers.usable.filter((logger) => !replicas.includes(logger));
  const byName = new Map<string, Uuid>(others.map((logger) => [logger, logger]));
  const ordered = rendezvousOrder(`${shard}/${zone}`, others).flatMap((name) => byName.get(name) ?? []);
  return [...ordered.filter((logger) => former.includes(logger)), ...ordered.filter((one) => !former.includes(one))];
}
