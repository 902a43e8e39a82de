import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeZoneHeader } from '../../../../src/codec/log-format.ts';
import { Cluster } from '../harness.ts';

// Found by simulation, seed 30: a power loss tore a zone's first batch on every replica; the shard was taken over and
// never served.
test('S14 a zone that was sealed with its header alone is applied, and the shard serves', () => {
  const cluster = new Cluster(1, 2);
  cluster.claim(0);
  const { zone } = cluster.head.openZone;
  assert.equal(cluster.put(0, 'a', 'value')?.kind, 'put');
  for (const logger of [cluster.logger(0), cluster.logger(1)]) {
    const held = logger.zones.get(zone);
    const header = decodeZoneHeader(held?.bytes ?? new Uint8Array());
    assert.ok(held !== undefined && header.kind === 'zone');
    held.bytes = held.bytes.subarray(0, header.length);
  }
  cluster.startGateway(0);
  cluster.claim(0);
  cluster.pass(10_000);
  assert.ok(cluster.zones.length === 0 || cluster.zones[0]?.length === 64, 'nothing but a header was sealed');
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.equal(cluster.put(0, 'b', 'value')?.kind, 'put');
});
