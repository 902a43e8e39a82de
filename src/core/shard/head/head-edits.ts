/**
 * All changes of a shard's metadata, as pure functions: head -> head and the entries of zones written with it. What
 * must hold for any of them is asserted by `checkEdit`, which the keeper calls where a head is written:
 *
 *   S1   one change more than the head that it rewrites, which is compared as a whole
 *   S2   epochs and zone ids only grow, a zone id is opened once, a zone belongs to the epoch that opened it
 *   S10  the list of a sealed zone names somebody, nobody twice, and nobody as both holder and former holder
 * Walk: ZONE CHANGE 3/5, TAKE-OVER 7/7.
 */
import { assert } from '../../../base/assert.ts';
import type { Uuid, ZoneId } from '../../../base/ids.ts';
import { epoch, zoneId } from '../../../base/ids.ts';
import type { Head, LostKeys, Owner, ReplicaSet, SealedZone, ZoneDoubt } from './metadata.ts';
import { sameOwner } from './metadata.ts';
import { sameWriter } from '../../../codec/log-format.ts';

/** A head to be written, with the entries of zones that change together with it. */
export interface HeadEdit {
  readonly head: Head;
  readonly zones: readonly SealedZone[];
}

/** The first head of a shard: epoch 1 opens zone 1. */
export function begun(owner: Owner, opened: ReplicaSet): HeadEdit {
  const openZone = { zone: zoneId(1), epoch: epoch(1), instance: owner.instance, ...opened };
  return { head: { epoch: epoch(1), owner, openZone, nextZone: zoneId(2), change: 1 }, zones: [] };
}

/**
 * S8: the next epoch, owned by `owner`; its number is that of the change, so that a fence says how far the metadata was
 * when it was claimed (S20). The open zone stays that of the epoch before until it is closed.
 */
export function claimed(head: Head, owner: Owner): HeadEdit {
  const change = head.change + 1;
  return { head: { ...head, epoch: epoch(change), owner, change }, zones: [] };
}

/** S6: the owner ends its open zone at `length`, which all its replicas hold, and opens the next. */
export function zoneChanged(head: Head, length: number, opened: ReplicaSet): HeadEdit {
  assert(head.openZone.epoch === head.epoch, 'S6 an owner changes the zone that it writes');
  return closed(head, ended(head, length), opened);
}

/**
 * S6: the owner ends its open zone at `length`, which all its replicas hold, and gives the shard to `owner`, whose
 * epoch opens the next zone.
 */
export function handedOver(head: Head, length: number, owner: Owner, opened: ReplicaSet): HeadEdit {
  assert(head.openZone.epoch === head.epoch, 'S6 an owner hands over the zone that it writes');
  return closed({ ...head, epoch: epoch(head.change + 1), owner }, ended(head, length), opened);
}

/** A zone that its owner ends: nothing of it is in doubt. */
function ended({ openZone: { replicas: holders } }: Head, length: number): ZoneEnd {
  return { length, holders, doubt: undefined, lost: undefined, isEmpty: length === 0 };
}

/** What a take-over has decided of the open zone. */
export interface ZoneEnd {
  readonly length: number;
  /** Hold all of it, stable. */
  readonly holders: readonly Uuid[];
  readonly doubt: ZoneDoubt | undefined;
  /** Keys that are lost with its cut end. */
  readonly lost: LostKeys | undefined;
  /** No batch lies below the length. */
  readonly isEmpty: boolean;
}

/**
 * S8, S9: the open zone ends; the replicas that do not hold all of it become former holders. The next zone is opened
 * for the head's owner. A zone that ends empty leaves no entry, unless something may have been cut. Lost keys are owed
 * by the next zone, and by the one after it when that one ends empty: its first batch would have named them.
 */
export function closed(head: Head, { length, holders, doubt, lost, isEmpty }: ZoneEnd, opened: ReplicaSet): HeadEdit {
  const { zone, epoch: writer, instance, replicas: listed, owes: owed } = head.openZone;
  const former = listed.filter((logger) => !holders.includes(logger));
  const end = { length, replicas: holders, former, ...(doubt === undefined ? {} : { doubt }) };
  const sealed: SealedZone = { zone, epoch: writer, instance, ...end, ...(lost === undefined ? {} : { lost }) };
  const owes = lost !== undefined && lost.keys.length > 0 ? zone : isEmpty ? owed : undefined;
  const openZone = {
    ...{ zone: head.nextZone, epoch: head.epoch, instance: head.owner.instance, ...opened },
    ...(owes === undefined ? {} : { owes }),
  };
  const next: Head = { ...head, openZone, nextZone: zoneId(head.nextZone + 1), change: head.change + 1 };
  return { head: next, zones: length > 0 || doubt === 'cut' ? [sealed] : [] };
}

/**
 * S10: the list of a zone that ended changes: a copy is whole, or a holder was found to lack what it was listed for.
 */
export function relisted(head: Head, zone: SealedZone, replicas: readonly Uuid[]): HeadEdit {
  const former = [...zone.former, ...zone.replicas].filter((logger) => !replicas.includes(logger));
  return { head: { ...head, change: head.change + 1 }, zones: [{ ...zone, replicas, former }] };
}

/**
 * REQUIRES: `before` is the head that the edit rewrites, undefined when the shard has none, and `sealed` gives the
 * entry that a zone has.
 */
export function checkEdit(
  before: Head | undefined,
  edit: HeadEdit,
  sealed: (zone: ZoneId) => SealedZone | undefined,
): void {
  const { head, zones } = edit;
  assert(head.change === (before?.change ?? 0) + 1, 'S1 a transaction is one change more than the head it rewrites');
  checkEpoch(before, head);
  checkOpenZone(before, head);
  const { owes } = head.openZone;
  const isEntry =
    owes === undefined || sealed(owes) !== undefined || zones.some(({ zone, lost }) => zone === owes && lost);
  assert(isEntry, 'S9 what a zone owes stands in the entry of a sealed one');
  for (const zone of zones) {
    const known = sealed(zone.zone);
    const isSame = known === undefined || (known.length === zone.length && sameWriter(known, zone));
    assert(isSame, 'S2 a sealed zone is not sealed again');
    assert(zone.length > 0 || zone.doubt === 'cut', 'S10 a zone that ends empty needs no holders');
    assert(zone.zone < head.openZone.zone, 'S2 the sealed zone lies before the open one');
    const names = [...zone.replicas, ...zone.former];
    assert(zone.replicas.length > 0, 'S10 somebody holds a sealed zone');
    assert(new Set(names).size === names.length, 'S10 a list names each logger once');
  }
}

function checkEpoch(before: Head | undefined, head: Head): void {
  if (before === undefined) return assert(head.epoch === 1, 'S2 the first epoch is 1');
  const isSame = head.epoch === before.epoch && sameOwner(head.owner, before.owner);
  const isNext = head.epoch === head.change && head.epoch > before.epoch;
  assert(isSame || isNext, 'S1 only a claim or a hand-over changes epoch and owner, to the number of its change');
}

function checkOpenZone(before: Head | undefined, head: Head): void {
  const { openZone, nextZone } = head;
  assert(
    openZone.zone < nextZone && openZone.epoch <= head.epoch,
    'S2 the open zone was opened by this epoch or before',
  );
  assert(openZone.replicas.length > 0, 'S10 somebody holds the open zone');
  assert(openZone.processes.length === openZone.replicas.length, 'S9 the open zone names a process of each replica');
  if (before === undefined || openZone.zone === before.openZone.zone) return;
  assert(
    openZone.zone === before.nextZone && openZone.epoch === head.epoch,
    'S2 a zone id is opened once, by its epoch',
  );
  assert(openZone.instance === head.owner.instance, 'S4 a zone belongs to the process that opened it');
  assert(nextZone === before.nextZone + 1, 'S2 zone ids only grow');
}
