/**
 * `Seal`, `Finish` and `Reset` (codec/logger-protocol.ts has the forms): a zone's way from open to gone. Readers throw
 * MessageFormatError, and nothing else.
 */
import type { Epoch, ShardId, Uuid, ZoneId } from '../base/ids.ts';
import type { SealAnswer, TailState } from './logger-protocol.ts';
import { readBytesCount, readEpoch, readShard, readZone } from './logger-protocol.ts';
import { arrayOf, malformed, skipRest } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export function writeSeal(out: MessageWriter, logger: Uuid, shard: ShardId, zone: ZoneId, epoch: Epoch): void {
  out.array(4);
  out.text(logger);
  out.integer(shard);
  out.integer(zone);
  out.integer(epoch);
}

export interface SealRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
}

export function readSeal(params: MessageReader): SealRequest {
  const rest = arrayOf(params, 4, 'Seal');
  const request = { logger: params.text(), shard: readShard(params), zone: readZone(params), epoch: readEpoch(params) };
  skipRest(params, rest);
  return request;
}

export function writeSealAnswer(out: MessageWriter, answer: SealAnswer): void {
  out.array(4);
  out.integer(answer.length);
  out.integer(answer.seen);
  out.boolean(answer.doubtful);
  out.text(answer.tail);
}

function readTail(reader: MessageReader): TailState {
  const tail = reader.text();
  if (tail === 'clean' || tail === 'torn' || tail === 'damaged') return tail;
  return malformed(reader, `unknown tail state '${tail}'`);
}

export function readSealAnswer(result: MessageReader): SealAnswer {
  const rest = arrayOf(result, 4, 'the answer to Seal');
  const answer = {
    length: readBytesCount(result, 'length'),
    seen: readBytesCount(result, 'seen'),
    doubtful: result.boolean(),
    tail: readTail(result),
  };
  skipRest(result, rest);
  return answer;
}

export function writeFinish(out: MessageWriter, logger: Uuid, shard: ShardId, zone: ZoneId, length: number): void {
  out.array(4);
  out.text(logger);
  out.integer(shard);
  out.integer(zone);
  out.integer(length);
}

export interface FinishRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly length: number;
}

export function readFinish(params: MessageReader): FinishRequest {
  const rest = arrayOf(params, 4, 'Finish');
  const request = {
    logger: params.text(),
    shard: readShard(params),
    zone: readZone(params),
    length: readBytesCount(params, 'length'),
  };
  skipRest(params, rest);
  return request;
}

export function writeReset(out: MessageWriter, logger: Uuid, shard: ShardId, zone: ZoneId, copyId: string): void {
  out.array(4);
  out.text(logger);
  out.integer(shard);
  out.integer(zone);
  out.text(copyId);
}

export interface ResetRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly copyId: string;
}

export function readReset(params: MessageReader): ResetRequest {
  const rest = arrayOf(params, 4, 'Reset');
  const request = {
    logger: params.text(),
    shard: readShard(params),
    zone: readZone(params),
    copyId: params.text(),
  };
  skipRest(params, rest);
  return request;
}
