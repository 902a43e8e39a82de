/** Client ids (S15): a counter in the coordinator, leased in blocks. An id is handed out at most once, ever. */
import { z } from 'zod';
import { KvError } from '../base/errors.ts';
import { clientId, type ClientId } from '../base/ids.ts';
import { CoordinatorError, type Coordinator, type Entry } from './coordinator.ts';
import { decodeJson, encodeJson } from './values.ts';

export const clientIdsKey = 'client-ids';
const attemptsMax = 50;
const countMax = 1_000_000;
const shape = z.object({ next: z.int().min(1) });

/** First id that no gateway has leased, by the counter's entry (undefined: none was). @throws KvError `data-damaged` */
export function leasedEnd(entry: Entry | undefined): number {
  return entry === undefined ? 1 : decodeJson(entry, shape).next;
}

/**
 * Leases the `count` (1..1,000,000) ids from the returned one on. Only a lease that is known to be applied is used: one
 * of unknown outcome is abandoned and the counter read again, which wastes ids and never gives one out twice.
 * @throws KvError `bad-argument`, `data-damaged`. @throws CoordinatorError
 */
export async function leaseClientIds(coordinator: Coordinator, count: number): Promise<ClientId> {
  if (!Number.isInteger(count) || count < 1 || count > countMax)
    throw new KvError('bad-argument', `1..${countMax} ids, got ${count}`);
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const entry = await coordinator.get(clientIdsKey);
    const first = leasedEnd(entry);
    const compare = { key: clientIdsKey, revision: entry?.revision ?? 0 };
    try {
      const result = await coordinator.transact(
        [compare],
        [{ key: clientIdsKey, value: encodeJson({ next: first + count }) }],
      );
      if (result.kind === 'applied') return clientId(first);
    } catch (error) {
      // If it was applied, the counter moved past this block; if it never will be, the next attempt's revision rules it
      // out.
      if (!(error instanceof CoordinatorError) || error.outcome !== 'unknown') throw error;
    }
  }
  throw new CoordinatorError('unknown', `no client ids could be leased in ${attemptsMax} attempts`);
}
