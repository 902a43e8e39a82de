import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millis, uuid } from '../../../../src/base/ids.ts';
import { encodeZoneHeader } from '../../../../src/codec/log-format.ts';
import type { ShardEffect } from '../../../../src/core/shard/events.ts';
import { shardDefaults } from '../../../../src/core/shard/events.ts';
import { Loggers } from '../../../../src/core/shard/loggers.ts';
import { Copier } from '../../../../src/core/shard/repairing/copier.ts';
import { CopyPace } from '../../../../src/core/shard/repairing/copy-pace.ts';
import { testInstance, testWriter, ZoneWriter } from '../../../logger/zone-writer.ts';

const [holder, target] = [uuid('1'.repeat(32)), uuid('2'.repeat(32))];

test('S10 a zone that ended with its header is copied, too', () => {
  const { place, zoneSize } = new ZoneWriter();
  const header = encodeZoneHeader({ ...place, alignment: 512, zoneSize, createdMs: millis(0) });
  const effects: ShardEffect[] = [];
  const loggers = new Loggers();
  for (const logger of [holder, target]) loggers.up(logger, testInstance, 512, millis(0));
  const zone = { ...place, length: header.length, replicas: [holder], former: [] };
  const copier = new Copier(
    { zone, target },
    {
      identity: place,
      settings: { ...shardDefaults, zoneSize, replicas: 2 },
      loggers,
      effects,
      pace: new CopyPace(1_000_000),
      by: testWriter(2),
    },
  );
  copier.copied({ kind: 'filled', length: 0, copyId: '' });
  const readAt = (nowMs: number): void => {
    copier.tick(millis(nowMs));
    const effect = effects.pop();
    assert.ok(effect?.effect === 'read-log');
    copier.logRead(effect.request, header);
  };
  readAt(1_000);
  const copy = effects.pop();
  assert.ok(copy?.effect === 'copy' && copy.offset === 0 && copy.logger === target);
  assert.deepEqual(Buffer.from(copy.bytes), header);
  copier.copied({ kind: 'filled', length: header.length, copyId: 'copy' });
  assert.equal(copier.step, 'checking');
  readAt(60_000);
  assert.equal(copier.step, 'proven');
});
