/**
 * Records that a shard writes for itself: which of them are due. What a cut zone lost comes before everything else
 * (S9): until it is committed nothing is read and no client's write is decided, and all of it goes into one batch, so
 * that whoever finds any batch in a zone knows that the zone owes nothing any more.
 */
import type { RecordInput } from '../../../codec/log-format.ts';
import type { OnceTable } from '../../once/once-table.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';
import type { Head } from '../head/metadata.ts';
import { floorRecord, lostRecord } from './batch-builder.ts';

export class OwnRecords {
  readonly #once: OnceTable;
  #owed: readonly RecordInput[];
  #isSent = false;

  /** REQUIRES: `head` is the keeper's. */
  constructor(once: OnceTable, keeper: HeadKeeper, { openZone }: Head) {
    this.#once = once;
    const lost = openZone.owes === undefined ? undefined : keeper.sealedZone(openZone.owes)?.lost;
    this.#owed = (lost?.keys ?? []).map(lostRecord);
  }

  /** Nothing may be answered yet. */
  get isOwed(): boolean {
    return this.#owed.length > 0;
  }

  /** Whether a batch is to be formed, `queued` writes waiting: what is owed comes alone. */
  isNext(queued: number): boolean {
    return this.isOwed ? !this.#isSent : queued > 0;
  }

  /** For the next batch, which is sent: lost keys alone, or what goes before clients' writes. */
  next(): readonly RecordInput[] {
    this.#isSent = this.isOwed;
    if (this.isOwed) return this.#owed;
    const forgotten = this.#once.overfull();
    return forgotten === undefined ? [] : [floorRecord(forgotten)];
  }

  /** The oldest batch in flight committed. */
  committed(): void {
    if (this.#isSent) this.#owed = [];
    this.#isSent = false;
  }

  /** What is in flight was taken back. */
  again(): void {
    this.#isSent = false;
  }
}
