/** S10: which copies of zones that ended a logger takes, and when it answers for them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { instanceId, zoneId } from '../../../src/base/ids.ts';
import { zoneHeaderLength } from '../../../src/codec/log-format.ts';
import type { AppendItem, CopyItem } from '../../../src/codec/logger-protocol.ts';
import { testWriter } from '../../logger/zone-writer.ts';
import { Rig, ZoneWriter } from './rig.ts';

const nothing = new Uint8Array(0);

/** What a holder holds, as the owner of epoch 3 sends it. */
function copyOf({ shard, zone, epoch, instance, offset, bytes }: AppendItem, length: number): CopyItem {
  return { shard, zone, writer: { epoch, instance }, by: testWriter(3), length, offset, bytes, replaces: '' };
}

/** Three batches of a zone of epoch 1, which ends behind them. */
function zoneOf(): { first: AppendItem; second: AppendItem; third: AppendItem; length: number } {
  const writer = new ZoneWriter();
  const [first, second, third] = [writer.filled(10), writer.filled(10), writer.filled(10)];
  return { first, second, third, length: writer.offset };
}

function answerTo(rig: Rig, item: CopyItem): unknown {
  const ticket = rig.copy(item);
  rig.settle();
  const answer = rig.answers.get(ticket);
  return answer?.kind === 'copied' ? answer.length : rig.outcome(ticket);
}

describe('S10 a copy of a zone that ended', () => {
  test('is made of a zone that holds its header and nothing else', () => {
    const { first } = zoneOf();
    const length = zoneHeaderLength(1);
    const header = { ...copyOf(first, length), bytes: first.bytes.subarray(0, length) };
    const rig = new Rig();
    assert.equal(answerTo(rig, header), length);
    const finish = rig.finish(0, 1, length);
    rig.settle();
    assert.equal(rig.outcome(finish), 'ok');
    assert.equal(answerTo(rig.restarted(), { ...header, bytes: nothing }), length);
    const append = rig.append({ ...first, zone: zoneId(2), bytes: header.bytes });
    assert.equal(rig.outcome(append), 'malformed', 'an append carries a batch');
  });

  test('is made where it was never seen, piece by piece, also below the zone floor', () => {
    const { first, second, third, length } = zoneOf();
    const rig = new Rig();
    rig.append(new ZoneWriter({ zone: 9 }).filled(10));
    rig.settle();
    assert.equal(answerTo(rig, { ...copyOf(first, length), bytes: nothing }), 0);
    for (const batch of [first, second, third])
      assert.equal(answerTo(rig, copyOf(batch, length)), batch.offset + batch.bytes.length);
    assert.equal(rig.zone(0, 1)?.state, 'copying');
    const finish = rig.finish(0, 1, length);
    rig.settle();
    assert.equal(rig.outcome(finish), 'ok');
    assert.equal(rig.zone(0, 1)?.state, 'finished');
    assert.equal(answerTo(rig, { ...copyOf(first, length), bytes: nothing }), length);
  });

  test('goes on where one ends that was left half done, and tells how much a repetition found', () => {
    const { first, second, third, length } = zoneOf();
    const rig = new Rig();
    rig.append(first);
    rig.settle();
    assert.equal(answerTo(rig, { ...copyOf(first, length), bytes: nothing }), second.offset);
    assert.equal(answerTo(rig, copyOf(third, length)), 'not-at-write-pointer');
    assert.equal(answerTo(rig, copyOf(second, length)), third.offset);
    assert.equal(answerTo(rig, copyOf(first, length)), third.offset, 'the same bytes once more');
    const other = { ...copyOf(first, length), bytes: Buffer.from(first.bytes).fill(1) };
    assert.equal(answerTo(rig, other), 'not-at-write-pointer', 'other bytes, where some are held (S11)');
  });

  test('takes no appends any more', () => {
    const { first, second, third, length } = zoneOf();
    const rig = new Rig();
    rig.append(first);
    rig.settle();
    answerTo(rig, copyOf(second, length));
    const late = rig.append(third);
    rig.settle();
    assert.equal(rig.outcome(late), 'sealed');
  });

  test('S3 is answered only behind the sync that covers it', () => {
    const { first, length } = zoneOf();
    const rig = new Rig();
    const ticket = rig.copy(copyOf(first, length));
    assert.equal(rig.outcome(ticket), 'waiting');
    rig.endTurn();
    assert.equal(rig.outcome(ticket), 'waiting');
    rig.synced();
    assert.equal(rig.outcome(ticket), 'ok');
  });
});

describe('S10 a copy is refused', () => {
  const { first, length } = zoneOf();
  const copy = copyOf(first, length);

  test('S4 when a deposed owner orders it', () => {
    const rig = new Rig();
    rig.seal(0, 7, 4);
    rig.settle();
    assert.equal(answerTo(rig, copy), 'fenced');
    rig.ownerKnown(0, 5);
    assert.equal(answerTo(rig, { ...copy, by: { ...testWriter(5), instance: instanceId('9'.repeat(16)) } }), 'fenced');
  });

  test('S16 when its bytes are of another place, damaged, or end behind the sealed length', () => {
    const rig = new Rig();
    assert.equal(answerTo(rig, { ...copy, writer: testWriter(2) }), 'malformed');
    const damaged = Buffer.from(first.bytes);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
    assert.equal(answerTo(rig, { ...copy, bytes: damaged }), 'malformed');
    assert.equal(answerTo(rig, { ...copy, length: first.bytes.length - 1 }), 'malformed');
    assert.equal(rig.zone(0, 1), undefined, 'nothing of it was written');
  });

  test('S2 when the zone that is held belongs to another writer, and when it is finished', () => {
    const rig = new Rig();
    rig.append(first);
    rig.settle();
    assert.equal(answerTo(rig, { ...copy, writer: testWriter(2) }), 'other-epoch');
    rig.finish(0, 1, first.bytes.length);
    rig.settle();
    assert.equal(answerTo(rig, copy), 'sealed');
  });

  test('when no device zone is free, and by a device that failed (S17)', () => {
    assert.equal(answerTo(new Rig({ deviceZones: [] }), copy), 'device-full');
    const rig = new Rig();
    rig.step({ kind: 'device-failed' });
    assert.equal(answerTo(rig, copy), 'device-failed');
  });
});

describe('S10 a copy in the place of a damaged one', () => {
  /** A finished zone of three batches, and an order to begin it anew. */
  function finishedZone(): { rig: Rig; anew: CopyItem; rest: CopyItem; length: number } {
    const { first, second, third, length } = zoneOf();
    const rig = new Rig();
    for (const item of [first, second, third]) rig.append(item);
    rig.settle();
    rig.finish(0, 1, length);
    rig.settle();
    const rest = Buffer.concat([second.bytes, third.bytes]);
    const anew = { ...copyOf(first, length), replaces: rig.zone(0, 1)?.copyId ?? '' };
    return { rig, anew, rest: { ...copyOf(second, length), bytes: rest }, length };
  }

  test('is begun when its first bytes are written, bears another name, and goes on like any copy', () => {
    const { rig, anew, rest, length } = finishedZone();
    assert.equal(answerTo(rig, anew), anew.bytes.length);
    const copy = rig.zone(0, 1);
    assert.equal(copy?.state, 'copying');
    assert.notEqual(copy.copyId, anew.replaces);
    assert.equal(answerTo(rig, rest), length);
  });

  test('is refused by a late order, which names the copy before', () => {
    const { rig, anew } = finishedZone();
    assert.equal(answerTo(rig, anew), anew.bytes.length);
    const { copyId } = rig.zone(0, 1) ?? {};
    assert.equal(answerTo(rig, anew), 'other-copy');
    assert.equal(rig.zone(0, 1)?.copyId, copyId);
  });

  test('S4 is refused to an owner before the one that asked about the copy', () => {
    const { rig, anew } = finishedZone();
    assert.equal(answerTo(rig, { ...anew, by: testWriter(4), bytes: nothing, replaces: '' }), anew.length);
    assert.equal(answerTo(rig, anew), 'fenced');
    assert.equal(rig.zone(0, 1)?.state, 'finished');
  });

  test('leaves the old one where there is no room, and where its bytes are damaged', () => {
    const { rig, anew } = finishedZone();
    const damaged = Buffer.from(anew.bytes);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
    assert.equal(answerTo(rig, { ...anew, bytes: damaged }), 'malformed');
    assert.equal(rig.zone(0, 1)?.copyId, anew.replaces);
  });
});
