/**
 * All changes of a shard's metadata, as pure functions: head -> head and the entries of zones written with it. What
 * must hold for any of them is asserted by `checkEdit`, which the keeper calls where a head is written:
 *
 *   S1   one change more than the head that it rewrites, which is compared as a whole
 *   S2   epochs and zone ids only grow, a zone id is opened once, a zone belongs to the epoch that opened it
 *   S10  the list of a sealed zone names somebody, nobody twice, and nobody as both holder and former holder
 */
import { assert } from '../../../base/assert.ts';
import type { Uuid, ZoneId } from '../../../base/ids.ts';
import { epoch, zoneId } from '../../../base/ids.ts';
import type { Head, Owner, SealedZone } from './metadata.ts';
import { sameOwner } from './metadata.ts';

/** A head to be written, with the entries of zones that change together with it. */
export interface HeadEdit {
  readonly head: Head;
  readonly zones: readonly SealedZone[];
}

/** The first head of a shard: epoch 1 opens zone 1. */
export function begun(owner: Owner, replicas: readonly Uuid[]): HeadEdit {
  const first = zoneId(1);
  const openZone = { zone: first, epoch: epoch(1), replicas };
  return { head: { epoch: epoch(1), owner, openZone, nextZone: zoneId(2), change: 1 }, zones: [] };
}

/** S8: one epoch more, owned by `owner`. The open zone stays that of the epoch before until it is closed. */
export function claimed(head: Head, owner: Owner): HeadEdit {
  return { head: { ...head, epoch: epoch(head.epoch + 1), owner, change: head.change + 1 }, zones: [] };
}

/** S6: the owner ends its open zone at `length`, which all its replicas hold, and opens the next on `replicas`. */
export function zoneChanged(head: Head, length: number, replicas: readonly Uuid[]): HeadEdit {
  assert(head.openZone.epoch === head.epoch, 'S6 an owner changes the zone that it writes');
  return closed(head, length, head.openZone.replicas, replicas);
}

/**
 * S8, S9: the open zone ends at `length`, which `holders` hold; the replicas that are not among them become former
 * holders. The next zone is opened on `replicas` for the head's epoch. A zone that ends empty leaves no entry.
 */
export function closed(head: Head, length: number, holders: readonly Uuid[], replicas: readonly Uuid[]): HeadEdit {
  const { zone, epoch: writer, replicas: listed } = head.openZone;
  const former = listed.filter((logger) => !holders.includes(logger));
  const sealed: SealedZone = { zone, epoch: writer, length, replicas: holders, former };
  const openZone = { zone: head.nextZone, epoch: head.epoch, replicas };
  const next: Head = { ...head, openZone, nextZone: zoneId(head.nextZone + 1), change: head.change + 1 };
  return { head: next, zones: length > 0 ? [sealed] : [] };
}

/**
 * REQUIRES: `before` is the head that the edit rewrites, undefined when the shard has none, and `sealed` says whether a
 * zone has an entry.
 */
export function checkEdit(before: Head | undefined, edit: HeadEdit, sealed: (zone: ZoneId) => boolean): void {
  const { head, zones } = edit;
  assert(head.change === (before?.change ?? 0) + 1, 'S1 a transaction is one change more than the head it rewrites');
  checkEpoch(before, head);
  checkOpenZone(before, head);
  for (const zone of zones) {
    assert(!sealed(zone.zone), 'S2 a sealed zone is not sealed again');
    assert(zone.length > 0 && zone.zone < head.openZone.zone, 'S2 the sealed zone lies before the open one');
    const names = [...zone.replicas, ...zone.former];
    assert(zone.replicas.length > 0, 'S10 somebody holds a sealed zone');
    assert(new Set(names).size === names.length, 'S10 a list names each logger once');
  }
}

function checkEpoch(before: Head | undefined, head: Head): void {
  if (before === undefined) return assert(head.epoch === 1, 'S2 the first epoch is 1');
  const isSame = head.epoch === before.epoch && sameOwner(head.owner, before.owner);
  assert(isSame || head.epoch === before.epoch + 1, 'S1 only a claim changes epoch and owner, to the next epoch');
}

function checkOpenZone(before: Head | undefined, head: Head): void {
  const { openZone, nextZone } = head;
  assert(
    openZone.zone < nextZone && openZone.epoch <= head.epoch,
    'S2 the open zone was opened by this epoch or before',
  );
  assert(openZone.replicas.length > 0, 'S10 somebody holds the open zone');
  if (before === undefined || openZone.zone === before.openZone.zone) return;
  assert(
    openZone.zone === before.nextZone && openZone.epoch === head.epoch,
    'S2 a zone id is opened once, by its epoch',
  );
  assert(nextZone === before.nextZone + 1, 'S2 zone ids only grow');
}
