/**
 * What faults that spoil a logger's disk look at before they act, so that what was promised can still be demanded: one
 * disk of a life is spoilt, and what it holds another logger holds as well (budget.ts).
 */
import type { Uuid } from '../../src/base/ids.ts';
import type { LoggerNode } from '../../src/logger/logger.ts';
import type { SimulatedNode } from '../node.ts';
import type { Stage } from './actor.ts';
import { listsOf, shardsOf, type ShardEntries } from './shard-entries.ts';

/** Whether a shard is being taken over: the answers of one logger may be all that the taker has heard. */
export function isTaking(stage: Stage, shards: ReadonlyMap<number, ShardEntries>): boolean {
  const lines = stage.everyNode.flatMap(({ gateway }) =>
    gateway === undefined ? [] : gateway.status().shards.map((line) => ({ ...line, instance: gateway.instance })),
  );
  if (lines.some(({ role }) => role === 'taking')) return true;
  const isServed = ([shard, { head }]: readonly [number, ShardEntries]): boolean =>
    head.openZone.epoch === head.epoch &&
    lines.some((line) => line.shard === shard && line.role === 'owner' && line.instance === head.owner.instance);
  return ![...shards].every(isServed);
}

/** Whether each zone that lists `logger` lists one that is not among `unsound`, too: loggers whose disk was spoilt. */
export function isElsewhere(
  logger: Uuid,
  shards: ReadonlyMap<number, ShardEntries>,
  unsound: ReadonlySet<Uuid> = new Set(),
): boolean {
  return listsOf(shards).every(({ replicas }) => !replicas.includes(logger) || hasOther(replicas, logger, unsound));
}

/**
 * Whether each open zone that lists `logger` has a copy that was not found by a restart at another one: what power
 * losses left of those may be in doubt at every logger, and a take-over would wait for this one for ever (S9).
 */
function isSureElsewhere(stage: Stage, logger: Uuid, shards: ReadonlyMap<number, ShardEntries>): boolean {
  const others = stage.everyNode.flatMap(({ logger: other }) =>
    other === undefined || other.uuid === logger ? [] : [other],
  );
  return [...shards].every(([shard, { head }]) => {
    const { zone, replicas } = head.openZone;
    const isSure = (other: LoggerNode): boolean =>
      replicas.includes(other.uuid) &&
      !other.zones().some((copy) => copy.shard === shard && copy.zone === zone && copy.state === 'restarted');
    return !replicas.includes(logger) || others.some(isSure);
  });
}

export function hasOther(replicas: readonly Uuid[], logger: Uuid, unsound: ReadonlySet<Uuid>): boolean {
  return replicas.some((other) => other !== logger && !unsound.has(other));
}

/** Whether all that the node's logger holds is safe elsewhere now, so that it may go for good. */
export function mayGo(stage: Stage, { disk }: SimulatedNode, logger: Uuid): boolean {
  const shards = shardsOf(stage.coordinator.snapshot());
  if (isTaking(stage, shards) || !isElsewhere(logger, shards, stage.reversals.unsound)) return false;
  return isSureElsewhere(stage, logger, shards) && stage.reversals.maySpoil(disk);
}

/** Times that a moment is looked for in which a disk may be spoilt. */
const triesMax = 20;
const againMs = 50;

/** Tries until `spoil` has done it. `settled` is told whether it did. */
export function spoilSoon(
  stage: Stage,
  spoil: () => boolean,
  settled: (isDone: boolean) => void,
  tries = triesMax,
): void {
  const isDone = spoil();
  if (isDone || tries <= 1) return settled(isDone);
  stage.later(againMs, () => spoilSoon(stage, spoil, settled, tries - 1));
}
