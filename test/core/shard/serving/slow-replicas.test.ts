/** Replicas that are slow, hang or fail again and again: what they cost the writes, and how many zones (design 4). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { millis } from '../../../../src/base/ids.ts';
import { Delays, never } from '../delays.ts';
import { Cluster, resultOf } from '../harness.ts';

/** Writes ten times a second; gives for how many milliseconds they stood still. */
function stalledMs(cluster: Cluster, delays: Delays, seconds: number): number {
  let stalled = 0;
  for (let step = 0; step < 10 * seconds; step += 1) {
    const write = cluster.write(0, 'put', `key${step % 10}`, 'v');
    cluster.run();
    delays.pass(100);
    if (resultOf(write)?.kind !== 'put') stalled += 100;
  }
  return stalled;
}

/** Zones that were left for another reason than that they were full. */
function zonesLeft(cluster: Cluster): number {
  return cluster.notes.filter((note) => note.startsWith('zone changed') && !note.includes('zone full')).length;
}

function served(settings: ConstructorParameters<typeof Cluster>[2] = {}, loggers = 3): Cluster {
  const cluster = new Cluster(1, loggers, settings);
  cluster.claim(0);
  assert.equal(cluster.put(0, 'a', '1')?.kind, 'put');
  return cluster;
}

describe('one replica of three that answers nothing', () => {
  test('costs one pause in ten minutes when it answers no probe either', () => {
    const cluster = served();
    const delays = new Delays(cluster, (number) => (number === 2 ? never : 0));
    const stalled = stalledMs(cluster, delays, 600);
    assert.ok(stalled < 800, `writes stood still for ${stalled} ms`);
    assert.equal(zonesLeft(cluster), 1);
  });

  test('costs a few pauses when it answers probes', () => {
    const cluster = served();
    const delays = new Delays(cluster, (number, asked) => (number === 2 && asked !== 'probe' ? never : 0));
    const stalled = stalledMs(cluster, delays, 600);
    assert.ok(stalled < 5_000, `writes stood still for ${stalled} ms`);
    assert.ok(zonesLeft(cluster) < 12, `${zonesLeft(cluster)} zones`);
  });

  test('is a replica again when it does well again', () => {
    const cluster = served();
    let isGray = true;
    const delays = new Delays(cluster, (number) => (number === 2 && isGray ? never : 0));
    stalledMs(cluster, delays, 3);
    assert.equal(cluster.head.openZone.replicas.length, 2);
    isGray = false;
    assert.equal(stalledMs(cluster, delays, 10), 0);
    assert.equal(cluster.head.openZone.replicas.length, 3);
  });
});

test('an owner that stood still itself calls no replica slow before it has read what came meanwhile', () => {
  const cluster = served();
  const { zone, replicas } = cluster.head.openZone;
  const [first, second, third] = replicas;
  assert.ok(first && second && third);
  let end = -1;
  cluster.hold = ({ effect }) => {
    if (effect.effect !== 'append' || effect.zone !== zone) return false;
    end = effect.offset + effect.bytes.length;
    return true;
  };
  const write = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  cluster.event(0, { event: 'appended', logger: first, zone, end });
  cluster.event(0, { event: 'tick', nowMs: millis((cluster.nowMs += 1_900)) });
  for (const logger of [second, third]) cluster.event(0, { event: 'appended', logger, zone, end });
  cluster.run();
  cluster.pass(100);
  assert.equal(cluster.head.openZone.zone, zone);
  assert.equal(resultOf(write)?.kind, 'put');
});

test('a large append that goes on piece by piece is not slow, however long it takes; one that stands still is', () => {
  const cluster = served();
  const { zone, replicas } = cluster.head.openZone;
  const [first, second, third] = replicas;
  assert.ok(first && second && third);
  let offset = -1;
  let end = -1;
  cluster.hold = ({ effect }) => {
    if (effect.effect !== 'append' || effect.zone !== zone) return false;
    offset = effect.offset;
    end = offset + effect.bytes.length;
    return true;
  };
  const write = cluster.write(0, 'put', 'b', '2');
  cluster.run();
  cluster.event(0, { event: 'appended', logger: first, zone, end });
  for (let tenths = 0; tenths < 80; tenths += 1) {
    for (const logger of [second, third]) cluster.event(0, { event: 'appended', logger, zone, end: offset });
    cluster.pass(100);
  }
  assert.equal(cluster.head.openZone.zone, zone);
  assert.equal(resultOf(write), undefined, 'S5: no piece stands for all');
  cluster.event(0, { event: 'appended', logger: second, zone, end });
  for (let tenths = 0; tenths < 40; tenths += 1) cluster.pass(100);
  cluster.run();
  assert.ok(cluster.head.openZone.zone > zone && !cluster.head.openZone.replicas.includes(third));
  assert.equal(resultOf(write)?.kind, 'put');
});

test('a replica whose sync failed, and that stays connected, is taken back when a probe is answered and not before', () => {
  const cluster = served();
  let isFailed = true;
  cluster.hold = ({ effect }) => {
    if (effect.effect !== 'probe' || !isFailed) return false;
    const answer = { kind: 'refused', code: 'device-failed' } as const;
    cluster.event(0, { event: 'probed', logger: effect.logger, answer });
    return true;
  };
  const { zone, replicas } = cluster.head.openZone;
  const [failed] = replicas;
  assert.ok(failed);
  const reason = { kind: 'refused', code: 'device-failed' } as const;
  cluster.event(0, { event: 'append-failed', logger: failed, zone, reason });
  cluster.run();
  cluster.pass(600_000);
  assert.equal(cluster.head.openZone.zone, 2);
  isFailed = false;
  cluster.pass(600_000);
  assert.equal(cluster.head.openZone.zone, 3);
  assert.equal(cluster.head.openZone.replicas.length, 3);
});

test('one full logger: an hour of writes costs one zone', () => {
  const cluster = served();
  cluster.logger(2).isFull = true;
  for (let second = 0; second < 3_600; second += 1) {
    cluster.put(0, `key${second % 10}`, 'v');
    cluster.pass(1_000);
  }
  assert.equal(zonesLeft(cluster), 1);
});

test('a logger that comes and goes all the time uses a bounded number of zones', () => {
  const cluster = served();
  for (let round = 0; round < 360; round += 1) {
    cluster.loggerDown(2);
    cluster.pass(2_000);
    cluster.loggerUp(2);
    cluster.pass(8_000);
    assert.equal(cluster.put(0, 'key', 'v')?.kind, 'put');
  }
  assert.ok(cluster.head.openZone.zone < 50, `${cluster.head.openZone.zone} zones in an hour`);
});

describe('replicas that all need longer than the timeout', () => {
  for (const seconds of [2.5, 6, 15, 40]) {
    test(`${seconds} s for an append: all commit in the one zone`, () => {
      const cluster = served({ requestTimeoutMs: 60_000 });
      const delays = new Delays(cluster, (_, asked) => (asked === 'append' ? seconds * 1_000 : 0));
      for (let round = 0; round < 3; round += 1) {
        const write = cluster.write(0, 'put', 'key', 'large');
        cluster.run();
        delays.pass(seconds * 1_000 + 100);
        assert.equal(resultOf(write)?.kind, 'put', JSON.stringify(resultOf(write)));
      }
      assert.equal(cluster.head.openZone.zone, 1);
    });
  }

  test('one that needs somewhat longer than the others is no slow one', () => {
    const cluster = served({ requestTimeoutMs: 60_000 });
    const delays = new Delays(cluster, (number, asked) => (asked === 'append' ? 2_500 + 700 * number : 0));
    assert.equal(stalledMs(cluster, delays, 1), 1_000);
    delays.pass(20_000);
    assert.equal(cluster.head.openZone.zone, 1);
  });

  test('one that needs far longer is left when the others have answered', () => {
    const cluster = served({ requestTimeoutMs: 60_000 });
    const delays = new Delays(cluster, (number, asked) => (asked !== 'append' ? 0 : number === 2 ? 20_000 : 2_500));
    const write = cluster.write(0, 'put', 'key', 'v');
    cluster.run();
    delays.pass(10_000);
    assert.equal(resultOf(write)?.kind, 'put');
    assert.equal(cluster.head.openZone.replicas.length, 2);
  });

  test('are left where a logger is that is no replica', () => {
    const cluster = served({ replicas: 2 }, 3);
    const { replicas } = cluster.head.openZone;
    const numbers = cluster.loggers.flatMap(({ name }, number) => (replicas.includes(name) ? [number] : []));
    const delays = new Delays(cluster, (number, asked) => (asked === 'append' && numbers.includes(number) ? never : 0));
    const write = cluster.write(0, 'put', 'key', 'v');
    cluster.run();
    delays.pass(3_000);
    assert.equal(resultOf(write)?.kind, 'put');
  });

  test('fewer good ones than minReplicas: no change, which would end where it began', () => {
    const cluster = served({ minReplicas: 2, requestTimeoutMs: 60_000 });
    const delays = new Delays(cluster, (number, asked) => (asked === 'append' && number > 0 ? 15_000 : 0));
    const write = cluster.write(0, 'put', 'key', 'v');
    cluster.run();
    delays.pass(16_000);
    assert.equal(resultOf(write)?.kind, 'put');
    assert.equal(cluster.head.openZone.zone, 1);
  });

  test('S15 writers are told `unknown` in time, the writes commit when they can, and a repetition finds them', () => {
    const cluster = served({ requestTimeoutMs: 10_000 });
    const delays = new Delays(cluster, (_, asked) => (asked === 'append' ? 18_000 : 0));
    const write = cluster.write(0, 'put', 'key', 'v', { client: 9, number: 1, first: 1 });
    cluster.run();
    delays.pass(10_100);
    assert.deepEqual(
      { ...resultOf(write), message: '' },
      {
        kind: 'failed',
        code: 'unavailable',
        message: '',
        outcome: 'unknown',
      },
    );
    const again = cluster.write(0, 'put', 'key', 'v', { client: 9, number: 1, first: 1 });
    cluster.run();
    assert.equal(resultOf(again), undefined);
    delays.pass(8_000);
    assert.equal(resultOf(again)?.kind, 'put');
    assert.equal(cluster.head.openZone.zone, 1);
    assert.equal(cluster.committed.flatMap(({ writes }) => writes).length, 2);
  });
});
