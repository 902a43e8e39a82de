/**
 * What a gateway is given: its place in the cluster, its settings, its world; and what who started it can do with it.
 */
import type { InstanceId, ShardId, Uuid } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { GatewayStatus } from '../codec/node-status.ts';
import type { ClusterRecord } from '../coordinator/cluster-record.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import type { ShardSettings } from '../core/shard/events.ts';
import type { ShardTrace } from '../core/shard/trace.ts';
import type { Environment } from '../env/environment.ts';
import type { Address } from '../env/network.ts';
import type { GatewayLimits } from './limits.ts';

export interface GatewayOptions {
  /** Number of the gateway among the members, from 0. */
  readonly id: number;
  /** Gateways that the cluster is expected to have: numbers below it are members before they have come. */
  readonly gatewayCount: number;
  readonly folder: string;
  readonly cluster: ClusterRecord;
  readonly clientAddress: Address;
  readonly peerAddress: Address;
  /** Replicas wanted for each zone; fewer when fewer loggers live, down to `minReplicas`. */
  readonly replicas: number;
  readonly minReplicas: number;
  /** Bytes; 0: no value cache. */
  readonly valueCacheBytes: number;
  /**
   * Bytes of log applied after which a snapshot of a shard's index is taken, earlier when the index is smaller.
   */
  readonly snapshotEveryBytes: number;
  readonly loggerTimeoutMs: number;
  /** Default 500 ms: a replica that owes for so long what another has answered is left. */
  readonly loggerSlowMs?: number;
  readonly firstHandWaitMs?: number;
  readonly repairDelayMs?: number;
  readonly repairBytesPerSecond?: number;
  /** Default 4 MiB a second; 0: copies of ended zones are not scrubbed. */
  readonly scrubBytesPerSecond?: number;
  /** Default a day: a round of the scrub begins so long after the one before. */
  readonly scrubEveryMs?: number;
  /** Bounds of the silence after which another gateway is taken for lost. */
  readonly suspicionLeastMs?: number;
  readonly suspicionMostMs?: number;
  readonly shardSettings?: Partial<ShardSettings>;
  /** Default: `gatewayLimits`. */
  readonly limits?: GatewayLimits;
}

export type GatewayWorld = Environment & {
  readonly coordinator: Coordinator;
  readonly log: Log;
  /** Sees every step of every shard; nobody does by default. */
  readonly trace?: ShardTrace;
};

export interface GatewayNode {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
  readonly clientAddress: Address;
  readonly peerAddress: Address;
  status(): GatewayStatus;
  /** Asks the shard's owner for it. Whether it comes shows in `status`. */
  move(shard: ShardId): void;
  /**
   * Hands its shards over to other gateways, so that no request need wait for its end: the first step of an orderly
   * stop, `close` is the second. Settles after 2 s at the latest. Takes nothing from then on.
   */
  leave(): Promise<void>;
  /** Stops serving, writes snapshots, lets go of everything. Idempotent. */
  close(): Promise<void>;
}
