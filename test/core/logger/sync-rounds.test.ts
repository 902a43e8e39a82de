import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import { emptyState } from '../../../src/core/logger/restored-state.ts';
import { SyncRounds } from '../../../src/core/logger/sync-rounds.ts';
import type { HeldZone } from '../../../src/core/logger/zone-table.ts';
import { ZoneTable } from '../../../src/core/logger/zone-table.ts';
import { testWriter } from '../../logger/zone-writer.ts';

function zone(): HeldZone {
  const table = new ZoneTable({ cluster: uuid('c'.repeat(32)), zoneSize: 4_096, deviceZones: [2] }, emptyState);
  return table.create({ shard: shardId(0), zone: zoneId(1), ...testWriter(1) }, 2, '0'.repeat(16));
}

test('S3 a round covers what was written and who waited before it began, nothing later', () => {
  const rounds = new SyncRounds<string>();
  const held = zone();
  held.written = 10;
  rounds.wrote(held);
  rounds.wait('first');
  assert.equal(rounds.begin(), true);
  held.written = 20;
  rounds.wrote(held);
  rounds.wait('second');
  assert.equal(rounds.begin(), false, 'one at a time');
  assert.deepEqual(rounds.end(), { answered: ['first'], free: [] });
  assert.equal(held.stable, 10);
  assert.equal(rounds.begin(), true);
  assert.deepEqual(rounds.end(), { answered: ['second'], free: [] });
  assert.equal(held.stable, 20);
  assert.equal(rounds.begin(), false, 'nothing is left to make stable');
});

test('S3 what was only recorded makes a round, too', () => {
  const rounds = new SyncRounds<string>();
  assert.equal(rounds.isQuiet, true);
  rounds.changed();
  assert.equal(rounds.isQuiet, false);
  assert.equal(rounds.begin(), true);
  assert.equal(rounds.isQuiet, false, 'not before it has returned');
  rounds.end();
  assert.equal(rounds.isQuiet, true);
});

test('a device zone is free when the round that began after its reset has ended', () => {
  const rounds = new SyncRounds<string>();
  rounds.freed(2);
  rounds.begin();
  rounds.freed(3);
  assert.deepEqual(rounds.end().free, [2]);
  rounds.begin();
  assert.deepEqual(rounds.end().free, [3]);
});

test('a zone that was closed meanwhile gets nothing more stable', () => {
  const rounds = new SyncRounds<string>();
  const held = zone();
  held.written = 10;
  rounds.wrote(held);
  rounds.begin();
  held.written = 4;
  held.stable = 4;
  rounds.closed(held);
  rounds.end();
  assert.equal(held.stable, 4);
});

test('S17 a failure gives all who wait, in the order in which they came, once', () => {
  const rounds = new SyncRounds<string>();
  rounds.wait('covered');
  rounds.begin();
  rounds.wait('waiting');
  assert.deepEqual(rounds.fail(), ['covered', 'waiting']);
  assert.deepEqual(rounds.fail(), []);
});

test('S3 a sync that did not begin cannot return', () => {
  assert.throws(() => new SyncRounds().end(), /S3/);
});
