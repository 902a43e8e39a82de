import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, lbaOf, shardId, uuid, version, zoneId } from '../../../src/base/ids.ts';
import { silent } from '../../../src/base/log.ts';
import type { ReadAnswer } from '../../../src/codec/logger-protocol.ts';
import type { Lost } from '../../../src/core/shard/events.ts';
import type { ShardMetadata } from '../../../src/core/shard/head/metadata.ts';
import type { Failure, ReadReply } from '../../../src/core/shard/requests.ts';
import { ShardRead } from '../../../src/core/shard/requests.ts';
import { SimulatedClock } from '../../../src/env/simulated/clock.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import { ReadBudget } from '../../../src/gateway/shards/read-budget.ts';
import { ValueCache } from '../../../src/gateway/shards/value-cache.ts';
import { ValueFetcher } from '../../../src/gateway/shards/value-fetcher.ts';

const zoneSize = 64 * 1024;
const loggers = ['1', '2'].map((digit) => uuid(digit.repeat(32)));
const instance = instanceId('b'.repeat(16));
const metadata: ShardMetadata = {
  head: {
    epoch: epoch(1),
    owner: { gateway: 0, node: uuid('a'.repeat(32)), instance },
    openZone: { zone: zoneId(1), epoch: epoch(1), instance, replicas: loggers, processes: [instance, instance] },
    nextZone: zoneId(2),
    change: 1,
  },
  headRevision: 1,
  zones: [],
};
const lost: Lost = { kind: 'lost' };
const rotten: ReadAnswer = { kind: 'ok', value: new Uint8Array(100).fill(7) };

/** The error of a read whose replicas answer as told, in their order; undefined: not connected. */
function errorOf(answers: readonly (ReadAnswer | Lost | undefined)[]): string {
  let code = '';
  const clock = new SimulatedClock();
  const fetcher = new ValueFetcher({
    onDamage: () => undefined,
    cluster: uuid('c'.repeat(32)),
    zoneSize,
    clock,
    budget: new ReadBudget(clock),
    random: new SimulatedRandom(1),
    log: silent,
    store: { shard: () => metadata },
    loggers: {
      isUp: (logger) => answers[loggers.indexOf(logger)] !== undefined,
      isLost: () => false,
      of: (logger) => ({
        read: (_shard, _zone, _offset, _length, onRead) => onRead(answers[loggers.indexOf(logger)] ?? lost),
      }),
    },
    cache: new ValueCache(0),
  });
  const replyTo = {
    found: () => assert.fail('nobody has the value'),
    failed: (_: ShardRead, failure: { readonly code: string }) => (code = failure.code),
  };
  fetcher.fetch(shardId(0), readFor(replyTo));
  return code;
}

function readFor(replyTo: ReadReply): ShardRead {
  const read = new ShardRead(replyTo, 1, true);
  read.source = Buffer.from('key');
  read.keyLength = 3;
  read.version = version(lbaOf(zoneId(1), 512, zoneSize));
  read.lba = read.version;
  read.recordBytes = 100;
  return read;
}

test('reads of one record at once are one read of a replica, and each is answered', () => {
  const clock = new SimulatedClock();
  const asked: ((answer: ReadAnswer | Lost) => void)[] = [];
  const fetcher = new ValueFetcher({
    onDamage: () => undefined,
    cluster: uuid('c'.repeat(32)),
    zoneSize,
    clock,
    budget: new ReadBudget(clock),
    random: new SimulatedRandom(1),
    log: silent,
    store: { shard: () => metadata },
    loggers: {
      isUp: () => true,
      isLost: () => false,
      of: () => ({ read: (...[, , , , onRead]) => asked.push(onRead) }),
    },
    cache: new ValueCache(0),
  });
  const codes: string[] = [];
  const replyTo = { found: () => undefined, failed: (_: ShardRead, { code }: Failure) => codes.push(code) };
  for (let read = 0; read < 50; read += 1) fetcher.fetch(shardId(0), readFor(replyTo));
  assert.equal(asked.length, 1);
  asked[0]?.(rotten);
  asked[1]?.(rotten);
  assert.deepEqual([asked.length, codes], [2, Array(50).fill('damaged')]);
  fetcher.fetch(shardId(0), readFor(replyTo));
  assert.equal(asked.length, 3);
});

// Found by simulation, seed 4: while all replicas were restarting, reads said that the data was damaged.
test('S9 only who answered can be damaged: a replica that is away or silent may have the record', () => {
  assert.equal(errorOf([rotten, rotten]), 'damaged');
  assert.equal(errorOf([rotten, lost]), 'unavailable');
  assert.equal(errorOf([lost, lost]), 'unavailable');
  assert.equal(errorOf([rotten, undefined]), 'unavailable');
  assert.equal(errorOf([undefined, undefined]), 'unavailable');
});
