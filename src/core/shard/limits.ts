/** Limits of one shard in its gateway: what it queues, keeps in memory and moves at once. */
import { limits } from '../../base/limits.ts';

export interface ShardLimits {
  /** Writes that wait for a batch, reads that wait for a turn or a take-over; beyond it: `overloaded`. */
  readonly queueRecordsMax: number;
  readonly queueBytesMax: number;
  readonly batchRecordsMax: number;
  /** Tail that is kept between reading and applying it (S9); a longer one is read twice. */
  readonly tailKeptBytesMax: number;
  /** What a shorter copy may lack to be completed (S19), and the pieces of it. */
  readonly fillBytesMax: number;
  readonly fillPieceBytes: number;
  /** Log read at once; a longer batch is read as a whole all the same. */
  readonly logChunkBytes: number;
  /** Catch-up that is kept until the metadata tells of its zone (S14). */
  readonly earlyBytesMax: number;
}

export const shardLimits: ShardLimits = {
  queueRecordsMax: limits.shardQueueRecordsMax,
  queueBytesMax: limits.shardQueueBytesMax,
  batchRecordsMax: limits.batchRecordsMax,
  tailKeptBytesMax: limits.tailKeptBytesMax,
  fillBytesMax: limits.fillBytesMax,
  fillPieceBytes: limits.fillPieceBytes,
  logChunkBytes: limits.logChunkBytes,
  earlyBytesMax: 4 * limits.catchupBytesGathered,
};
