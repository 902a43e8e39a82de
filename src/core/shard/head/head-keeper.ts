/**
 * The one place where a shard's head is read and written. Roles propose an edit and ask what became of it:
 *
 *   idle --propose--> transacting --answered, whatever--> loading --read--> seen | lost | unknown
 *                          '---------- seen or lost by the watch ----------^
 *
 * An answer of a transaction is never trusted alone (S1): what counts is the head that the coordinator holds
 * afterwards.
 *   seen     the head holds the change, or a later one of the same owner: it can't be undone
 *   lost     another owner rules, or the epoch passed: the change is not there and can't come any more
 *   unknown  the head is as it was: the request may still arrive. Another proposal compares the same head, so that only
 *            one of the two can be applied
 *
 * It owns the newest metadata known, the transaction under way, and S1. It does not own when to repeat (the roles do),
 * nor what an edit says (head-edits.ts).
 * Walk: ZONE CHANGE 4/5.
 */
import { assert } from '../../../base/assert.ts';
import type { ShardId } from '../../../base/ids.ts';
import type { HeadPurpose, ShardEffect } from '../events.ts';
import type { HeadEdit } from './head-edits.ts';
import { checkEdit } from './head-edits.ts';
import type { Head, Owner, SealedZone, ShardMetadata } from './metadata.ts';
import { encodeMetadata, headKey, sameOwner, zoneKey } from './metadata.ts';

export type Fate = 'seen' | 'lost' | 'unknown';

interface Proposal {
  readonly purpose: HeadPurpose;
  readonly head: Head;
  step: 'transacting' | 'loading' | 'loaded';
}

export class HeadKeeper {
  readonly #shard: ShardId;
  readonly #effects: ShardEffect[];
  #metadata: ShardMetadata = { head: undefined, headRevision: 0, zones: [] };
  #proposal: Proposal | undefined;
  #loads = 0;

  constructor(shard: ShardId, effects: ShardEffect[]) {
    this.#shard = shard;
    this.#effects = effects;
  }

  /** The newest that is known; its head is undefined when the shard has none, or nothing was heard yet. */
  get metadata(): ShardMetadata {
    return this.#metadata;
  }

  get head(): Head | undefined {
    return this.#metadata.head;
  }

  /** Learns what the coordinator holds. False: it is older than what is known, and nothing was learnt. */
  learn(metadata: ShardMetadata): boolean {
    if (metadata.headRevision < this.#metadata.headRevision) return false;
    this.#metadata = metadata;
    return true;
  }

  /** Asks for the coordinator's content. */
  load(purpose: HeadPurpose): void {
    this.#loads += 1;
    this.#effects.push({ effect: 'load', purpose });
  }

  /** A load was answered, or failed. */
  loadEnded(): void {
    this.#loads -= 1;
  }

  /**
   * Whether every load has ended: the newest metadata known are then at least those that the last one was asked for. An
   * earlier one's answer may come first, and be older than what has made somebody ask again.
   */
  get isRead(): boolean {
    return this.#loads === 0;
  }

  /** Asks for a transaction that changes nothing, to see that the coordinator takes one. */
  look(): void {
    const compares = [{ key: headKey(this.#shard), revision: this.#metadata.headRevision }];
    this.#effects.push({ effect: 'transact', purpose: 'look', compares, writes: [] });
  }

  /** What the proposal is for that is not settled; undefined: there is none. */
  get purpose(): HeadPurpose | undefined {
    return this.#proposal?.purpose;
  }

  /**
   * REQUIRES: `edit` was made of the head that is known, and no other transaction is under way, but for a relisting.
   */
  propose(purpose: HeadPurpose, edit: HeadEdit): void {
    const { head, headRevision, zones } = this.#metadata;
    // What is optional gives way: of two proposals of the same head one is applied at most.
    if (this.#proposal?.purpose === 'relist' && purpose !== 'relist') this.#proposal = undefined;
    const { step } = this.#proposal ?? { step: 'loaded' };
    assert(step === 'loaded', `S1 one transaction at a time: ${this.#proposal?.purpose ?? ''} and ${purpose}`);
    checkEdit(head, edit, (zone) => zones.find((sealed) => sealed.zone === zone));
    this.#proposal = { purpose, head: edit.head, step: 'transacting' };
    this.#effects.push({
      effect: 'transact',
      purpose,
      compares: [{ key: headKey(this.#shard), revision: headRevision }],
      writes: [
        { key: headKey(this.#shard), value: encodeMetadata(edit.head) },
        ...edit.zones.map((zone) => ({ key: zoneKey(this.#shard, zone.zone), value: encodeMetadata(zone) })),
      ],
    });
  }

  /** The transaction was answered, or will never be: the head is read. False: none was under way. */
  transacted(): boolean {
    if (this.#proposal?.step !== 'transacting') return false;
    this.#proposal.step = 'loading';
    this.load(this.#proposal.purpose);
    return true;
  }

  /**
   * The transaction under way is waited for no more: it was certainly not applied, or the next proposal, of the same
   * head, is to come before it. It, or an earlier one of unknown outcome, may be applied still, but one of them at
   * most, and reading the head tells which; who has sent none that may be settles. False: none was under way.
   */
  giveUp(): boolean {
    if (this.#proposal?.step !== 'transacting') return false;
    this.#proposal.step = 'loaded';
    return true;
  }

  /** The head was read, or could not be. False: no transaction waited for that. */
  loaded(): boolean {
    if (this.#proposal?.step !== 'loading') return false;
    this.#proposal.step = 'loaded';
    return true;
  }

  /**
   * What became of the last proposal, by the newest head that is known. A relisting shows in the zone's entry alone.
   */
  get fate(): Fate {
    const { head } = this.#metadata;
    if (head === undefined || this.#proposal === undefined || this.#proposal.purpose === 'relist') return 'unknown';
    const { head: proposed } = this.#proposal;
    if (head.epoch < proposed.epoch) return 'unknown';
    if (!sameOwner(head.owner, proposed.owner) || head.epoch > proposed.epoch) return 'lost';
    // A relisting that gave way may have come first: one change more, of the same open zone.
    return head.change >= proposed.change && head.openZone.zone >= proposed.openZone.zone ? 'seen' : 'unknown';
  }

  /** The proposal was seen or lost, or its owner gave up being one: nothing of it can be applied any more. */
  settle(): void {
    this.#proposal = undefined;
  }

  /** Whether `owner` rules in its epoch, as far as is known. */
  isOwnedBy(owner: Owner, epoch: number): boolean {
    const { head } = this.#metadata;
    return head !== undefined && head.epoch === epoch && sameOwner(head.owner, owner);
  }

  /** The entry of a zone, undefined while it has none: open, ended empty, dropped, or unknown. */
  sealedZone(zone: number): SealedZone | undefined {
    return this.#metadata.zones.find((sealed) => sealed.zone === zone);
  }
}
