/**
 * Limits of one gateway that nobody sets: all that bounds its memory and its steps, by part. Given to a gateway as a
 * whole, so that a simulation can walk by little what takes much otherwise; the numbers stand in base/limits.ts, what
 * they mean at their parts.
 */
import { assert } from '../base/assert.ts';
import { limits } from '../base/limits.ts';
import type { SnapshotLimits } from '../core/index/index-snapshot.ts';
import { snapshotLimits } from '../core/index/index-snapshot.ts';
import type { OnceLimits } from '../core/once/once-table.ts';
import { onceLimits } from '../core/once/once-table.ts';
import type { ShardLimits } from '../core/shard/limits.ts';
import { shardLimits } from '../core/shard/limits.ts';
import type { ConnectionLimits } from '../rpc/options.ts';
import { connectionLimits } from '../rpc/options.ts';
import type { ForwardLimits } from './forward-budget.ts';
import { forwardLimits } from './forward-budget.ts';
import type { HeldLimits } from './held-requests.ts';
import { heldLimits } from './held-requests.ts';
import type { OutboxLimits } from './loggers/outbox.ts';
import { outboxLimits } from './loggers/outbox.ts';
import type { CatchUpLimits } from './peers/peer-links.ts';
import { catchUpLimits } from './peers/peer-links.ts';
import type { BudgetLimits } from './shards/read-budget.ts';
import { readLimits } from './shards/read-budget.ts';

export interface GatewayLimits {
  readonly shard: ShardLimits;
  /** Clients and their numbers (S15). All gateways of a cluster have the same. */
  readonly once: OnceLimits;
  /** Client ids that are taken from the coordinator at once. */
  readonly clientIdsLeased: number;
  readonly snapshots: SnapshotLimits;
  /** Requests whose shard has no owner in reach, and writes whose client id is looked up. */
  readonly held: HeldLimits;
  readonly forwards: ForwardLimits;
  readonly reads: BudgetLimits;
  readonly catchUp: CatchUpLimits;
  /** Messages to one logger. */
  readonly outbox: OutboxLimits;
  /** Connections of clients and of other gateways. */
  readonly connections: ConnectionLimits;
}

export const gatewayLimits: GatewayLimits = {
  shard: shardLimits,
  once: onceLimits,
  clientIdsLeased: limits.clientIdsLeased,
  snapshots: snapshotLimits,
  held: heldLimits,
  forwards: forwardLimits,
  reads: readLimits,
  catchUp: catchUpLimits,
  outbox: outboxLimits,
  connections: connectionLimits,
};

assert(gatewayLimits.once.window === limits.clientWindow, 'clients are told the window that shards keep');
