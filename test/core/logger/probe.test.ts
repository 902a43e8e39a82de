/** What a probe says: that a zone could be opened here, by a device that writes and syncs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rig, ZoneWriter } from './rig.ts';

test('a probe is answered behind a sync that began after it, though nothing else is to be synced', () => {
  const rig = new Rig();
  const probe = rig.probe();
  assert.equal(rig.outcome(probe), 'waiting');
  rig.endTurn();
  assert.equal(rig.syncs, 1);
  const later = rig.probe();
  rig.synced();
  assert.deepEqual([rig.outcome(probe), rig.outcome(later)], ['ok', 'waiting']);
  rig.synced();
  assert.equal(rig.outcome(later), 'ok');
});

test('the device has something to write, and a restart finds what it found before', () => {
  const rig = new Rig();
  rig.append(new ZoneWriter({ epoch: 3 }).filled(10));
  rig.seal(0, 1, 4);
  rig.settle();
  const recorded = rig.persisted.length;
  rig.probe();
  rig.settle();
  assert.equal(rig.persisted.length, recorded + 1);
  const found = { '0/1': { length: 0 } };
  const again = rig.restarted({}, found);
  assert.equal(again.outcome(again.append(new ZoneWriter({ epoch: 3 }).filled(10))), 'fenced');
});

test('no room, and no zone of the device: full', () => {
  const rig = new Rig({ deviceZones: [2] });
  assert.equal(rig.outcome(rig.probe(false)), 'device-full');
  rig.append(new ZoneWriter().filled(10));
  rig.settle();
  assert.equal(rig.outcome(rig.probe()), 'device-full');
});

test('S17 a failed sync is final: a probe under way and later ones are refused', () => {
  const rig = new Rig();
  const underWay = rig.probe();
  rig.endTurn();
  rig.step({ kind: 'device-failed' });
  assert.equal(rig.outcome(underWay), 'device-failed');
  assert.equal(rig.outcome(rig.probe()), 'device-failed');
});
