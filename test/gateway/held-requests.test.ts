import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../src/base/limits.ts';
import { times } from '../../src/base/times.ts';
import type { Failure } from '../../src/core/shard/requests.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { HeldRequests } from '../../src/gateway/held-requests.ts';

const notYet: Failure = { kind: 'failed', code: 'unavailable', message: 'not yet', outcome: 'not-applied' };

interface World {
  readonly clock: SimulatedClock;
  readonly held: HeldRequests<string>;
  readonly events: string[];
  /** Requests that can go on. */
  readonly passable: Set<string>;
  run(durationMs: number): Promise<void>;
}

function world(): World {
  const clock = new SimulatedClock();
  const events: string[] = [];
  const passable = new Set<string>();
  const held = new HeldRequests<string>(clock, {
    attempt: (request) => {
      if (!passable.has(request)) return notYet;
      events.push(`passed ${request}`);
      return undefined;
    },
    refuse: (request, { code }) => events.push(`${code} ${request}`),
  });
  const run = async (durationMs: number): Promise<void> => {
    await clock.runUntil(clock.now() + durationMs);
  };
  return { clock, held, events, passable, run };
}

test('what can go on does so soon, in the order it came; the rest waits until its time is over', async () => {
  const { held, events, passable, run } = world();
  for (const request of ['a', 'b', 'c', 'd']) assert.ok(held.hold(request, 1));
  await run(100);
  assert.deepEqual(events, []);
  passable.add('d').add('b');
  await run(20);
  assert.deepEqual(events, ['passed b', 'passed d']);
  assert.equal(held.count, 2);
  await run(times.requestHeldMs - 150);
  assert.equal(held.count, 2);
  await run(50);
  assert.deepEqual(events, ['passed b', 'passed d', 'unavailable a', 'unavailable c']);
  assert.equal(held.count, 0);
});

test('number and bytes are bounded, and both come back', async () => {
  const { held, passable, run } = world();
  assert.ok(held.hold('large', limits.requestsHeldBytesMax));
  assert.ok(!held.hold('one byte more', 1));
  passable.add('large');
  await run(20);
  for (let number = 0; number < limits.requestsHeldMax; number++) assert.ok(held.hold('small', 0));
  assert.ok(!held.hold('one more', 0));
  passable.add('small');
  await run(20);
  assert.ok(held.hold('large', limits.requestsHeldBytesMax));
});

test('closing refuses what is held, and no timer is left', async () => {
  const { clock, held, events, run } = world();
  held.hold('a', 1);
  held.hold('b', 1);
  held.close({ ...notYet, code: 'closed' });
  assert.deepEqual(events, ['closed a', 'closed b']);
  await run(100);
  assert.equal(clock.waiting, 0);
  assert.equal(events.length, 2);
});
