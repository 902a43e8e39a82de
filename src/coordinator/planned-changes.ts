/**
 * Changes of loggers that an operator orders: one is declared lost, drains, or drains no more. What each would cost is
 * judged by what the coordinator holds, before it is written; gateways learn of it by their watch. Whether a logger
 * still lives is for the caller to find out.
 */
import type { ShardId, Uuid, ZoneId } from '../base/ids.ts';
import { shardId } from '../base/ids.ts';
import { KvError } from '../base/errors.ts';
import { decodeHead, decodeSealedZone } from '../core/shard/head/metadata.ts';
import type { Coordinator } from './coordinator.ts';
import { listMembers } from './members.ts';
import type { Standings } from './standings.ts';
import { setStanding } from './standings.ts';

/** A zone as its shard's metadata list it: the open one, or one that ended. */
export interface ListedZone {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly isOpen: boolean;
  readonly replicas: readonly Uuid[];
}

/** Zones of all shards of which somebody holds something. @throws KvError `data-damaged`. @throws CoordinatorError */
export async function listZones(coordinator: Coordinator): Promise<readonly ListedZone[]> {
  const { entries } = await coordinator.list('shard/');
  return entries.flatMap(({ key, value }): ListedZone[] => {
    const match = /^shard\/(\d+)\/(head|zone\/\d+)$/.exec(key);
    if (match === null) return [];
    const shard = shardId(Number(match[1]));
    try {
      if (match[2] === 'head') return [{ shard, ...decodeHead(value).openZone, isOpen: true }];
      const { length, ...ended } = decodeSealedZone(value);
      return length === 0 ? [] : [{ shard, ...ended, isOpen: false }];
    } catch (error) {
      throw new KvError('data-damaged', `the coordinator's key '${key}' holds no metadata`, { cause: error });
    }
  });
}

/** Zones of which no other replica would be left that is not lost. */
export function lastCopies(zones: readonly ListedZone[], logger: Uuid, { lost }: Standings): readonly ListedZone[] {
  return zones.filter(
    ({ replicas }) => replicas.includes(logger) && replicas.every((other) => other === logger || lost.has(other)),
  );
}

/**
 * Declares that the logger will never return. Ended zones that no other holds are then lost with it: `force` says that
 * this is meant. An open zone that no other holds is never given up: where it ends nobody else knows, and an owner that
 * still reaches the logger would not be stopped (S4). Returns the zones whose last copy it was.
 * @throws KvError `last-copy`, `data-damaged`. @throws CoordinatorError
 */
export async function declareLost(
  coordinator: Coordinator,
  logger: Uuid,
  force: boolean,
): Promise<readonly ListedZone[]> {
  let last: readonly ListedZone[] = [];
  await setStanding(coordinator, logger, 'lost', async (known) => {
    last = lastCopies(await listZones(coordinator), logger, known);
    const open = last.filter(({ isOpen }) => isOpen);
    if (open.length > 0) throw new KvError('last-copy', openMessage(logger, open));
    if (last.length > 0 && !force) throw new KvError('last-copy', endedMessage(logger, last));
  });
  return last;
}

function openMessage(logger: Uuid, zones: readonly ListedZone[]): string {
  return (
    `logger ${logger} is the only replica left of an open zone (${namesOf(zones)}): nobody else knows where it ends, so ` +
    'that it cannot be given up. Bring the logger back, or another that was written with it and was declared lost'
  );
}

function endedMessage(logger: Uuid, zones: readonly ListedZone[]): string {
  return (
    `logger ${logger} holds the only copy of ${countOf(zones)} (${namesOf(zones)}): what was written there is lost with ` +
    'it, reads of those keys fail as damaged, and a gateway that has not applied these zones yet cannot serve their ' +
    'shards. Say --force if that is meant'
  );
}

export function countOf(zones: readonly ListedZone[]): string {
  return zones.length === 1 ? '1 zone' : `${zones.length} zones`;
}

const namesMax = 8;

export function namesOf(zones: readonly ListedZone[]): string {
  const names = zones.slice(0, namesMax).map(({ shard, zone }) => `shard ${shard} zone ${zone}`);
  return [...names, ...(zones.length > namesMax ? [`${zones.length - namesMax} more`] : [])].join(', ');
}

/**
 * Orders that the logger gets nothing new and that others get what it holds. `replicas`: copies that zones are to have.
 * @throws KvError `too-few-loggers`, `logger-lost`, `data-damaged`. @throws CoordinatorError
 */
export async function drainLogger(coordinator: Coordinator, logger: Uuid, replicas: number): Promise<void> {
  await setStanding(coordinator, logger, 'draining', async ({ draining, lost }) => {
    const { loggers } = await listMembers(coordinator);
    const staying = new Set(loggers.map(({ uuid }) => uuid).filter((one) => !draining.has(one) && !lost.has(one)));
    staying.delete(logger);
    if (staying.size >= replicas) return;
    const left = staying.size === 1 ? '1 logger' : `${staying.size} loggers`;
    throw new KvError(
      'too-few-loggers',
      `${left} would stay, and zones are to have ${replicas} replicas: add a logger first, or lower \`replicas\``,
    );
  });
}

/** Takes the order back: what it still holds counts again. @throws KvError `logger-lost`. @throws CoordinatorError */
export async function undrainLogger(coordinator: Coordinator, logger: Uuid): Promise<void> {
  await setStanding(coordinator, logger, 'member', () => Promise.resolve());
}
