/**
 * S20: whether a logger knows more of a shard than its metadata does. Every fence was claimed, and every zone opened,
 * in the coordinator first, so that what contradicts a head read *after* the logger has answered proves that the
 * metadata went back: a file put back, or one that lost what it had acknowledged. Pure.
 */
import type { ShardId, Uuid } from '../../../base/ids.ts';
import type { ShardKnowledge } from '../../../codec/logger-protocol.ts';
import { sameWriter } from '../../../codec/log-format.ts';
import type { Head, ShardMetadata } from '../head/metadata.ts';

/** What a logger said of a shard, before it was claimed or when it was to seal a zone of it. */
export interface Testimony {
  readonly known: ShardKnowledge;
  /** Zone that it refused to seal since its id was used there before; undefined: it did not. */
  readonly retired: number | undefined;
}

/** Logger that knows more than the metadata, and what. */
export interface Proof {
  readonly logger: Uuid;
  readonly fact: string;
}

/** The first testimony that proves that the metadata went back; undefined: none does. */
export function firstProof(
  testimonies: ReadonlyMap<Uuid, Testimony>,
  head: Head | undefined,
  metadata: ShardMetadata,
): Proof | undefined {
  for (const [logger, testimony] of testimonies) {
    const fact = head === undefined ? knowsAtAll(testimony) : regression(testimony, head, metadata);
    if (fact !== undefined) return { logger, fact };
  }
  return undefined;
}

/** A shard without a head was never claimed, so that nobody knows anything of it. */
function knowsAtAll({ known: { fence, zones } }: Testimony): string | undefined {
  if (fence !== undefined) return `it was sealed for epoch ${fence.epoch}, and the metadata has no owner of the shard`;
  const [newest] = zones;
  return newest && `it holds zone ${newest.zone}, and the metadata has no owner of the shard`;
}

/** What proves that the metadata went back; undefined: nothing does. REQUIRES: `head` is that of `metadata`. */
export function regression({ known, retired }: Testimony, head: Head, metadata: ShardMetadata): string | undefined {
  const { fence, zones } = known;
  const { epoch, change, openZone, nextZone } = head;
  // An epoch has the number of the change that claimed it. A fence of another claim below the newest change was raised
  // on an older copy, before this one was put back: it is overtaken.
  if (fence !== undefined && fence.epoch > change)
    return `it was sealed for epoch ${fence.epoch}, and the metadata has seen ${change} changes`;
  if (fence !== undefined && fence.epoch === change && epoch === change && fence.instance !== head.owner.instance)
    return `it was sealed for another owner of epoch ${epoch}`;
  if (retired === openZone.zone) return `zone ${retired} ended there, and is open in the metadata`;
  const listed = new Map([openZone, ...metadata.zones].map((zone) => [zone.zone, zone]));
  for (const held of zones) {
    if (held.zone >= nextZone) return `it holds zone ${held.zone}, and the metadata knows zones below ${nextZone}`;
    const entry = listed.get(held.zone);
    if (entry !== undefined && !sameWriter(entry, held))
      return `it holds zone ${held.zone} of epoch ${held.epoch}, which the metadata gave to epoch ${entry.epoch}`;
  }
  return undefined;
}

/** Line for the operator. `source`: where the metadata lie. */
export function regressionNote(
  shard: ShardId,
  source: string,
  fact: string,
): { readonly text: string; readonly fields: Readonly<Record<string, string | number>> } {
  const wayOut = `put back the newest copy of ${source}, and start the nodes again`;
  return { text: 'metadata went back', fields: { shard, code: 'metadata-regressed', metadata: source, fact, wayOut } };
}
