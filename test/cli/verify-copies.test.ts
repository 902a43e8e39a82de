/** S11: sound copies of a zone are compared with each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import type { CopyFinding } from '../../src/cli/copy-check.ts';
import type { VerifiedCopy, ZoneToVerify } from '../../src/cli/verify-copies.ts';
import { differingZones } from '../../src/cli/verify-copies.ts';

function zoneOf(id: number): ZoneToVerify {
  const place = { cluster: uuid('c'.repeat(32)), shard: shardId(0), zone: zoneId(id) };
  return { ...place, epoch: epoch(1), instance: instanceId('0'.repeat(16)), length: 10, replicas: [], isOpen: false };
}

function copies(zone: ZoneToVerify, ...findings: readonly CopyFinding[]): VerifiedCopy[] {
  return findings.map((finding, index) => ({ zone, replica: uuid(String(index).padStart(32, '0')), finding }));
}

const sound = (digest: string): CopyFinding => ({ kind: 'sound', digest });

test('S11 zones differ whose sound copies do; damaged and unread ones say nothing', () => {
  const damaged: CopyFinding = { kind: 'damaged', offset: 0, problem: 'wrong' };
  const unreached: CopyFinding = { kind: 'unreached', reason: 'away' };
  const [same, other, alone] = [zoneOf(1), zoneOf(2), zoneOf(3)];
  const all = [
    ...copies(same, sound('a'), sound('a'), damaged),
    ...copies(other, sound('a'), unreached, sound('b')),
    ...copies(alone, sound('c')),
  ];
  assert.deepEqual(differingZones(all), [other]);
});
