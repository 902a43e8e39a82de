import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FoundMetadata } from '../../src/logger/metadata-log.ts';
import { findMetadata } from '../../src/logger/metadata-log.ts';
import { SimStore } from './sim-store.ts';

async function found(at: SimStore): Promise<FoundMetadata> {
  assert.ok(at.device !== undefined);
  return at.wait(findMetadata(at.device, 'test'));
}

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
