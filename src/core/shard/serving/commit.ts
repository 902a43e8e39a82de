/** Records of a batch that is on every replica enter the index (S5). */
import type { ZoneId } from '../../../base/ids.ts';
import { applyRecord } from '../following/apply.ts';
import type { ShardState } from '../following/apply.ts';
import type { WriteResult } from '../requests.ts';
import { resultOfRecord } from '../requests.ts';
import type { Decider } from './decider.ts';
import type { Batch } from './zone-writer.ts';

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
