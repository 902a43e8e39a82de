/** How long a process that is starting waits for replicas that it has not met yet: they are likely to start, too. */
import type { Uuid } from '../../../base/ids.ts';
import type { ShardSettings } from '../events.ts';
import type { Loggers } from '../loggers.ts';

/** A process that has been connected for so many cold waits is not starting any more. */
const coldTimes = 10;

/** Whether it is worth to wait for the logger. `startedMs`: when the take-over began, however often it asks. */
export function mayStillCome(
  logger: Uuid,
  loggers: Loggers,
  { coldSealWaitMs }: Pick<ShardSettings, 'coldSealWaitMs'>,
  startedMs: number,
  nowMs: number,
): boolean {
  if (loggers.hasMet(logger) || loggers.isLost(logger)) return false;
  const { firstUpMs } = loggers;
  const isCold = firstUpMs === undefined || startedMs < firstUpMs + coldTimes * coldSealWaitMs;
  return isCold && nowMs < startedMs + coldSealWaitMs;
}
