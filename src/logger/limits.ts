/**
 * Limits of one logger that nobody sets. Given to a logger as a whole, so that a simulation can walk by little what
 * takes much otherwise.
 */
import { limits } from '../base/limits.ts';
import { scanChunkBytes } from '../core/logger/scan-window.ts';
import type { ConnectionLimits } from '../rpc/options.ts';
import { connectionLimits } from '../rpc/options.ts';

export interface LoggerLimits {
  /** Zones of a shard that the answer to a seal tells of, the newest ones (S20). */
  readonly knownZonesMax: number;
  /** Zone that is scanned at once; a longer batch is read as a whole. */
  readonly scanChunkBytes: number;
  /** Length of the metadata log at which a checkpoint begins another. */
  readonly metadataGrownBytes: number;
  /** Reads in the thread pool at once. */
  readonly coldReadsMax: number;
  /** Connections of gateways. */
  readonly connections: ConnectionLimits;
}

export const loggerLimits: LoggerLimits = {
  knownZonesMax: limits.knownZonesMax,
  scanChunkBytes,
  metadataGrownBytes: limits.metadataGrownBytes,
  coldReadsMax: limits.coldReadsMax,
  connections: connectionLimits,
};
