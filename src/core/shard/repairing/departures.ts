/**
 * Loggers that are to leave lists: those that drain, and those that are lost. Their copies count as missing, so that
 * others are made (missing.ts); only when as many others as wanted are listed, and connected, is one taken off (S10).
 *
 * It owns who is taken off which list next. It does not own the copies, nor the transaction (repairer.ts).
 */
import type { Uuid, ZoneId } from '../../../base/ids.ts';
import type { SealedZone } from '../head/metadata.ts';
import type { Presence } from './missing.ts';

/** A logger that is to leave the list of a zone. */
export interface Departure {
  readonly zone: ZoneId;
  readonly logger: Uuid;
}

/** The next of them; undefined: nobody can go yet, or is to. */
export function nextDeparture(zones: readonly SealedZone[], wanted: number, loggers: Presence): Departure | undefined {
  for (const { zone, replicas } of zones) {
    const logger = replicas.find((one) => loggers.isLeaving(one));
    if (logger !== undefined && countStaying(replicas, loggers) >= wanted) return { zone, logger };
  }
  return undefined;
}

function countStaying(replicas: readonly Uuid[], loggers: Presence): number {
  return replicas.filter((logger) => loggers.isUp(logger) && !loggers.isLeaving(logger)).length;
}

/** List of the zone without the logger; undefined: it is not on it any more, or it must stay after all. */
export function withoutDeparted(
  { zone, replicas }: SealedZone,
  departure: Departure,
  wanted: number,
  loggers: Presence,
): readonly Uuid[] | undefined {
  const isListed = zone === departure.zone && replicas.includes(departure.logger);
  if (!isListed || !loggers.isLeaving(departure.logger) || countStaying(replicas, loggers) < wanted) return undefined;
  return replicas.filter((logger) => logger !== departure.logger);
}
