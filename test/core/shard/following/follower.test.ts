import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeZoneHeader } from '../../../../src/codec/log-format.ts';
import type { CatchUp } from '../../../../src/core/shard/events.ts';
import { Cluster, loggerName } from '../harness.ts';

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

/** Says, as owners do once a second, how far gateway 0 has committed. */
function announcement(cluster: Cluster): CatchUp {
  const effects = cluster.gateway(0).step({ event: 'announce' });
  const announced = effects.find((effect) => effect.effect === 'announce');
  assert.ok(announced?.effect === 'announce');
  return announced.catchUp;
}

// The watch carries the newest state of each key, in steps: when a gateway has missed many changes, a sealed zone comes
// in one step, and the head that opened the next zone in a later one.
for (const changes of [1, 2]) {
  test(`S14 a standby told of sealed zones before the head, ${changes} changes behind, applies each stretch once`, () => {
    const cluster = new Cluster(2, 2);
    cluster.claim(0);
    cluster.put(0, 'first', '0');
    cluster.catchUpLost = true;
    const old = cluster.metadata();
    cluster.put(0, 'a', '1');
    cluster.hold = ({ gateway, effect }) => gateway === 1 && effect.effect === 'read-log';
    cluster.event(1, announcement(cluster));
    cluster.run();
    cluster.put(0, 'b', '2');
    cluster.event(1, announcement(cluster));
    cluster.put(0, 'c', '3');
    const { news } = cluster;
    cluster.news = () => undefined;
    for (let change = 0; change < changes; change++) {
      const { zone } = cluster.head.openZone;
      cluster.event(0, { event: 'append-failed', logger: loggerName(0), zone, reason: { kind: 'lost' } });
      cluster.pass(6_000);
      cluster.put(0, `d${change}`, '4');
    }
    assert.ok(cluster.zones.length >= changes);
    cluster.event(1, { event: 'metadata', metadata: { ...old, zones: cluster.zones }, loaded: false });
    cluster.release();
    cluster.pass(300);
    cluster.news = news;
    cluster.news();
    cluster.event(1, announcement(cluster));
    cluster.pass(300);
    assert.equal(cluster.gateway(1).state.index.size, 4 + changes);
    assert.deepEqual(cluster.gateway(1).state.position, cluster.gateway(0).state.position);
  });
}
