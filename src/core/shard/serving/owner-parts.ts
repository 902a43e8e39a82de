/** Surroundings of an owner: what it shares with its shard, and what it tells of itself. */
import type { Epoch, Uuid, ZoneId } from '../../../base/ids.ts';
import type { ShardEffect, ShardSettings } from '../events.ts';
import type { ShardState } from '../following/apply.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';
import type { Owner } from '../head/metadata.ts';
import type { Loggers } from '../loggers.ts';
import type { WriteQueue } from './write-queue.ts';

/** What heartbeats tell of an owner, many times a second. */
export interface Reign {
  readonly epoch: Epoch;
  /** Nothing commits, and space is not what is wanting: another gateway may do better. */
  readonly stuck: boolean;
}

export interface OwnerStatus extends Reign {
  readonly zone: ZoneId;
  readonly replicas: readonly Uuid[];
  readonly committed: number;
  readonly queued: number;
  readonly changing: string | undefined;
  readonly full: boolean;
}

/** What an owner shares with the shard that it belongs to. */
export interface OwnerParts {
  readonly state: ShardState;
  readonly self: Owner;
  readonly settings: ShardSettings;
  readonly loggers: Loggers;
  readonly keeper: HeadKeeper;
  readonly queue: WriteQueue;
  readonly effects: ShardEffect[];
}
