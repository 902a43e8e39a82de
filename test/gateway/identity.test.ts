import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uuid } from '../../src/base/ids.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../../src/env/simulated/files.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { gatewayIdentity } from '../../src/gateway/identity.ts';

const cluster = uuid('c'.repeat(32));

function disk(): SimulatedDisk {
  return new SimulatedDisk({ random: new SimulatedRandom(1), clock: new SimulatedClock() });
}

test("a gateway's identity is made once and found again", async () => {
  const files = disk().process();
  await files.makeFolder('/gateway');
  const random = new SimulatedRandom(2);
  const first = await gatewayIdentity(files, '/gateway', cluster, random);
  assert.match(first, /^[0-9a-f]{32}$/);
  assert.equal(await gatewayIdentity(files, '/gateway', cluster, random), first);
});

test('the folder of another cluster, a newer format and damage are refused with the reason', async () => {
  for (const [text, code] of [
    [JSON.stringify({ format: 1, cluster: 'd'.repeat(32), uuid: 'a'.repeat(32) }), 'wrong-cluster'],
    [JSON.stringify({ format: 2, cluster, uuid: 'a'.repeat(32) }), 'newer-format'],
    [JSON.stringify({ format: 1, cluster, uuid: 'x' }), 'data-damaged'],
    ['{', 'data-damaged'],
  ] as const) {
    const files = disk().process();
    await files.makeFolder('/gateway');
    const file = await files.open('/gateway/identity.json', { create: true });
    file.write(0, Buffer.from(text));
    await file.close();
    await assert.rejects(gatewayIdentity(files, '/gateway', cluster, new SimulatedRandom(2)), { code });
  }
});
