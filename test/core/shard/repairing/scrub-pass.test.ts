/** Order of a scrub: all listed copies have their turn once a round. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, zoneId } from '../../../../src/base/ids.ts';
import type { SealedZone } from '../../../../src/core/shard/head/metadata.ts';
import { ScrubPass } from '../../../../src/core/shard/repairing/scrub-pass.ts';
import { loggerName } from '../harness.ts';

function zone(id: number, loggers: readonly number[], length = 100): SealedZone {
  const writer = { epoch: epoch(1), instance: instanceId('0'.repeat(16)) };
  return { ...writer, zone: zoneId(id), length, replicas: loggers.map(loggerName), former: [] };
}

function turns(pass: ScrubPass, zones: () => readonly SealedZone[], most = 100): string[] {
  const names: string[] = [];
  for (let turn = 0; turn < most; turn++) {
    const copy = pass.next(zones());
    if (copy === undefined) break;
    names.push(`${copy.zone.zone}@${Number(copy.logger)}`);
  }
  return names;
}

test('a round reads each listed copy once, from any zone on, and then no more', () => {
  const zones = [zone(3, [0, 1]), zone(5, [2], 0), zone(6, [1]), zone(9, [0, 2])];
  assert.deepEqual(
    turns(new ScrubPass(zones, 0), () => zones),
    ['3@0', '3@1', '6@1', '9@0', '9@2'],
  );
  const pass = new ScrubPass(zones, 6);
  assert.deepEqual(
    turns(pass, () => zones),
    ['6@1', '9@0', '9@2', '3@0', '3@1'],
  );
  assert.equal(pass.next(zones), undefined);
  assert.deepEqual(
    turns(new ScrubPass([], 7), () => []),
    [],
  );
});

test('zones that end meanwhile come along, copies that are listed no more do not', () => {
  let zones = [zone(3, [0, 1]), zone(6, [1])];
  const pass = new ScrubPass(zones, 1);
  assert.deepEqual(
    turns(pass, () => zones, 1),
    ['6@1'],
  );
  zones = [zone(3, [1]), zone(6, [1, 2]), zone(7, [0])];
  assert.deepEqual(
    turns(pass, () => zones, 2),
    ['6@2', '7@0'],
  );
  assert.deepEqual(
    turns(pass, () => zones),
    ['3@1'],
  );
});
