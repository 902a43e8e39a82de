import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardId, zoneId } from '../../src/base/ids.ts';
import type { FoundMetadata } from '../../src/logger/metadata-log.ts';
import { findMetadata } from '../../src/logger/metadata-log.ts';
import { SimStore } from './sim-store.ts';
import { testWriter } from './zone-writer.ts';

async function found(at: SimStore): Promise<FoundMetadata> {
  assert.ok(at.device !== undefined);
  return at.wait(findMetadata(at.device, 'test'));
}

test('fences, seals and resets find space on a full file system, at every turn and start of the log', async () => {
  const at = new SimStore(3);
  // Nothing is in reserve but the metadata's own space.
  await at.boot(512, undefined, 0);
  at.disk.capacityBytes = at.disk.usedBytes;
  for (let start = 0; start < 3; start += 1) {
    for (let number = 1; number <= 1_000; number += 1) {
      const writer = testWriter(start * 1_000 + number);
      const seal = { kind: 'seal', at: { shard: shardId(number % 7), zone: zoneId(9), ...writer } } as const;
      assert.equal(await at.outcome(seal), 'sealed', `seal ${number} of start ${start}`);
    }
    assert.equal(at.failures, 0);
    at.files?.kill();
    await at.boot(512, undefined, 0);
  }
});

// Found by simulation, seed 229: a power loss during the second start left a logger that no longer knew what it held.
test('S3 a restart writes its checkpoint beside the newest state, never in its place', async () => {
  const at = new SimStore(1);
  let zone = -1;
  for (let start = 1; start < 6; start += 1) {
    await at.boot();
    const metadata = await found(at);
    assert.ok(metadata.kind === 'found', 'a logger that started has metadata');
    assert.equal(metadata.generation, start, 'each start makes one checkpoint, newer than the last');
    assert.notEqual(metadata.zone, zone, 'in the other zone');
    zone = metadata.zone;
    at.files?.kill();
  }
});
