import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import type { RestoredState, RestoredZone } from '../../../src/core/logger/restored-state.ts';
import { emptyState } from '../../../src/core/logger/restored-state.ts';
import type { ZoneName } from '../../../src/core/logger/zone-table.ts';
import { ZoneTable } from '../../../src/core/logger/zone-table.ts';

const options = { cluster: uuid('c'.repeat(32)), zoneSize: 4_096, deviceZones: [2, 3] };
const shard = shardId(7);

function name(zone: number, of = shard): ZoneName {
  return { shard: of, zone: zoneId(zone), epoch: epoch(1) };
}

function create(table: ZoneTable, zone: number, of = shard): void {
  const deviceZone = table.nextDeviceZone;
  assert.ok(deviceZone !== undefined);
  table.create(name(zone, of), deviceZone, zone.toString(16).padStart(16, '0'));
}

function restored(...zones: readonly Partial<RestoredZone>[]): RestoredState {
  const all = zones.map((zone, index) => ({
    ...name(index + 1),
    deviceZone: index + 2,
    copyId: 'a'.repeat(16),
    finished: false,
    length: 100,
    seen: 64,
    batches: 1,
    tail: 'clean' as const,
    ...zone,
  }));
  return { ...emptyState, zones: all };
}

test('S4 fences only rise, by shard, and say so once', () => {
  const table = new ZoneTable(options, emptyState);
  assert.equal(table.isFenced(shard, epoch(1)), false);
  assert.deepEqual(table.raiseFence(shard, epoch(5)), [{ kind: 'fence', shard, epoch: 5 }]);
  assert.deepEqual(table.raiseFence(shard, epoch(5)), []);
  assert.deepEqual(table.raiseFence(shard, epoch(4)), []);
  assert.deepEqual(
    [4, 5, 6].map((at) => table.isFenced(shard, epoch(at))),
    [true, false, false],
  );
  assert.equal(table.isFenced(shardId(8), epoch(1)), false);
});

test('S4 zone floors only rise, and say so once', () => {
  const table = new ZoneTable(options, emptyState);
  assert.deepEqual(table.retire(shard, 3), [{ kind: 'zone-floor', shard, zone: 3 }]);
  assert.deepEqual(table.retire(shard, 2), []);
  assert.equal(table.zoneFloorOf(shard), 3);
  assert.deepEqual(table.retire(shard, 0), []);
});

test('a device zone holds one zone, and is used again when it was released', () => {
  const table = new ZoneTable(options, emptyState);
  create(table, 1);
  create(table, 2);
  assert.equal(table.nextDeviceZone, undefined);
  const first = table.find(shard, zoneId(1));
  assert.ok(first !== undefined);
  table.remove(first);
  assert.equal(table.find(shard, zoneId(1)), undefined);
  assert.equal(table.nextDeviceZone, undefined, 'its reset is not stable');
  table.release([first.deviceZone]);
  assert.equal(table.nextDeviceZone, first.deviceZone);
  assert.equal(table.zoneCount, 1);
  assert.throws(() => table.remove(first), /is held/);
});

test('S2 a zone id is used once at a time', () => {
  const table = new ZoneTable(options, emptyState);
  create(table, 1);
  assert.throws(() => create(table, 1), /S2/);
});

test('S11 a restart that finds two zones in one device zone ends', () => {
  assert.throws(() => new ZoneTable(options, restored({}, { deviceZone: 2 })), /S11/);
});

test('S3 what a restart found open is restarted, what was finished stays so', () => {
  const table = new ZoneTable(options, restored({}, { finished: true }));
  assert.deepEqual(
    table.report(shard, () => 0).map((zone) => [zone.zone, zone.state, zone.length]),
    [
      [1, 'restarted', 100],
      [2, 'finished', 100],
    ],
  );
  table.raiseFence(shard, epoch(2));
  assert.deepEqual(
    table.report(undefined, () => 0).map((zone) => zone.state),
    ['fenced', 'finished'],
  );
});

test('a checkpoint restores the table', () => {
  const table = new ZoneTable(options, restored({}, { finished: true }));
  table.raiseFence(shard, epoch(2));
  table.retire(shard, 1);
  table.raiseFence(shardId(9), epoch(4));
  assert.deepEqual(table.snapshot(), [
    { kind: 'fence', shard, epoch: 2 },
    { kind: 'zone-floor', shard, zone: 1 },
    { kind: 'zone', ...name(1), deviceZone: 2, copyId: 'a'.repeat(16), state: 'open', length: 0, batches: 0 },
    { kind: 'zone', ...name(2), deviceZone: 3, copyId: 'a'.repeat(16), state: 'finished', length: 100, batches: 1 },
    { kind: 'fence', shard: 9, epoch: 4 },
  ]);
});
