import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import type { Log } from '../../../src/base/log.ts';
import type { ZoneStatus } from '../../../src/codec/logger-protocol.ts';
import type { SealedZone, ShardMetadata } from '../../../src/core/shard/head/metadata.ts';
import { SimulatedClock } from '../../../src/env/simulated/clock.ts';
import type { LoggerLinks } from '../../../src/gateway/loggers/logger-links.ts';
import { Reconciler } from '../../../src/gateway/loggers/reconciler.ts';
import type { MetadataStore } from '../../../src/gateway/metadata-store.ts';

const instance = instanceId('3'.repeat(16));
const [x, y] = [uuid('1'.repeat(32)), uuid('2'.repeat(32))];

const sealed = (zone: number, length: number, replicas = [x, y]): SealedZone => ({
  zone: zoneId(zone),
  epoch: epoch(1),
  instance,
  length,
  replicas,
  former: [],
});

const held = (zone: number, length: number): ZoneStatus => ({
  shard: shardId(0),
  zone: zoneId(zone),
  epoch: epoch(1),
  instance,
  state: 'finished',
  length,
  seen: length,
  capacity: 1_000,
  occupied: length,
  copyId: 'f'.repeat(16),
  batches: 1,
  digest: undefined,
});

/** Lines about logger x when it connects and holds `zones`. `later`: what is listed when its answer comes. */
function linesOf(
  listed: readonly SealedZone[],
  zones: readonly ZoneStatus[],
  later = listed,
  isOwner = true,
): string[] {
  const lines: string[] = [];
  let now = listed;
  const metadata = (): ShardMetadata => ({ head: undefined, headRevision: 1, zones: now });
  const port = {
    reportZones: (onAnswer: (answer: readonly ZoneStatus[]) => void): void => {
      now = later;
      onAnswer(zones);
    },
  };
  // Only these members are used.
  const store = { shardCount: 1, shard: metadata } as unknown as MetadataStore;
  const loggers = { of: () => port } as unknown as LoggerLinks;
  const log: Log = (level, event, fields) => {
    lines.push(`${level} ${event}: ${String(fields?.['zones'])}, ${String(fields?.['example'])}`);
  };
  const onLacking = (_: unknown, shard: number, zone: number): void => void lines.push(`lacking ${shard}/${zone}`);
  new Reconciler(store, loggers, { clock: new SimulatedClock(), log }, () => isOwner, onLacking).loggerUp(x);
  return lines;
}

test('S10 a logger that connects and lacks zones, or their tails, that it is listed for is named in one line', () => {
  const listed = [sealed(1, 100), sealed(2, 200), sealed(3, 300), sealed(4, 400, [y]), sealed(5, 0)];
  assert.deepEqual(linesOf(listed, [held(1, 100), held(2, 200), held(3, 300)]), []);
  assert.deepEqual(linesOf(listed, [held(1, 100), held(2, 150)]), [
    'error logger lacks zones that it is listed for: 2, shard 0, zone 2: 150 of 200 bytes',
    'lacking 0/2',
    'lacking 0/3',
  ]);
  assert.deepEqual(
    linesOf(listed, [held(1, 100), held(2, 900), held(3, 300)]),
    [],
    'longer, as it is not finished yet',
  );
});

test('S10 what is listed while the answer is on its way need not be in it', () => {
  assert.deepEqual(linesOf([sealed(1, 100)], [held(1, 100)], [sealed(1, 100), sealed(2, 50)]), []);
});

test('S20 only the owner of a shard says so: its claim has shown that the metadata did not go back', () => {
  assert.deepEqual(linesOf([sealed(1, 100)], [], undefined, false), []);
});
