/** S9, S10: loggers that drain, or are lost, leave the lists when others hold what they do, and not before. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Uuid } from '../../../../src/base/ids.ts';
import { zoneId } from '../../../../src/base/ids.ts';
import type { SealedZone } from '../../../../src/core/shard/head/metadata.ts';
import { Cluster, loggerName } from '../harness.ts';

const zone1 = zoneId(1);

function plan(cluster: Cluster, what: 'draining' | 'lost', ...loggers: Uuid[]): void {
  const standings = { draining: new Set<Uuid>(), lost: new Set<Uuid>(), [what]: new Set(loggers) };
  for (const gateway of cluster.gateways.keys()) cluster.event(gateway, { event: 'standings', standings });
  cluster.run();
}

function zoneOne(cluster: Cluster): SealedZone {
  const zone = cluster.zones.find(({ zone: id }) => id === zone1);
  assert.ok(zone);
  return zone;
}

const numberOf = (cluster: Cluster, name: Uuid): number => cluster.loggers.findIndex((one) => one.name === name);

/** One shard, four loggers, three replicas, zone 1 written. Gives a replica of it. */
function written(settings: ConstructorParameters<typeof Cluster>[2] = {}): { cluster: Cluster; logger: Uuid } {
  const cluster = new Cluster(1, 4, { replicas: 3, regrowDelayMs: 100, ...settings });
  cluster.claim(0);
  cluster.put(0, 'a', 'first');
  const [logger] = cluster.head.openZone.replicas;
  assert.ok(logger);
  return { cluster, logger };
}

describe('a logger that drains', () => {
  test('gets no new zone: the open one is left', () => {
    const { cluster, logger } = written();
    plan(cluster, 'draining', logger);
    cluster.pass(1_000);
    assert.equal(cluster.head.openZone.zone, 2);
    assert.equal(cluster.head.openZone.replicas.length, 3);
    assert.ok(!cluster.head.openZone.replicas.includes(logger));
  });

  test('S10 is on the list until another copy is', () => {
    const { cluster, logger } = written();
    cluster.hold = ({ effect }) => effect.effect === 'transact' && effect.purpose === 'relist';
    plan(cluster, 'draining', logger);
    cluster.pass(5_000);
    assert.ok(zoneOne(cluster).replicas.includes(logger));
    const lists: string[] = [];
    cluster.onEffect = ({ effect }) => {
      const list = cluster.zones.find(({ zone }) => zone === zone1)?.replicas ?? [];
      if (effect.effect === 'transact') lists.push(`${list.length}${list.includes(logger) ? ' with' : ''}`);
    };
    cluster.release();
    cluster.pass(5_000);
    assert.equal(zoneOne(cluster).replicas.length, 3);
    assert.ok(!zoneOne(cluster).replicas.includes(logger));
    assert.deepEqual(zoneOne(cluster).former, [logger]);
    assert.ok(lists.includes('4 with'), `first the new copy, then the old one: ${lists.join()}`);
  });

  test('stays listed while another holder is away', () => {
    const { cluster, logger } = written({ repairDelayMs: 600_000 });
    cluster.hold = ({ effect }) => effect.effect === 'transact' && effect.purpose === 'relist';
    plan(cluster, 'draining', logger);
    cluster.pass(5_000);
    const other = zoneOne(cluster).replicas.find((one) => one !== logger);
    assert.ok(other);
    cluster.release();
    cluster.loggerDown(numberOf(cluster, other));
    cluster.pass(5_000);
    assert.ok(zoneOne(cluster).replicas.includes(logger));
  });

  test('takes a zone when there is nobody else', () => {
    const cluster = new Cluster(1, 2, { replicas: 1 });
    cluster.claim(0);
    cluster.put(0, 'a', 'first');
    const [logger] = cluster.head.openZone.replicas;
    assert.ok(logger);
    const other = 1 - numberOf(cluster, logger);
    plan(cluster, 'draining', loggerName(other));
    cluster.loggerDown(numberOf(cluster, logger));
    cluster.pass(1_000);
    assert.deepEqual(cluster.head.openZone.replicas, [loggerName(other)]);
    assert.equal(cluster.put(0, 'a', 'second')?.kind, 'put');
  });
});

describe('a logger that is lost', () => {
  test('is replaced at once, however long others are waited for', () => {
    const { cluster, logger } = written({ repairDelayMs: 600_000 });
    cluster.loggerDown(numberOf(cluster, logger));
    cluster.pass(5_000);
    assert.ok(zoneOne(cluster).replicas.includes(logger), 'it may come back');
    plan(cluster, 'lost', logger);
    cluster.pass(5_000);
    assert.equal(zoneOne(cluster).replicas.length, 3);
    assert.ok(!zoneOne(cluster).replicas.includes(logger));
  });

  /** Both replicas of a zone restart, and one does not come back while another gateway takes over. */
  function waiting(firstHandWaitMs: number): Cluster {
    const cluster = new Cluster(1, 2, { firstHandWaitMs });
    cluster.claim(0);
    cluster.put(0, 'a', 'first');
    cluster.startGateway(0);
    cluster.logger(0).restart();
    cluster.loggerDown(1);
    cluster.claim(0);
    cluster.pass(1_000);
    return cluster;
  }

  test('S9 is not waited for by a take-over, and what it waits for is said before', () => {
    const cluster = waiting(0);
    assert.equal(cluster.gateway(0).role, 'taking');
    const { wait } = cluster.gateway(0).status;
    assert.deepEqual(wait?.loggers, [loggerName(1)]);
    assert.match(wait.reason, /no answer is first-hand/);
    plan(cluster, 'lost', loggerName(1));
    cluster.pass(500);
    assert.equal(cluster.gateway(0).role, 'owner');
    assert.equal(zoneOne(cluster).doubt, 'restarted');
    assert.deepEqual(cluster.keys(0), ['a']);
  });

  test('S9 leaves a shard waiting when no other replica is there', () => {
    const cluster = waiting(0);
    cluster.loggerDown(0);
    plan(cluster, 'lost', loggerName(1), loggerName(0));
    cluster.pass(60_000);
    assert.equal(cluster.gateway(0).role, 'taking');
    assert.equal(cluster.head.openZone.zone, 1);
  });
});
