import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instanceId, shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import { limits } from '../../../src/base/limits.ts';
import type { ZoneRef } from '../../../src/codec/logger-protocol.ts';
import type { RestoredState, RestoredZone } from '../../../src/core/logger/restored-state.ts';
import { emptyState } from '../../../src/core/logger/restored-state.ts';
import { ZoneTable } from '../../../src/core/logger/zone-table.ts';
import { testInstance, testWriter } from '../../logger/zone-writer.ts';

const options = { cluster: uuid('c'.repeat(32)), zoneSize: 4_096, deviceZones: [2, 3] };
const shard = shardId(7);

function name(zone: number, of = shard): ZoneRef {
  return { shard: of, zone: zoneId(zone), ...testWriter(1) };
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
  assert.equal(table.isFenced(shard, testWriter(1)), false);
  assert.deepEqual(table.raiseFence(shard, testWriter(5)), [
    { kind: 'fence', shard, epoch: 5, instance: testInstance },
  ]);
  assert.deepEqual(table.raiseFence(shard, testWriter(5)), []);
  assert.deepEqual(table.raiseFence(shard, testWriter(4)), []);
  assert.deepEqual(
    [4, 5, 6].map((at) => table.isFenced(shard, testWriter(at))),
    [true, false, false],
  );
  assert.equal(table.isFenced(shardId(8), testWriter(1)), false);
});

test('S4 another instance of the fenced epoch is refused, and never becomes the fence', () => {
  const other = instanceId('2'.repeat(16));
  const table = new ZoneTable(options, emptyState);
  table.raiseFence(shard, testWriter(5));
  assert.deepEqual(table.raiseFence(shard, testWriter(5, other)), []);
  assert.deepEqual(table.fenceOf(shard), testWriter(5));
  assert.deepEqual(
    [4, 5, 6].map((at) => table.isFenced(shard, testWriter(at, other))),
    [true, true, false],
  );
  assert.deepEqual(table.raiseFence(shard, testWriter(6, other)), [
    { kind: 'fence', shard, epoch: 6, instance: other },
  ]);
  assert.deepEqual(table.fenceOf(shard), testWriter(6, other));
});

test('S20 a taker is told the fence and the newest zones, at most as many as the limit', () => {
  const newest = limits.knownZonesMax + 5;
  const deviceZones = Array.from({ length: newest }, (_, index) => index + 2);
  const table = new ZoneTable({ ...options, deviceZones }, emptyState);
  for (let zone = 1; zone <= newest; zone++) create(table, zone);
  table.raiseFence(shard, testWriter(3));
  const { fence, zones } = table.knowledgeOf(shard);
  assert.deepEqual(fence, testWriter(3));
  assert.equal(zones.length, limits.knownZonesMax);
  assert.deepEqual([zones[0], zones.at(-1)?.zone], [{ zone: newest, ...testWriter(1) }, 6]);
  assert.deepEqual(table.knowledgeOf(shardId(9)), { fence: undefined, zones: [] });
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
  assert.equal(table.zonesLeft, 1);
  create(table, 2);
  assert.equal(table.zonesLeft, 0);
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
  table.raiseFence(shard, testWriter(2));
  assert.deepEqual(
    table.report(undefined, () => 0).map((zone) => zone.state),
    ['fenced', 'finished'],
  );
});

test('a checkpoint restores the table', () => {
  const table = new ZoneTable(options, restored({}, { finished: true }));
  table.raiseFence(shard, testWriter(2));
  table.retire(shard, 1);
  table.raiseFence(shardId(9), testWriter(4));
  assert.deepEqual(table.snapshot(), [
    { kind: 'fence', shard, ...testWriter(2) },
    { kind: 'zone-floor', shard, zone: 1 },
    { kind: 'zone', ...name(1), deviceZone: 2, copyId: 'a'.repeat(16), state: 'open', length: 0, batches: 0 },
    { kind: 'zone', ...name(2), deviceZone: 3, copyId: 'a'.repeat(16), state: 'finished', length: 100, batches: 1 },
    { kind: 'fence', shard: 9, ...testWriter(4) },
  ]);
});
