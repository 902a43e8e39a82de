import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '../../../../src/base/assert.ts';
import type { InstanceId, Uuid } from '../../../../src/base/ids.ts';
import { epoch, instanceId, uuid, zoneId } from '../../../../src/base/ids.ts';
import type { HeadEdit, ZoneEnd } from '../../../../src/core/shard/head/head-edits.ts';
import {
  begun,
  checkEdit,
  claimed,
  closed,
  handedOver,
  relisted,
  zoneChanged,
} from '../../../../src/core/shard/head/head-edits.ts';
import type { Head, OpenZone, Owner, ReplicaSet, SealedZone } from '../../../../src/core/shard/head/metadata.ts';

const loggers = ['1', '2', '3', '4'].map((digit) => uuid(digit.repeat(32)));
const [a, b, c, d] = loggers as [(typeof loggers)[0], (typeof loggers)[0], (typeof loggers)[0], (typeof loggers)[0]];
const owner = (digit: string): Owner => ({
  gateway: 0,
  node: uuid('a'.repeat(32)),
  instance: instanceId(digit.repeat(16)),
});
/** Process of a logger: named by its digit. */
const processOf = (logger: Uuid): InstanceId => instanceId(logger.slice(0, 16));
const set = (...replicas: readonly Uuid[]): ReplicaSet => ({ replicas, processes: replicas.map(processOf) });
const end = (length: number, ...holders: readonly Uuid[]): ZoneEnd => ({
  length,
  holders,
  doubt: undefined,
  lost: undefined,
  isEmpty: length === 0,
});
const noneSealed = (): undefined => undefined;
const check = (before: Head | undefined, edit: HeadEdit): Head => {
  checkEdit(before, edit, noneSealed);
  return edit.head;
};

const first = check(undefined, begun(owner('1'), set(a, b, c)));

test('a shard begins with epoch 1 and zone 1', () => {
  assert.deepEqual(first.openZone, { zone: 1, epoch: 1, instance: '1'.repeat(16), ...set(a, b, c) });
  assert.deepEqual([first.epoch, first.nextZone, first.change], [1, 2, 1]);
});

test('S8 a claim raises the epoch and leaves the open zone to the epoch that writes it', () => {
  const head = check(first, claimed(first, owner('2')));
  assert.equal(head.epoch, 2);
  assert.equal(head.owner.instance, '2'.repeat(16));
  assert.deepEqual(head.openZone, first.openZone);
  assert.equal(head.change, 2);
});

test('S6 a hand-over ends the zone as a change does, and its next zone belongs to the epoch of the next owner', () => {
  const edit = handedOver(first, 4_096, owner('2'), set(a, d));
  const head = check(first, edit);
  assert.deepEqual([head.epoch, head.owner], [2, owner('2')]);
  assert.deepEqual(head.openZone, { zone: 2, epoch: 2, instance: '2'.repeat(16), ...set(a, d) });
  assert.deepEqual(edit.zones, zoneChanged(first, 4_096, set(a, d)).zones);
  const claim = check(first, claimed(first, owner('2')));
  assert.throws(() => handedOver(claim, 0, owner('1'), set(a)), AssertionFailure);
});

test('S20 an epoch has the number of the change that claims it', () => {
  const moved = check(first, zoneChanged(first, 4_096, set(a, d)));
  const head = check(moved, claimed(moved, owner('2')));
  assert.deepEqual([moved.epoch, head.epoch, head.change], [1, 3, 3]);
});

test('S6 a zone change lists all replicas of the zone that ends; one that ends empty leaves no entry', () => {
  const edit = zoneChanged(first, 4_096, set(a, d));
  assert.deepEqual(
    edit.zones.map(({ zone, length, replicas, former }) => ({ zone, length, replicas, former })),
    [{ zone: 1, length: 4_096, replicas: [a, b, c], former: [] }],
  );
  assert.deepEqual(check(first, edit).openZone, { zone: 2, epoch: 1, instance: '1'.repeat(16), ...set(a, d) });
  assert.deepEqual(zoneChanged(first, 0, set(a)).zones, []);
});

test('S9 who did not answer a seal, or holds less, is a former holder', () => {
  const head = check(first, claimed(first, owner('2')));
  const edit = closed(head, end(4_096, b), set(b, c));
  check(head, edit);
  assert.deepEqual(edit.zones[0]?.replicas, [b]);
  assert.deepEqual(edit.zones[0]?.former, [a, c]);
  assert.equal(edit.zones[0]?.epoch, 1, 'the zone keeps the epoch that wrote it');
  assert.equal(edit.zones[0]?.instance, '1'.repeat(16), 'and the process');
  assert.deepEqual([edit.head.openZone.epoch, edit.head.openZone.instance], [2, '2'.repeat(16)]);
});

test('unknown fields of a head and of its open zone are kept by a claim', () => {
  const newer: Head = { ...first, rest: { layout: 7 }, openZone: { ...first.openZone, rest: { tier: 'fast' } } };
  const head = check(newer, claimed(newer, owner('2')));
  assert.deepEqual(head.rest, { layout: 7 });
  assert.deepEqual(head.openZone.rest, { tier: 'fast' });
  assert.deepEqual(closed(head, end(0), set(a)).head.rest, { layout: 7 });
});

const refused: readonly (readonly [name: string, before: Head | undefined, edit: HeadEdit])[] = [
  ['S1 the change number grows by one', first, { head: { ...first, change: 3 }, zones: [] }],
  ['S1 the change number is never kept', first, { head: first, zones: [] }],
  ['S1 only a claim changes the owner', first, { head: { ...first, owner: owner('2'), change: 2 }, zones: [] }],
  ['S1 an epoch is numbered by its change', first, { head: { ...first, epoch: epoch(3), change: 2 }, zones: [] }],
  ['S2 the first epoch is 1', undefined, { head: { ...first, epoch: epoch(2) }, zones: [] }],
  [
    'S2 a zone id is opened once',
    first,
    { head: { ...first, change: 2, openZone: { ...first.openZone, zone: zoneId(5) }, nextZone: zoneId(6) }, zones: [] },
  ],
  [
    'S2 the next zone id grows with each opened zone',
    first,
    {
      head: { ...first, change: 2, openZone: { ...first.openZone, zone: zoneId(2) }, nextZone: zoneId(4) },
      zones: [],
    },
  ],
  ['S10 an open zone is held', first, zoneChanged(first, 64, set())],
  ['S10 a sealed zone is held', first, { ...closed(first, end(64, a), set(a)), zones: [sealedBy([], [a])] }],
  ['S10 nobody is listed twice', first, { ...closed(first, end(64, a), set(a)), zones: [sealedBy([a], [a])] }],
  ['S2 the open zone is not sealed', first, { ...claimed(first, owner('2')), zones: [sealedBy([a], [])] }],
  [
    'S4 a zone belongs to the process that opened it',
    first,
    withOpenZone(zoneChanged(first, 64, set(a)), { instance: instanceId('9'.repeat(16)) }),
  ],
  [
    'S9 an open zone names a process of each replica',
    first,
    withOpenZone(zoneChanged(first, 64, set(a, b)), { processes: [processOf(a)] }),
  ],
];

function withOpenZone(edit: HeadEdit, changed: Partial<OpenZone>): HeadEdit {
  return { ...edit, head: { ...edit.head, openZone: { ...edit.head.openZone, ...changed } } };
}

function sealedBy(replicas: readonly (typeof a)[], former: readonly (typeof a)[]): SealedZone {
  return { zone: zoneId(1), epoch: epoch(1), instance: owner('1').instance, length: 64, replicas, former };
}

for (const [name, before, edit] of refused)
  test(`refused: ${name}`, () => {
    assert.throws(() => checkEdit(before, edit, noneSealed), AssertionFailure);
  });

test('S10 a list changes alone: what leaves it is a former holder, and nothing else of the zone may change', () => {
  const sealed = sealedBy([a, b], [c]);
  const head = check(first, zoneChanged(first, 64, set(a)));
  const edit = relisted(head, sealed, [a, c]);
  checkEdit(head, edit, () => sealed);
  assert.deepEqual(edit.zones, [{ ...sealed, replicas: [a, c], former: [b] }]);
  assert.deepEqual(edit.head, { ...head, change: head.change + 1 });
  const longer = { ...edit, zones: [{ ...sealed, length: 128 }] };
  assert.throws(() => checkEdit(head, longer, () => sealed), /S2 a sealed zone is not sealed again/);
  assert.throws(() => checkEdit(head, relisted(head, sealed, []), () => sealed), /S10 somebody holds a sealed zone/);
});

test('refused: S2 a sealed zone is sealed again', () => {
  const known = (): SealedZone => ({ ...sealedBy([a], []), length: 128 });
  assert.throws(() => checkEdit(first, zoneChanged(first, 64, set(a)), known), AssertionFailure);
});
