/** S19: which Fills a logger takes, and when it answers them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { instanceId, shardId, zoneId } from '../../../src/base/ids.ts';
import type { AppendItem, FillItem } from '../../../src/codec/logger-protocol.ts';
import { testWriter } from '../../logger/zone-writer.ts';
import { Rig, sealAnswer, ZoneWriter } from './rig.ts';

const other = instanceId('2'.repeat(16));

/** What another copy holds, as the taker sends it. */
function fillOf({ shard, zone, offset, bytes }: AppendItem, by = testWriter(2)): FillItem {
  return { shard, zone, by, offset, bytes };
}

/** A copy with the first batch alone, sealed by the taker of epoch 2, and the batches that other copies have. */
function shorterCopy(): { rig: Rig; writer: ZoneWriter; first: AppendItem; second: AppendItem; third: AppendItem } {
  const rig = new Rig();
  const writer = new ZoneWriter();
  const first = writer.filled(10);
  rig.append(first);
  rig.seal(0, 1, 2);
  rig.settle();
  return { rig, writer, first, second: writer.filled(10), third: writer.filled(10) };
}

describe('S19 a Fill completes a shorter copy', () => {
  test('at its intact length, and tells the new one', () => {
    const { rig, writer, first, second, third } = shorterCopy();
    const both = { ...second, bytes: Buffer.concat([second.bytes, third.bytes]) };
    const fill = rig.fill(fillOf(both));
    rig.settle();
    assert.deepEqual(rig.answers.get(fill), { kind: 'filled', length: writer.offset });
    assert.deepEqual(rig.data.get(2), Buffer.concat([first.bytes, both.bytes]));
    assert.equal(rig.zone(0, 1)?.length, writer.offset);
    assert.equal(rig.zone(0, 1)?.batches, 3);
    const seal = rig.seal(0, 1, 2);
    rig.settle();
    assert.deepEqual(sealAnswer(rig, seal), { length: writer.offset, seen: 0, doubtful: false, tail: 'clean' });
    assert.equal(rig.outcome(rig.append(writer.filled(10))), 'fenced', 'it takes no appends for that');
  });

  test('and says nothing of an empty one, wherever it is', () => {
    const { rig, first, second } = shorterCopy();
    for (const { offset } of [first, second])
      assert.equal(rig.outcome(rig.fill(fillOf({ ...second, offset, bytes: Buffer.alloc(0) }))), 'malformed');
  });

  test('S3 it is answered only behind the sync that covers it, a repetition of it too', () => {
    const { rig, second, third } = shorterCopy();
    const fill = rig.fill(fillOf(second));
    rig.endTurn();
    const next = rig.fill(fillOf(third));
    const again = rig.fill(fillOf(third));
    assert.deepEqual(
      [fill, next, again].map((ticket) => rig.outcome(ticket)),
      ['waiting', 'waiting', 'waiting'],
    );
    assert.equal(rig.machine.readable(second.shard, second.zone, second.offset, 1).kind, 'refused');
    rig.synced();
    assert.deepEqual(rig.answers.get(fill), { kind: 'filled', length: third.offset });
    assert.equal(rig.outcome(next), 'waiting');
    assert.equal(rig.outcome(again), 'waiting');
    rig.synced();
    assert.equal(rig.outcome(next), 'ok');
    assert.equal(rig.outcome(again), 'ok');
  });

  test('S3 a seal is answered also when a Fill came behind it', () => {
    const { rig, writer, second } = shorterCopy();
    const seal = rig.seal(0, 1, 2);
    rig.append(new ZoneWriter({ shard: 1 }).filled(10));
    const later = rig.seal(0, 1, 3);
    rig.endTurn();
    rig.fill(fillOf(second, testWriter(3)));
    rig.settle();
    assert.deepEqual([rig.outcome(seal), rig.outcome(later)], ['ok', 'ok']);
    const last = rig.seal(0, 1, 3);
    rig.settle();
    assert.deepEqual(sealAnswer(rig, last), {
      length: second.offset + second.bytes.length,
      seen: 0,
      doubtful: false,
      tail: 'clean',
    });
    assert.ok(writer.offset > second.offset);
  });

  test('S17 a failed device answers none', () => {
    const { rig, second, third } = shorterCopy();
    const waiting = rig.fill(fillOf(second));
    rig.endTurn();
    rig.step({ kind: 'device-failed' });
    assert.equal(rig.outcome(waiting), 'device-failed');
    assert.equal(rig.outcome(rig.fill(fillOf(third))), 'device-failed');
  });

  test('S3 it is the one write in a zone found open after a restart', () => {
    const { rig: before, writer, first, second, third } = shorterCopy();
    const rig = before.restarted({}, { '0/1': { length: second.offset } });
    assert.equal(rig.zone(0, 1)?.state, 'fenced');
    assert.equal(rig.outcome(rig.append(second)), 'fenced');
    const fill = rig.fill(fillOf(second));
    rig.settle();
    assert.deepEqual(rig.answers.get(fill), { kind: 'filled', length: third.offset });
    const unsealed = before.restarted({}, { '0/1': { length: second.offset } });
    const seal = unsealed.seal(0, 1, 3);
    const next = unsealed.fill(fillOf(second, testWriter(3)));
    const last = unsealed.fill(fillOf(third, testWriter(3)));
    unsealed.settle();
    assert.deepEqual(
      [seal, next, last].map((ticket) => unsealed.outcome(ticket)),
      ['ok', 'ok', 'ok'],
    );
    assert.deepEqual(unsealed.data.get(2), Buffer.concat([first.bytes, second.bytes, third.bytes]));
    const finish = unsealed.finish(0, 1, writer.offset);
    unsealed.settle();
    assert.equal(unsealed.outcome(finish), 'ok', 'S10 it holds what was filled');
  });

  test('it replaces only the bytes that it carries: what lies behind a damaged batch stays', () => {
    const before = new Rig();
    const writer = new ZoneWriter();
    const [first, second, third] = [writer.filled(10), writer.filled(10), writer.filled(10)];
    for (const item of [first, second, third]) before.append(item);
    before.settle();
    const damaged = Buffer.from(before.data.get(2) ?? []);
    damaged.fill(0xff, second.offset, second.offset + 20);
    before.data.set(2, damaged);
    const rig = before.restarted({}, { '0/1': { length: second.offset, seen: third.offset, tail: 'damaged' } });
    const seal = rig.seal(0, 1, 2);
    const fill = rig.fill(fillOf(second));
    rig.settle();
    assert.deepEqual([rig.outcome(seal), rig.outcome(fill)], ['ok', 'ok']);
    assert.deepEqual(rig.data.get(2), Buffer.concat([first.bytes, second.bytes, third.bytes]));
    assert.equal(rig.zone(0, 1)?.length, third.offset, 'which is not known to be intact');
  });

  test('a zone that was never seen is created by its header, and is of the writer that this names', () => {
    const rig = new Rig();
    const writer = new ZoneWriter({ zone: 4, instance: other });
    const [first, second] = [writer.filled(10), writer.filled(10)];
    rig.seal(0, 4, 2);
    const fills = [rig.fill(fillOf(first)), rig.fill(fillOf(second))];
    rig.settle();
    assert.deepEqual(
      fills.map((ticket) => rig.outcome(ticket)),
      ['ok', 'ok'],
    );
    const { epoch, instance, state, length } = rig.zone(0, 4) ?? {};
    assert.deepEqual(
      { epoch, instance, state, length },
      { ...testWriter(1, other), state: 'fenced', length: writer.offset },
    );
    const after = rig.restarted({}, { '0/4': { length: writer.offset } });
    assert.equal(after.zone(0, 4)?.instance, other);
    assert.equal(after.outcome(after.append(new ZoneWriter({ zone: 3, epoch: 2 }).filled(10))), 'retired-zone');
  });
});

describe('S19 a Fill is refused', () => {
  /** The code of the refusal, after which nothing is changed. */
  function refused(rig: Rig, item: FillItem): string {
    const before = [rig.persisted.length, rig.data.get(2), rig.zone(0, 1)];
    const code = rig.outcome(rig.fill(item));
    assert.deepEqual([rig.persisted.length, rig.data.get(2), rig.zone(0, 1)], before, 'nothing is changed');
    return code;
  }

  test('without exactly the fence of its taker', () => {
    const { rig, second } = shorterCopy();
    assert.equal(refused(rig, fillOf(second, testWriter(3))), 'unsealed');
    assert.equal(refused(rig, fillOf(second, testWriter(3, other))), 'unsealed');
    assert.equal(refused(rig, fillOf(second, testWriter(2, other))), 'fenced');
    assert.equal(refused(rig, fillOf(second, testWriter(1))), 'fenced');
    rig.seal(0, 1, 3);
    assert.equal(refused(rig, fillOf(second)), 'fenced', 'its taker is superseded');
    const unfenced = new Rig();
    unfenced.append(new ZoneWriter().filled(10));
    assert.equal(refused(unfenced, fillOf(second)), 'unsealed');
  });

  test('the fence is checked before an identical repetition: it is never the acknowledgement of an old owner', () => {
    const { rig, first } = shorterCopy();
    assert.equal(refused(rig, fillOf(first, testWriter(1))), 'fenced');
    assert.equal(refused(rig, fillOf(first, testWriter(2, other))), 'fenced');
    assert.equal(refused(rig, fillOf(first, testWriter(3))), 'unsealed');
    assert.equal(rig.outcome(rig.fill(fillOf(first))), 'ok', 'the taker itself gets it');
  });

  test('for a finished zone, also an identical repetition', () => {
    const { rig, first, second } = shorterCopy();
    rig.finish(0, 1, second.offset);
    rig.settle();
    for (const each of [rig, rig.restarted()]) {
      assert.equal(refused(each, fillOf(second)), 'sealed');
      assert.equal(refused(each, fillOf(first)), 'sealed');
    }
  });

  test('for a zone that a finish cut off meanwhile', () => {
    const { rig, second } = shorterCopy();
    const fill = rig.fill(fillOf(second));
    rig.finish(0, 1, second.offset);
    rig.settle();
    assert.equal(rig.outcome(fill), 'sealed');
  });

  test('for a zone that was reset, or whose id is retired', () => {
    const { rig, first } = shorterCopy();
    rig.reset(0, 1, rig.zone(0, 1)?.copyId ?? '');
    rig.settle();
    const below = new Rig();
    below.append(new ZoneWriter({ zone: 7 }).filled(10));
    below.seal(0, 7, 2);
    below.settle();
    for (const each of [rig, rig.restarted(), below]) assert.equal(refused(each, fillOf(first)), 'retired-zone');
  });

  test("for the taker's own zone, seen or unseen", () => {
    const { rig } = shorterCopy();
    const own = new ZoneWriter({ zone: 2, epoch: 2 });
    const first = own.filled(10);
    assert.equal(refused(rig, fillOf(first)), 'malformed', 'the header names the taker');
    rig.append(first);
    rig.settle();
    assert.equal(refused(rig, fillOf(own.filled(10))), 'other-epoch');
    assert.equal(refused(rig, fillOf(first)), 'other-epoch');
    const later = new ZoneWriter({ zone: 3, epoch: 3 });
    assert.equal(refused(rig, fillOf(later.filled(10))), 'malformed', 'nor that of a later epoch');
  });

  test('anywhere but at the intact length, and says where that is', () => {
    const { rig, second, third } = shorterCopy();
    const gap = rig.fill(fillOf(third));
    assert.equal(rig.outcome(gap), 'not-at-write-pointer');
    assert.equal((rig.answers.get(gap) as { detail: number }).detail, second.offset);
    const across = { ...second, offset: second.offset - 10, bytes: Buffer.alloc(20) };
    assert.equal(refused(rig, fillOf(across)), 'not-at-write-pointer');
    const unseen = new ZoneWriter({ zone: 2 });
    unseen.filled(10);
    assert.equal(refused(rig, fillOf(unseen.filled(10))), 'not-at-write-pointer', 'of a zone that is not here');
  });

  test('below the intact length, unless the bytes are those that are held', () => {
    const { rig, first, second } = shorterCopy();
    const again = rig.fill(fillOf(first));
    assert.deepEqual(rig.answers.get(again), { kind: 'filled', length: second.offset }, 'at once: they are stable');
    const changed = Buffer.from(first.bytes);
    changed.writeUInt8(changed.readUInt8(100) ^ 1, 100);
    assert.equal(refused(rig, fillOf({ ...first, bytes: changed })), 'not-at-write-pointer');
  });

  test('when a byte of it is not good for its place', () => {
    const { rig, second } = shorterCopy();
    const { bytes } = second;
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    assert.equal(refused(rig, fillOf({ ...second, bytes: damaged })), 'malformed', 'an append is not read so far');
    assert.equal(refused(rig, fillOf({ ...second, bytes: bytes.subarray(0, -1) })), 'malformed', 'cut');
    assert.equal(refused(rig, fillOf({ ...second, bytes: Buffer.concat([bytes, bytes]) })), 'malformed', 'twice');
    const stranger = new ZoneWriter({ instance: other });
    stranger.filled(10);
    assert.equal(refused(rig, fillOf(stranger.filled(10))), 'malformed', 'S16 another instance wrote them');
    const headless = new ZoneWriter({ zone: 2 }).filled(10);
    assert.equal(refused(rig, fillOf({ ...headless, bytes: headless.bytes.subarray(64) })), 'malformed', 'no header');
    assert.equal(refused(rig, fillOf({ ...headless, zone: zoneId(3) })), 'malformed', 'the header of another zone');
    assert.equal(refused(rig, fillOf({ ...headless, shard: shardId(1) }, testWriter(2))), 'unsealed');
  });

  test('when there is no space, or no end of the zone', () => {
    const { rig, second } = shorterCopy();
    rig.full = true;
    assert.equal(refused(rig, fillOf(second)), 'device-full');
    const crowded = new Rig({ deviceZones: [2] });
    crowded.append(new ZoneWriter().filled(10));
    crowded.seal(0, 2, 2);
    crowded.settle();
    assert.equal(refused(crowded, fillOf(new ZoneWriter({ zone: 2 }).filled(10))), 'device-full');
  });
});
