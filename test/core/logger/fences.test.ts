/** S4, S20: whose a fence is, and what a taker is told of a shard. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { instanceId } from '../../../src/base/ids.ts';
import { testWriter } from '../../logger/zone-writer.ts';
import { firstProcess, knownBy, Rig, secondProcess, ZoneWriter } from './rig.ts';

const other = instanceId('2'.repeat(16));

describe('S4 a fence names the instance of its owner', () => {
  test('the same epoch of another instance cannot append, confirm, seal or fill, in any zone, seen or unseen', () => {
    const rig = new Rig();
    const writer = new ZoneWriter({ epoch: 4 });
    const first = writer.filled(10);
    rig.append(first);
    rig.seal(0, 1, 5);
    const unseen = new ZoneWriter({ epoch: 5, zone: 2, instance: other }).filled(10);
    assert.equal(rig.outcome(rig.append(unseen)), 'fenced', 'at once, before the fence is stable');
    rig.settle();
    assert.equal(rig.outcome(rig.append(unseen)), 'fenced');
    assert.equal(rig.confirm(0, 1, 5, other), 'fenced');
    assert.equal(rig.confirm(0, 99, 5, other), 'fenced');
    assert.equal(rig.outcome(rig.seal(0, 1, 5, other)), 'fenced');
    assert.equal(rig.outcome(rig.seal(0, 99, 5, other)), 'fenced');
    const { shard, zone } = writer;
    const { offset, bytes } = writer.filled(10);
    assert.equal(rig.outcome(rig.fill({ shard, zone, by: testWriter(5, other), offset, bytes })), 'fenced');
    const own = rig.append(new ZoneWriter({ epoch: 5, zone: 2 }).filled(10));
    rig.settle();
    assert.equal(rig.outcome(own), 'ok', 'the instance that sealed goes on');
    assert.equal(rig.confirm(0, 2, 5), 'confirmed');
    const later = rig.seal(0, 1, 6, other);
    rig.settle();
    assert.equal(rig.outcome(later), 'ok', 'a later epoch may be of anybody');
  });

  test('S2 a zone of an epoch takes nothing of another instance of it, though no fence is there', () => {
    const rig = new Rig();
    const writer = new ZoneWriter({ epoch: 3 });
    rig.append(writer.filled(10));
    const twin = { ...writer.filled(10), instance: other };
    assert.equal(rig.outcome(rig.append(twin)), 'other-epoch');
    assert.equal(rig.confirm(0, 1, 3, other), 'other-epoch');
    assert.equal(rig.outcome(rig.seal(0, 1, 3, other)), 'other-epoch');
  });

  test('it survives a restart, with its instance', () => {
    const rig = new Rig();
    rig.seal(0, 1, 5, other);
    rig.settle();
    const after = rig.restarted().restarted();
    assert.equal(after.confirm(0, 1, 5), 'fenced');
    assert.equal(after.confirm(0, 1, 5, other), 'confirmed');
    assert.equal(after.outcome(after.seal(0, 1, 5)), 'fenced');
    assert.equal(after.outcome(after.seal(0, 1, 5, other)), 'ok');
  });

  test('the owner that the metadata names is the fence, before anybody appends or is confirmed', () => {
    const rig = new Rig();
    const learnt = rig.ownerKnown(0, 5, other);
    assert.equal(rig.outcome(rig.append(new ZoneWriter({ epoch: 4 }).filled(10))), 'fenced', 'at once');
    assert.equal(rig.outcome(rig.append(new ZoneWriter({ epoch: 5 }).filled(10))), 'fenced', 'another instance');
    assert.equal(rig.confirm(0, 1, 4), 'fenced');
    assert.equal(rig.confirm(0, 1, 5), 'fenced');
    assert.equal(rig.confirm(1, 1, 4), 'confirmed', 'other shards are not concerned');
    assert.deepEqual(rig.persisted, [{ kind: 'fence', shard: 0, ...testWriter(5, other) }]);
    assert.equal(rig.outcome(learnt), 'waiting');
    rig.settle();
    assert.equal(rig.outcome(learnt), 'ok', 'when it is stable');
    assert.equal(rig.restarted().confirm(0, 1, 4), 'fenced');
    const own = rig.append(new ZoneWriter({ epoch: 5, instance: other }).filled(10));
    rig.settle();
    assert.equal(rig.outcome(own), 'ok');
  });

  test('an owner that is known lowers no fence, and takes none from the instance that has it', () => {
    const rig = new Rig();
    rig.seal(0, 1, 5);
    rig.settle();
    assert.equal(rig.outcome(rig.ownerKnown(0, 4, other)), 'ok');
    assert.equal(rig.outcome(rig.ownerKnown(0, 5, other)), 'ok');
    assert.equal(rig.outcome(rig.ownerKnown(0, 5)), 'ok');
    assert.equal(rig.persisted.length, 1);
    assert.equal(rig.confirm(0, 1, 5), 'confirmed');
    assert.equal(rig.confirm(0, 1, 5, other), 'fenced');
  });
});

describe('S20 metadata never goes back unseen', () => {
  test("a seal's answer tells the fence before it and the zones of the shard, the newest first", () => {
    const rig = new Rig();
    rig.append(new ZoneWriter({ zone: 1 }).filled(10));
    rig.append(new ZoneWriter({ zone: 3, epoch: 2, instance: other }).filled(10));
    rig.append(new ZoneWriter({ shard: 1, zone: 9 }).filled(10));
    const zones = [
      { zone: 3, ...testWriter(2, other) },
      { zone: 1, ...testWriter(1) },
    ];
    const [first, again, later] = [rig.seal(0, 3, 4), rig.seal(0, 3, 4), rig.seal(0, 3, 6, other)];
    rig.settle();
    assert.deepEqual(
      [first, again, later].map((ticket) => rig.outcome(ticket)),
      ['ok', 'ok', 'ok'],
    );
    assert.deepEqual(knownBy(rig, first), { fence: undefined, zones });
    assert.deepEqual(knownBy(rig, again), { fence: testWriter(4), zones });
    assert.deepEqual(knownBy(rig, later), { fence: testWriter(4), zones });
    const unseen = rig.seal(0, 50, 6, other);
    assert.deepEqual(knownBy(rig, unseen), { fence: testWriter(6, other), zones }, 'of a zone that was never here');
    const unknown = rig.seal(5, 1, 1);
    rig.settle();
    assert.deepEqual(knownBy(rig, unknown), { fence: undefined, zones: [] }, 'of a shard that was never here');
  });

  test('so does its refusal, whatever the reason, also when nothing is written any more', () => {
    const rig = new Rig();
    rig.append(new ZoneWriter({ zone: 2, epoch: 3 }).filled(10));
    rig.settle();
    const known = { fence: undefined, zones: [{ zone: 2, ...testWriter(3) }] };
    const told = (ticket: string): unknown => [rig.outcome(ticket), knownBy(rig, ticket)];
    assert.deepEqual(told(rig.seal(0, 2, 3, other)), ['other-epoch', known]);
    assert.deepEqual(told(rig.seal(0, 1, 4)), ['retired-zone', known]);
    const fenced = { ...known, fence: testWriter(4) };
    assert.deepEqual(told(rig.seal(0, 2, 3)), ['fenced', fenced]);
    assert.deepEqual(told(rig.seal(0, 2, 4, other)), ['fenced', fenced]);
    rig.step({ kind: 'device-failed' });
    assert.deepEqual(told(rig.seal(0, 2, 9)), ['device-failed', fenced]);
  });

  test('a reset zone is told of no more, its fence is', () => {
    const rig = new Rig();
    rig.append(new ZoneWriter().filled(10));
    rig.seal(0, 1, 2);
    rig.settle();
    rig.reset(0, 1, rig.zone(0, 1)?.copyId ?? '');
    rig.settle();
    const after = rig.restarted();
    assert.deepEqual(knownBy(after, after.seal(0, 2, 2)), { fence: testWriter(2), zones: [] });
  });

  test('S9 an answer names the process that gives it, which is another one after a restart', () => {
    const processOf = (rig: Rig): unknown => {
      const ticket = rig.seal(0, 1, 2);
      rig.settle();
      const answer = rig.answers.get(ticket);
      return answer?.kind === 'sealed' && 'process' in answer.answer ? answer.answer.process : answer;
    };
    const rig = new Rig();
    rig.append(new ZoneWriter().filled(10));
    assert.equal(processOf(rig), firstProcess);
    assert.equal(processOf(rig.restarted({}, { '0/1': { length: 100 } })), secondProcess);
  });
});
