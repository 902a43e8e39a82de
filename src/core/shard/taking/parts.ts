/** The shard as its take-over sees it. */
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
