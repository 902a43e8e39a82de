/** The shard as its take-over sees it. */
import type { Uuid } from '../../../base/ids.ts';
import type { ShardEffect, ShardSettings } from '../events.ts';
import type { ShardState } from '../following/apply.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';
import type { Owner } from '../head/metadata.ts';
import type { Loggers } from '../loggers.ts';

/** What a take-over shares with the shard that it belongs to. */
export interface TakeoverParts {
  readonly state: ShardState;
  readonly self: Owner;
  readonly settings: ShardSettings;
  readonly loggers: Loggers;
  readonly keeper: HeadKeeper;
  readonly effects: ShardEffect[];
}

/** What a take-over waits for, for the operator and for other gateways. */
export interface TakeoverWait {
  readonly reason: string;
  /** Loggers that would end it. */
  readonly loggers: readonly Uuid[];
  /** Copies of the zone are missing, so that nobody else could do better (S9). */
  readonly lacksCopies: boolean;
}
