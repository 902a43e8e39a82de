/**
 * Heartbeats between gateways (docs/protocol.md), on a connection of their own:
 *   heartbeat [reports]  ->  reports
 *   reports = [[shard, epoch, condition], ...]
 * Both sides tell of the shards that they own or are taking over, each in the epoch that they know; conditions are the
 * places of their names in `shardConditions`. Readers throw MessageFormatError when a message has another form.
 */
import type { ShardId } from '../base/ids.ts';
import { shardId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { arrayOf, natural } from './message-parts.ts';
import { MessageFormatError } from './message-reader.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export const heartbeatMethod = 'heartbeat';

/**
 * Conditions of a shard, as its owner says: it commits, it is on the way to it, it can't, its metadata went back and it
 * waits for the operator (S20), it commits and its owner is about to stop, its take-over waits for copies of a zone
 * (S9), or no logger answers who has it. The places are part of the protocol.
 */
export const shardConditions = ['serving', 'taking', 'stuck', 'stopped', 'leaving', 'waiting', 'cut-off'] as const;
export type ShardCondition = (typeof shardConditions)[number];

export interface ShardReport {
  readonly shard: ShardId;
  /** 0: not known yet. */
  readonly epoch: number;
  readonly condition: ShardCondition;
}

export function writeHeartbeat(out: MessageWriter, reports: readonly ShardReport[]): void {
  out.array(1);
  writeReports(out, reports);
}

/** @throws MessageFormatError */
export function readHeartbeat(params: MessageReader): ShardReport[] {
  arrayOf(params, 1, 'heartbeat');
  return readReports(params);
}

export function writeReports(out: MessageWriter, reports: readonly ShardReport[]): void {
  out.array(reports.length);
  for (const { shard, epoch, condition } of reports) {
    out.array(3);
    out.integer(shard);
    out.integer(epoch);
    out.integer(shardConditions.indexOf(condition));
  }
}

/** @throws MessageFormatError */
export function readReports(result: MessageReader): ShardReport[] {
  const count = result.array();
  if (count > limits.shardCountMax) throw new MessageFormatError(`reports of ${count} shards`, result.position);
  return Array.from({ length: count }, () => {
    arrayOf(result, 3, 'report');
    const shard = shardId(natural(result, 0, limits.shardCountMax - 1, 'shard'));
    const epoch = natural(result, 0, Number.MAX_SAFE_INTEGER, 'epoch');
    // A condition of a later version says nothing that this one knows.
    return { shard, epoch, condition: shardConditions[result.integer()] ?? 'stuck' };
  });
}
