import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { epoch, shardId, zoneId } from '../../../src/base/ids.ts';
import { loggerRefusals } from '../../../src/codec/logger-protocol.ts';
import { put, testWriter } from '../../logger/zone-writer.ts';
import { Rig, sealAnswer, ZoneWriter } from './rig.ts';

describe('S3 stable before answered', () => {
  test('an append is answered when a sync that began after it was written has returned', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    const first = rig.append(writer.filled(10));
    rig.endTurn();
    const second = rig.append(writer.filled(10));
    assert.equal(rig.outcome(first), 'waiting');
    rig.synced();
    assert.equal(rig.outcome(first), 'ok');
    assert.equal(rig.outcome(second), 'waiting');
    rig.synced();
    assert.equal(rig.outcome(second), 'ok');
  });

  test('all appends of a turn are covered by one sync, and the next sync begins when it has returned', () => {
    const rig = new Rig();
    const writers = [1, 2, 3].map((shard) => new ZoneWriter({ shard }));
    const tickets = writers.flatMap((writer) => [rig.append(writer.filled(10)), rig.append(writer.filled(20))]);
    rig.endTurn();
    assert.equal(rig.syncs, 1);
    const later = writers.map((writer) => rig.append(writer.filled(30)));
    rig.endTurn();
    assert.equal(rig.syncs, 1, 'one sync at a time');
    rig.synced();
    assert.equal(rig.syncs, 2, 'at once, not at the end of a turn');
    assert.deepEqual(
      tickets.map((ticket) => rig.outcome(ticket)),
      tickets.map(() => 'ok'),
    );
    rig.synced();
    assert.deepEqual(
      later.map((ticket) => rig.outcome(ticket)),
      ['ok', 'ok', 'ok'],
    );
    rig.endTurn();
    assert.equal(rig.syncs, 2, 'nothing to sync');
  });

  test('a seal is answered only when every append accepted before is stable and counted', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    rig.append(writer.filled(10));
    rig.endTurn();
    rig.append(writer.filled(10));
    const seal = rig.seal(0, 1, 2);
    rig.synced();
    assert.equal(rig.outcome(seal), 'waiting');
    rig.synced();
    assert.deepEqual(sealAnswer(rig, seal), { length: writer.offset, seen: 0, doubtful: false, tail: 'clean' });
  });

  test('a repeated seal is not answered before its fence is stable', () => {
    const rig = new Rig();
    const first = rig.seal(0, 1, 2);
    const again = rig.seal(0, 1, 2);
    assert.deepEqual([rig.outcome(first), rig.outcome(again)], ['waiting', 'waiting']);
    rig.settle();
    assert.equal(rig.outcome(again), 'ok');
    assert.equal(rig.outcome(rig.seal(0, 1, 2)), 'ok', 'nothing is unstable any more');
  });

  test('a zone found open after a restart takes no appends, not even repetitions, and is confirmed', () => {
    const before = new Rig();
    const writer = new ZoneWriter();
    const item = writer.filled(10);
    before.append(item);
    before.settle();
    const rig = before.restarted({}, { '0/1': { length: writer.offset } });
    assert.equal(rig.outcome(rig.append(item)), 'restarted');
    assert.equal(rig.outcome(rig.append(writer.filled(10))), 'restarted');
    assert.equal(rig.confirm(0, 1, 1), 'confirmed');
    assert.equal(rig.zone(0, 1)?.state, 'restarted');
  });

  test('a zone of which nothing survived was not found open: it may be created', () => {
    const before = new Rig();
    before.append(new ZoneWriter({ zone: 4 }).filled(10));
    before.settle();
    const rig = before.restarted({}, {});
    assert.equal(rig.zone(0, 4), undefined);
    const again = rig.append(new ZoneWriter({ zone: 4 }).filled(10));
    rig.settle();
    assert.equal(rig.outcome(again), 'ok');
    assert.equal(rig.outcome(rig.append(new ZoneWriter({ zone: 3 }).filled(10))), 'retired-zone');
  });
});

describe('S4 a fence is for ever', () => {
  test('a fenced epoch cannot append, confirm or seal in any zone, seen or unseen', () => {
    const rig = new Rig();
    const writer = new ZoneWriter({ epoch: 3 });
    rig.append(writer.filled(10));
    rig.seal(0, 1, 5);
    assert.equal(rig.outcome(rig.append(writer.filled(10))), 'fenced', 'at once, before the fence is stable');
    rig.settle();
    assert.equal(rig.outcome(rig.append(new ZoneWriter({ epoch: 4, zone: 2 }).filled(10))), 'fenced');
    assert.equal(rig.confirm(0, 1, 3), 'fenced');
    assert.equal(rig.confirm(0, 99, 4), 'fenced');
    const low = rig.seal(0, 1, 4);
    assert.equal(rig.outcome(low), 'fenced');
    const zones = [{ zone: zoneId(1), ...testWriter(3) }];
    const refusal = { kind: 'refused', code: 'fenced', message: loggerRefusals.fenced, detail: 5 };
    assert.deepEqual(rig.answers.get(low), {
      kind: 'sealed',
      answer: { ...refusal, known: { fence: testWriter(5), zones } },
    });
    assert.deepEqual(rig.answers.get(rig.append(writer.filled(10))), refusal);
    assert.equal(rig.zone(0, 1)?.state, 'fenced');
  });

  test('the epoch that sealed may append, and other shards are not concerned', () => {
    const rig = new Rig();
    rig.seal(0, 1, 5);
    const own = rig.append(new ZoneWriter({ epoch: 5, zone: 2 }).filled(10));
    const other = rig.append(new ZoneWriter({ shard: 1, epoch: 1 }).filled(10));
    rig.settle();
    assert.deepEqual([rig.outcome(own), rig.outcome(other)], ['ok', 'ok']);
    assert.equal(rig.confirm(0, 2, 5), 'confirmed');
  });

  test('the fence is persisted also for shards and zones never seen, and survives a restart', () => {
    const rig = new Rig();
    const seal = rig.seal(7, 12, 3);
    assert.deepEqual(rig.persisted, [{ kind: 'fence', shard: 7, ...testWriter(3) }]);
    rig.settle();
    assert.deepEqual(sealAnswer(rig, seal), { length: 0, seen: 0, doubtful: false, tail: 'clean' });
    const after = rig.restarted();
    assert.equal(after.outcome(after.append(new ZoneWriter({ shard: 7, zone: 12, epoch: 2 }).filled(10))), 'fenced');
  });

  test('the fence survives a reset', () => {
    const rig = new Rig();
    rig.append(new ZoneWriter({ epoch: 1 }).filled(10));
    rig.seal(0, 1, 4);
    rig.settle();
    rig.reset(0, 1, rig.zone(0, 1)?.copyId ?? '');
    rig.settle();
    assert.equal(rig.outcome(rig.append(new ZoneWriter({ epoch: 3, zone: 2 }).filled(10))), 'fenced');
    assert.equal(rig.restarted().confirm(0, 1, 3), 'fenced');
  });

  test('a seal that waits for a zone which is dropped meanwhile is told that its id is retired', () => {
    const rig = new Rig();
    rig.append(new ZoneWriter({ zone: 5 }).filled(10));
    const seal = rig.seal(0, 5, 4);
    rig.reset(0, 5, rig.zone(0, 5)?.copyId ?? '');
    rig.settle();
    assert.equal(rig.outcome(seal), 'retired-zone');
  });

  test('creating a zone retires all lower ids, resetting one retires its own, also after a restart', () => {
    const rig = new Rig();
    rig.append(new ZoneWriter({ zone: 5 }).filled(10));
    rig.settle();
    assert.equal(rig.outcome(rig.append(new ZoneWriter({ zone: 4 }).filled(10))), 'retired-zone');
    rig.reset(0, 5, rig.zone(0, 5)?.copyId ?? '');
    rig.settle();
    for (const machine of [rig, rig.restarted()]) {
      assert.equal(machine.outcome(machine.append(new ZoneWriter({ zone: 5 }).filled(10))), 'retired-zone');
      assert.equal(machine.outcome(machine.seal(0, 5, 9)), 'retired-zone');
      const next = machine.append(new ZoneWriter({ zone: 6, epoch: 9 }).filled(10));
      machine.settle();
      assert.equal(machine.outcome(next), 'ok');
    }
  });

  test('sealing a zone for its own epoch is refused: it would not stop its appends', () => {
    const rig = new Rig();
    rig.append(new ZoneWriter({ epoch: 3 }).filled(10));
    assert.equal(rig.outcome(rig.seal(0, 1, 3)), 'other-epoch');
    assert.equal(rig.outcome(rig.seal(0, 1, 2)), 'other-epoch');
    assert.deepEqual(
      rig.persisted.filter((entry) => entry.kind === 'fence'),
      [],
    );
  });
});

describe('S2 one writer per zone', () => {
  test('another epoch cannot append to a zone', () => {
    const rig = new Rig();
    const writer = new ZoneWriter({ epoch: 3 });
    rig.append(writer.filled(10));
    const item = writer.filled(10);
    assert.equal(rig.outcome(rig.append({ ...item, epoch: epoch(4) })), 'other-epoch');
    assert.equal(rig.outcome(rig.append({ ...item, epoch: epoch(2) })), 'other-epoch');
    assert.equal(rig.confirm(0, 1, 4), 'other-epoch');
  });
});

describe('S11 same offset, same bytes', () => {
  test('an append behind or before the write pointer is refused and says where that is', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    rig.append(writer.filled(10));
    const end = writer.offset;
    const skipped = writer.filled(10);
    const far = rig.append(writer.filled(10));
    assert.equal(rig.outcome(far), 'not-at-write-pointer');
    assert.equal((rig.answers.get(far) as { detail: number }).detail, end);
    const fine = rig.append(skipped);
    rig.settle();
    assert.equal(rig.outcome(fine), 'ok');
  });

  test('an identical repetition is acknowledged again, behind the sync that covers it; other bytes never', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    const item = writer.filled(10);
    rig.append(item);
    const again = rig.append(item);
    assert.equal(rig.outcome(again), 'waiting');
    rig.settle();
    assert.equal(rig.outcome(again), 'ok');
    assert.equal(rig.outcome(rig.append(item)), 'ok', 'at once when all is stable');
    const other = new ZoneWriter().next([put('other', Buffer.from('thing'))]);
    assert.equal(rig.outcome(rig.append({ ...other, bytes: other.bytes.subarray(0, 150) })), 'not-at-write-pointer');
    const changed = Buffer.from(item.bytes);
    changed[100] = (changed[100] ?? 0) ^ 1;
    assert.equal(rig.outcome(rig.append({ ...item, bytes: changed })), 'not-at-write-pointer');
    assert.equal(rig.data.get(2)?.equals(item.bytes), true, 'what is held did not change');
  });

  test('only what is stable is readable', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    rig.append(writer.filled(10));
    const readable = (length: number): string => {
      const answer = rig.machine.readable(writer.shard, writer.zone, 0, length);
      return answer.kind === 'ok' ? 'ok' : answer.code;
    };
    assert.equal(readable(1), 'out-of-range');
    rig.settle();
    assert.equal(readable(writer.offset), 'ok');
    assert.equal(readable(writer.offset + 1), 'out-of-range');
    const unseen = rig.machine.readable(shardId(0), zoneId(9), 0, 1);
    assert.deepEqual(unseen, { kind: 'refused', code: 'unknown-zone' });
  });

  test('a zone found open after a restart is readable up to what is known to be committed, though its intact end comes before', () => {
    const before = new Rig();
    before.append(new ZoneWriter({ zone: 1 }).filled(10));
    before.append(new ZoneWriter({ shard: 1 }).filled(10));
    before.settle();
    const rig = before.restarted(
      {},
      { '0/1': { length: 100, seen: 500, tail: 'damaged' }, '1/1': { length: 100, seen: 64, tail: 'torn' } },
    );
    assert.equal(rig.machine.readable(shardId(0), zoneId(1), 400, 100).kind, 'ok');
    assert.equal(rig.machine.readable(shardId(0), zoneId(1), 400, 101).kind, 'refused');
    assert.equal(rig.machine.readable(shardId(1), zoneId(1), 0, 101).kind, 'refused');
  });
});

describe('finish and reset', () => {
  function sealed(): { rig: Rig; writer: ZoneWriter; middle: number } {
    const rig = new Rig();
    const writer = new ZoneWriter();
    rig.append(writer.filled(10));
    const middle = writer.offset;
    rig.append(writer.filled(10));
    rig.settle();
    return { rig, writer, middle };
  }

  test('a finished zone takes no appends and is read up to its length only', () => {
    const { rig, writer, middle } = sealed();
    const finish = rig.finish(0, 1, middle);
    assert.equal(rig.outcome(finish), 'waiting');
    rig.settle();
    assert.equal(rig.outcome(finish), 'ok');
    assert.equal(rig.outcome(rig.append(writer.filled(10))), 'sealed');
    assert.equal(rig.machine.readable(shardId(0), zoneId(1), 0, middle).kind, 'ok');
    assert.equal(rig.machine.readable(shardId(0), zoneId(1), 0, middle + 1).kind, 'refused');
    assert.equal(rig.outcome(rig.finish(0, 1, middle)), 'ok', 'a repetition');
    assert.equal(rig.outcome(rig.finish(0, 1, middle - 1)), 'sealed');
    const after = rig.restarted();
    assert.equal(after.zone(0, 1)?.length, middle);
    assert.equal(after.outcome(after.append(writer.filled(10))), 'sealed');
  });

  test('S10 a length that is not held, or not stable, is refused', () => {
    const { rig, writer } = sealed();
    assert.equal(rig.outcome(rig.finish(0, 1, writer.offset + 1)), 'not-held');
    rig.append(writer.filled(10));
    assert.equal(rig.outcome(rig.finish(0, 1, writer.offset)), 'not-held');
    assert.equal(rig.outcome(rig.finish(0, 2, 0)), 'unknown-zone');
  });

  test('an append that a finish cut off is not acknowledged', () => {
    const { rig, writer, middle } = sealed();
    const late = rig.append(writer.filled(10));
    rig.finish(0, 1, middle);
    rig.settle();
    assert.equal(rig.outcome(late), 'sealed');
  });

  test('S19 finish keeps what is intact past the length, and everything behind a tail that is not clean', () => {
    const { rig, writer, middle } = sealed();
    rig.finish(0, 1, middle);
    assert.deepEqual(rig.finished, [{ deviceZone: 2, length: middle, keptTo: writer.offset }]);
    const { rig: other } = sealed();
    for (const tail of ['torn', 'damaged'] as const) {
      const after = other.restarted({}, { '0/1': { length: middle, tail } });
      after.finish(0, 1, middle);
      assert.deepEqual(after.finished, [{ deviceZone: 2, length: middle, keptTo: 1024 * 1024 }], tail);
    }
  });

  test('S10 a late order to delete does not hit another copy', () => {
    const { rig } = sealed();
    const copyId = rig.zone(0, 1)?.copyId ?? '';
    assert.equal(rig.outcome(rig.reset(0, 1, 'f'.repeat(16))), 'other-copy');
    const reset = rig.reset(0, 1, copyId);
    assert.equal(rig.outcome(reset), 'waiting');
    rig.settle();
    assert.equal(rig.outcome(reset), 'ok');
    assert.equal(rig.outcome(rig.reset(0, 1, copyId)), 'unknown-zone');
    assert.equal(rig.restarted().zone(0, 1), undefined);
  });

  test('a device zone is used again only when its reset is stable', () => {
    const rig = new Rig({ deviceZones: [2] });
    rig.append(new ZoneWriter().filled(10));
    rig.settle();
    rig.reset(0, 1, rig.zone(0, 1)?.copyId ?? '');
    const next = new ZoneWriter({ zone: 2 });
    const item = next.filled(10);
    assert.equal(rig.outcome(rig.append(item)), 'device-full');
    rig.endTurn();
    assert.equal(rig.outcome(rig.append(item)), 'device-full');
    rig.synced();
    const fine = rig.append(item);
    rig.settle();
    assert.equal(rig.outcome(fine), 'ok');
  });

  test('S9 a seal after a restart says what the scan found', () => {
    const before = sealed().rig;
    const rig = before.restarted({}, { '0/1': { length: 100, seen: 64, tail: 'torn' } });
    const seal = rig.seal(0, 1, 2);
    rig.settle();
    assert.deepEqual(sealAnswer(rig, seal), { length: 100, seen: 64, doubtful: false, tail: 'torn' });
    const doubtful = before.restarted({}, { '0/1': { length: 100, seen: 300, tail: 'damaged' } });
    const other = doubtful.seal(0, 1, 2);
    doubtful.settle();
    assert.deepEqual(sealAnswer(doubtful, other), { length: 100, seen: 300, doubtful: true, tail: 'damaged' });
    const behind = before.restarted({}, { '0/1': { length: 100, seen: 300, tail: 'torn' } });
    const third = behind.seal(0, 1, 2);
    behind.settle();
    assert.deepEqual(sealAnswer(behind, third), { length: 100, seen: 300, doubtful: true, tail: 'torn' });
  });
});

describe('S17 a failed sync is final', () => {
  test('everything that waits and everything later is refused; reads below the last good sync go on', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    rig.append(writer.filled(10));
    rig.settle();
    const stable = writer.offset;
    const covered = rig.append(writer.filled(10));
    rig.endTurn();
    const waiting = rig.append(writer.filled(10));
    const seal = rig.seal(1, 1, 5);
    rig.step({ kind: 'device-failed' });
    const later = [
      rig.append(writer.filled(10)),
      rig.seal(0, 1, 9),
      rig.finish(0, 1, stable),
      rig.reset(0, 1, rig.zone(0, 1)?.copyId ?? ''),
    ];
    assert.deepEqual(
      [covered, waiting, seal, ...later].map((ticket) => rig.outcome(ticket)),
      Array(7).fill('device-failed'),
    );
    assert.equal(rig.confirm(0, 1, 1), 'device-failed');
    rig.endTurn();
    rig.step({ kind: 'synced' });
    assert.equal(rig.syncs, 2, 'no sync is tried again');
    assert.equal(rig.machine.readable(shardId(0), zoneId(1), 0, stable).kind, 'ok');
    assert.equal(rig.machine.readable(shardId(0), zoneId(1), 0, stable + 1).kind, 'refused');
  });
});

describe('the machine holds its caller to the rules', () => {
  test('S3 a sync that did not begin cannot return', () => {
    assert.throws(() => new Rig().synced(), /S3/);
  });

  test('S11, S16 a write that went to another place is not taken', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    rig.append(writer.filled(10));
    const skipped = writer.filled(10);
    const next = { ticket: 'x', item: skipped, deviceZone: 2, batches: 1, committed: 0, fills: false };
    assert.throws(() => rig.step({ kind: 'written', write: { ...next, deviceZone: 3 } }), /S16/);
    assert.throws(() => rig.step({ kind: 'written', write: { ...next, item: writer.filled(10) } }), /S11/);
  });

  test('S2, S4 a write behind the back of the checks is not taken', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    const item = writer.filled(10);
    rig.append(item);
    const next = { ticket: 'x', item: writer.filled(10), deviceZone: 2, batches: 1, committed: 0, fills: false };
    rig.seal(0, 1, 2);
    assert.throws(() => rig.step({ kind: 'written', write: next }), /S4/);
    assert.throws(
      () => rig.step({ kind: 'written', write: { ...next, item: { ...next.item, epoch: epoch(3) } } }),
      /S2/,
    );
  });
});
