/**
 * Notification on the peer port by which a gateway that stands by asks a shard's owner for it (docs/protocol.md):
 *   HandOver [shard, epoch]
 * Whether it is done shows in the metadata. Readers throw MessageFormatError when a message has another form.
 */
import type { ShardId } from '../base/ids.ts';
import { shardId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { arrayOf, natural } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export const handOverMethod = 'HandOver';

/** A shard that its owner in `epoch` is asked for. */
export interface HandOverWish {
  readonly shard: ShardId;
  readonly epoch: number;
}

export function writeHandOver(out: MessageWriter, { shard, epoch }: HandOverWish): void {
  out.array(2);
  out.integer(shard);
  out.integer(epoch);
}

/** @throws MessageFormatError */
export function readHandOver(params: MessageReader): HandOverWish {
  arrayOf(params, 2, handOverMethod);
  const shard = shardId(natural(params, 0, limits.shardCountMax - 1, 'shard'));
  return { shard, epoch: natural(params, 1, Number.MAX_SAFE_INTEGER, 'epoch') };
}
