/** A record is found although a replica is frozen, and soon: hedged reads, after a bound learnt from the usual time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Uuid } from '../../../src/base/ids.ts';
import { shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import { times } from '../../../src/base/times.ts';
import type { ReadAnswer } from '../../../src/codec/logger-protocol.ts';
import type { Lost } from '../../../src/core/shard/events.ts';
import { RepeatedLine } from '../../../src/env/repeated-line.ts';
import { SimulatedClock } from '../../../src/env/simulated/clock.ts';
import { ReplicaSearches } from '../../../src/gateway/shards/replica-search.ts';
import { UsualTime } from '../../../src/gateway/shards/usual-time.ts';

const names = ['1', '2', '3'].map((digit) => uuid(digit.repeat(32)));
const [first, second] = names;
const good: ReadAnswer = { kind: 'ok', value: new Uint8Array(1) };
const never = Number.POSITIVE_INFINITY;

class World {
  readonly clock = new SimulatedClock();
  /** How long each logger takes, in milliseconds, and what it answers. */
  readonly delays = new Map<Uuid, number>(names.map((name) => [name, 1]));
  readonly answers = new Map<Uuid, ReadAnswer | Lost>(names.map((name) => [name, good]));
  readonly asked: Uuid[] = [];
  readonly held: (() => void)[] = [];
  readonly searches = new ReplicaSearches(this.clock, {
    of: (logger) => ({
      read: (_shard, _zone, _offset, _length, onRead) => {
        this.asked.push(logger);
        const answer = (): void => onRead(this.answers.get(logger) ?? good);
        const delayMs = this.delays.get(logger) ?? 0;
        if (delayMs === never) this.held.push(answer);
        else this.clock.after(delayMs, answer);
      },
    }),
  });

  /** Begins a search; gives when it ended, or how many loggers were silent. */
  search(loggers: readonly Uuid[] = names, bytes = 100): { tookMs?: number; silent?: number; found: number } {
    const result: { tookMs?: number; silent?: number; found: number } = { found: 0 };
    const startMs = this.clock.now();
    this.searches.begin(
      {
        shard: shardId(0),
        zone: zoneId(1),
        offset: 0,
        bytes,
        take: (_, answer) => {
          if (answer.kind !== 'ok') return 'no answer';
          result.found += 1;
          result.tookMs = this.clock.now() - startMs;
          return undefined;
        },
        missing: (silent) => (result.silent = silent),
      },
      loggers,
    );
    return result;
  }

  async run(durationMs: number): Promise<void> {
    await this.clock.runUntil(this.clock.now() + durationMs);
  }
}

describe('a frozen replica', () => {
  test('delays the first reads by little, and later ones not at all', async () => {
    const world = new World();
    for (let round = 0; round < 20; round++) {
      world.search();
      await world.run(10);
    }
    assert.equal(world.searches.hedged, 0);
    world.delays.set(names[0] ?? uuid(''), never);
    const early = Array.from({ length: 100 }, () => world.search());
    await world.run(100);
    assert.ok(early.every(({ tookMs }) => (tookMs ?? never) <= times.hedgeMinMs + 2 * times.hedgeTickMs));
    const late = Array.from({ length: 100 }, () => world.search());
    await world.run(2);
    assert.ok(
      late.every(({ found }) => found === 1),
      'the frozen one is asked last',
    );
  });

  test('is asked first again when it answers, and what it answers late is not taken twice', async () => {
    const world = new World();
    assert.ok(first !== undefined && second !== undefined);
    world.delays.set(first, never);
    const result = world.search();
    await world.run(100);
    assert.equal(result.found, 1);
    world.delays.set(first, 1);
    for (const answer of world.held.splice(0)) answer();
    assert.equal(result.found, 1);
    world.asked.length = 0;
    world.search();
    assert.deepEqual(world.asked, [first]);
  });

  test('that is the only one is waited for', async () => {
    const world = new World();
    assert.ok(first !== undefined);
    world.delays.set(first, never);
    const result = world.search([first]);
    await world.run(10_000);
    assert.deepEqual(result, { found: 0 });
    world.answers.set(first, { kind: 'lost' });
    for (const answer of world.held.splice(0)) answer();
    assert.equal(result.silent, 1);
  });
});

test('a replica that fails is followed by the next at once; when all failed, it is said how many were silent', async () => {
  const world = new World();
  for (const name of names) world.answers.set(name, { kind: 'lost' });
  const result = world.search();
  await world.run(10);
  assert.deepEqual([result.silent, world.asked.length], [3, 3]);
});

test('nothing is missing while a late replica may still have it', async () => {
  const world = new World();
  assert.ok(first !== undefined && second !== undefined);
  world.delays.set(first, 200);
  world.answers.set(second, { kind: 'lost' });
  const result = world.search([first, second]);
  await world.run(150);
  assert.deepEqual(result, { found: 0 });
  await world.run(100);
  assert.equal(result.found, 1);
});

test('where all are slow the bound grows with them: little is asked twice', async () => {
  const world = new World();
  for (const name of names) world.delays.set(name, 200);
  for (let round = 0; round < 100; round++) {
    world.search();
    await world.run(250);
  }
  assert.ok(world.searches.hedged < 20, `${world.searches.hedged} of 100`);
});

test('a large record has more time than a small one, and the bound has bounds', () => {
  const usual = new UsualTime();
  assert.equal(usual.boundMs(0), times.hedgeMinMs);
  assert.ok(usual.boundMs(16_000_000) > 300);
  for (let round = 0; round < 100; round++) usual.took(60_000, 100);
  assert.ok(usual.boundMs(0) <= times.hedgeMaxMs);
});

test('of many reads that fail on a replica, the first is said at once and the rest in one line a minute', async () => {
  const clock = new SimulatedClock();
  const lines: unknown[] = [];
  const troubles = new RepeatedLine({
    clock,
    log: (_, event, fields) => lines.push([event, fields?.['count']]),
    level: 'warn',
    event: 'reads failed on a replica',
    periodMs: times.readTroubleEveryMs,
  });
  for (let read = 0; read < 3_000; read++) troubles.add({ problem: 'no answer' });
  assert.deepEqual(lines, [['reads failed on a replica', 1]]);
  await clock.runUntil(clock.now() + times.readTroubleEveryMs + 1);
  assert.deepEqual(lines[1], ['reads failed on a replica', 2_999]);
  await clock.runUntil(clock.now() + 3 * times.readTroubleEveryMs);
  troubles.add({ problem: 'no answer' });
  assert.equal(lines.length, 3);
});
