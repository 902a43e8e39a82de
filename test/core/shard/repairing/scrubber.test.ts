/** S10: damage in copies that nobody reads is found by the scrub, which makes way for all else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zoneId } from '../../../../src/base/ids.ts';
import { shardLimits } from '../../../../src/core/shard/limits.ts';
import type { ScrubStatus } from '../../../../src/core/shard/repairing/scrubber.ts';
import { Cluster, loggerName } from '../harness.ts';

const zone1 = zoneId(1);
const everySecond = { scrubEveryMs: 1_000 };

/** Zone 1 has ended, and three loggers are listed for it. */
function endedZone(settings: ConstructorParameters<typeof Cluster>[2] = everySecond): Cluster {
  const cluster = new Cluster(2, 3, settings);
  cluster.claim(1);
  for (const value of ['first', 'second', 'third']) assert.equal(cluster.put(1, 'a', value)?.kind, 'put');
  cluster.claim(0);
  cluster.pass(200);
  assert.equal(cluster.gateway(0).role, 'owner');
  assert.deepEqual(cluster.zones[0]?.replicas.length, 3);
  return cluster;
}

function scrubOf(cluster: Cluster): ScrubStatus {
  const { scrub } = cluster.gateway(0).status;
  assert.ok(scrub);
  return scrub;
}

/** Places at which the scrub reads, as `logger@offset`, from now on. */
function scrubbed(cluster: Cluster): string[] {
  const places: string[] = [];
  cluster.onEffect = ({ effect }) => {
    if (effect.effect === 'read-log' && effect.request.reader === 'scrub')
      places.push(`${Number(effect.request.logger)}@${effect.request.offset}`);
  };
  return places;
}

function flip(cluster: Cluster, logger: number): void {
  const held = cluster.logger(logger).zones.get(zone1);
  assert.ok(held);
  held.bytes = Buffer.from(held.bytes);
  held.bytes.writeUInt8(held.bytes.readUInt8(held.bytes.length - 1) ^ 1, held.bytes.length - 1);
}

test('all copies are read once a round, and sound ones stay as they are', () => {
  const cluster = endedZone({ scrubEveryMs: 5_000 });
  const places = scrubbed(cluster);
  cluster.pass(9_000);
  assert.deepEqual(places.sort(), ['0@0', '1@0', '2@0']);
  const { passes, isUnderWay, checked, listed, damaged, unreached } = scrubOf(cluster);
  assert.deepEqual([passes, isUnderWay, checked, listed, damaged, unreached], [1, false, 3, 3, 0, 0]);
  cluster.pass(5_000);
  assert.equal(places.length, 6);
});

test('S10 a damaged copy that nobody reads is found, examined and made anew', () => {
  const cluster = endedZone();
  flip(cluster, 1);
  const examined: string[] = [];
  cluster.onEffect = ({ effect }) => {
    if (effect.effect === 'read-log' && effect.request.reader === 'examine') examined.push(effect.request.logger);
  };
  cluster.pass(30_000);
  assert.deepEqual(examined, [loggerName(1)], 'its own reading is not enough to believe it');
  assert.deepEqual(cluster.logger(1).zones.get(zone1)?.bytes, cluster.logger(0).zones.get(zone1)?.bytes);
  assert.deepEqual([...(cluster.zones[0]?.replicas ?? [])].sort(), [0, 1, 2].map(loggerName));
  assert.equal(scrubOf(cluster).damaged, 1);
});

test('it reads no faster than it may, a piece at a time', () => {
  const slow = { scrubBytesPerSecond: 100, limits: { ...shardLimits, logChunkBytes: 100 } };
  const cluster = endedZone({ ...everySecond, ...slow });
  const places = scrubbed(cluster);
  cluster.pass(10_000);
  assert.ok(places.length >= 5 && places.length <= 10, `${places.length} pieces in 9 s`);
});

test('it does not read while copies are made, nor where it is switched off', () => {
  const cluster = endedZone();
  cluster.logger(2).zones.clear();
  cluster.hold = ({ effect }) => effect.effect === 'copy';
  cluster.event(0, { event: 'copy-lacking', logger: loggerName(2), zone: zone1 });
  cluster.pass(600);
  cluster.pass(2_000);
  const places = scrubbed(cluster);
  cluster.pass(5_000);
  assert.deepEqual([cluster.held.length, places.length], [1, 0]);
  cluster.release();
  cluster.pass(5_000);
  assert.ok(places.length > 0);

  const without = endedZone({ ...everySecond, scrubBytesPerSecond: 0 });
  const nothing = scrubbed(without);
  without.pass(10_000);
  assert.equal(nothing.length, 0);
});

test('a copy of a logger that is away is left for the next round', () => {
  const cluster = endedZone({ scrubEveryMs: 3_000 });
  cluster.loggerDown(1);
  cluster.pass(4_000);
  assert.equal(scrubOf(cluster).unreached, 1);
  assert.equal(scrubOf(cluster).damaged, 0);
  cluster.loggerUp(1);
  cluster.pass(4_000);
  assert.equal(scrubOf(cluster).unreached, 0);
});
