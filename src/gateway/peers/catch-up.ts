/**
 * `HandleCatchup`: what an owner tells standbys of a committed batch (docs/protocol.md):
 *   [shard, epoch, instance, zone, offset, end, records start, previous zone, previous length, shard time, heads:bin]
 * `heads` are the batch's records as they lie in the log, without their values.
 */
import type { ShardId } from '../../base/ids.ts';
import { epoch, instanceId, millis, shardId, zoneId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { MessageReader } from '../../codec/message-reader.ts';
import { MessageFormatError } from '../../codec/message-reader.ts';
import type { MessageWriter } from '../../codec/message-writer.ts';
import type { CatchUp, Committed } from '../../core/shard/events.ts';

export const catchUpMethod = 'HandleCatchup';

export function catchUpOf(committed: Committed): CatchUp {
  const {
    epoch: owner,
    instance,
    zone,
    offset,
    end,
    recordsStart,
    previousZone,
    previousLength,
    shardTimeMs,
  } = committed;
  return {
    event: 'catch-up',
    epoch: owner,
    instance,
    zone,
    offset,
    end,
    recordsStart,
    previousZone,
    previousLength,
    shardTimeMs,
    heads: headsOf(committed),
  };
}

/** The records as they lie in the batch, without their values. */
function headsOf({ bytes, end, own, writes }: Committed): Uint8Array {
  /** Where the zone's offset 0 would lie in `bytes`. */
  const base = end - bytes.length;
  let length = 0;
  for (const { record, recordBytes } of own) length += recordBytes - record.valueLength;
  for (const write of writes) length += write.recordBytes - write.valueLength;
  const heads = Buffer.allocUnsafe(length);
  let at = 0;
  const copy = (recordOffset: number, headBytes: number): void => {
    const start = recordOffset - base;
    at += bytes.copy(heads, at, start, start + headBytes);
  };
  for (const { record, recordOffset, recordBytes } of own) copy(recordOffset, recordBytes - record.valueLength);
  for (const write of writes) copy(write.recordOffset, write.recordBytes - write.valueLength);
  return heads;
}

export function writeCatchUp(out: MessageWriter, shard: ShardId, event: CatchUp): void {
  out.array(11);
  out.integer(shard);
  out.integer(event.epoch);
  out.text(event.instance);
  out.integer(event.zone);
  out.integer(event.offset);
  out.integer(event.end);
  out.integer(event.recordsStart);
  out.integer(event.previousZone);
  out.integer(event.previousLength);
  out.integer(event.shardTimeMs);
  out.binary(event.heads);
}

/** @throws MessageFormatError */
export function readCatchUp(params: MessageReader): { readonly shard: ShardId; readonly event: CatchUp } {
  const count = params.array();
  if (count < 11) throw new MessageFormatError(`a catch-up has 11 members, got ${count}`, params.position);
  try {
    const shard = shardId(params.integer());
    const event: CatchUp = {
      event: 'catch-up',
      epoch: epoch(params.integer()),
      instance: instanceId(params.text()),
      zone: zoneId(params.integer()),
      offset: params.integer(),
      end: params.integer(),
      recordsStart: params.integer(),
      previousZone: params.integer(),
      previousLength: params.integer(),
      shardTimeMs: millis(params.integer()),
      heads: params.binary(),
    };
    if (
      event.offset < 0 ||
      event.offset > event.recordsStart ||
      event.recordsStart > event.end ||
      event.end > limits.zoneBytesMax
    ) {
      throw new RangeError(
        `offset ${event.offset}, records from ${event.recordsStart}, end ${event.end} are not in order`,
      );
    }
    return { shard, event };
  } catch (error) {
    if (error instanceof RangeError) throw new MessageFormatError(error.message, params.position);
    throw error;
  }
}
