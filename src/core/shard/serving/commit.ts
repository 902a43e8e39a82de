/** Records of a batch that is on every replica enter the index (S5). */
import type { ZoneId } from '../../../base/ids.ts';
import type { Committed } from '../events.ts';
import { applyRecord } from '../following/apply.ts';
import type { ShardState } from '../following/apply.ts';
import type { WriteResult } from '../requests.ts';
import { resultOfRecord } from '../requests.ts';
import type { Decider } from './decider.ts';
import type { Batch, ZoneWriter } from './zone-writer.ts';

/** What to answer each of the batch's writes. REQUIRES: it is committed in `zone`, and all before it are applied. */
export function applyCommitted(state: ShardState, decider: Decider, zone: ZoneId, batch: Batch): WriteResult[] {
  for (const { record, recordOffset, recordBytes } of batch.own)
    applyRecord(state, zone, recordOffset, record.source, record, recordBytes, record.reply);
  return batch.writes.map((write) => {
    const { kind, source, recordOffset, recordBytes, reply } = write;
    const recordVersion = applyRecord(state, zone, recordOffset, source, write, recordBytes, reply);
    decider.settled(write);
    return resultOfRecord(kind, recordVersion, reply);
  });
}

/** What the gateway does about it. `before`: where the log was before the zone, as its first batch tells standbys. */
export function committedOf(
  { zone, epoch, instance }: ZoneWriter,
  { appendOffset, offset, end, recordsStart, recordCount, bytes, shardTimeMs, own, writes }: Batch,
  before: { readonly zone: number; readonly length: number },
  results: readonly WriteResult[],
): Committed {
  const isFirst = appendOffset === 0;
  return {
    effect: 'committed',
    zone,
    epoch,
    instance,
    offset,
    end,
    previousZone: isFirst ? before.zone : -1,
    previousLength: isFirst ? before.length : 0,
    recordsStart,
    recordCount,
    bytes,
    shardTimeMs,
    own,
    writes,
    results,
  };
}
