import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/env/clock.ts';
import { RealClock } from '../../src/env/real/clock.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';

/** A clock under test and how to let it run until `done`. */
interface Subject {
  readonly clock: Clock;
  run(done: () => boolean): Promise<void>;
}

const subjects: Readonly<Record<string, () => Subject>> = {
  real: () => ({
    clock: new RealClock(),
    run: async (done) => {
      // The clock's timers don't keep the process alive, so something must.
      const alive = setInterval(() => undefined, 1000);
      while (!done()) await new Promise((resolve) => setImmediate(resolve));
      clearInterval(alive);
    },
  }),
  simulated: () => {
    const clock = new SimulatedClock();
    return {
      clock,
      run: async (done) => {
        assert.ok(await clock.runUntil(done));
      },
    };
  },
  "simulated node's": () => {
    const clock = new SimulatedClock();
    return {
      clock: clock.node({ wallOffsetMs: 5 }),
      run: async (done) => {
        assert.ok(await clock.runUntil(done));
      },
    };
  },
};

for (const [name, subject] of Object.entries(subjects)) {
  test(`${name} clock: time does not go back, and after calls back once, not before its delay`, async () => {
    const { clock, run } = subject();
    const start = clock.now();
    const calls: number[] = [];
    clock.after(5, () => calls.push(clock.now() - start));
    clock.after(0, () => calls.push(clock.now() - start));
    await run(() => calls.length === 2);
    const [first, second] = calls;
    assert.ok(first !== undefined && first >= 0);
    // Node's timers count whole milliseconds.
    assert.ok(second !== undefined && second >= 4, `called after ${second} ms`);
    assert.ok(clock.wall() > 1_700_000_000_000);
    assert.ok(Number.isInteger(clock.wall()));
  });

  test(`${name} clock: a timer that was cancelled is not called`, async () => {
    const { clock, run } = subject();
    const calls: string[] = [];
    const cancelled = clock.after(1, () => calls.push('cancelled'));
    const inTurn = clock.after(2, () => calls.push('cancelled later'));
    clock.after(1, () => inTurn.cancel());
    clock.after(10, () => calls.push('end'));
    cancelled.cancel();
    cancelled.cancel();
    await run(() => calls.includes('end'));
    inTurn.cancel();
    assert.deepEqual(calls, ['end']);
  });

  test(`${name} clock: the end of the turn comes after its microtasks, in the order of the calls; who asks again gets the next one`, async () => {
    const { clock, run } = subject();
    const calls: string[] = [];
    clock.after(1, () => {
      clock.endOfTurn(() => {
        calls.push('first end');
        clock.endOfTurn(() => calls.push('next turn'));
        void Promise.resolve().then(() => calls.push('microtask of the end'));
      });
      clock.endOfTurn(() => calls.push('second end'));
      void Promise.resolve()
        .then(() => undefined)
        .then(() => calls.push('microtask'));
      calls.push('event');
    });
    await run(() => calls.length === 6);
    const order = calls.filter((call) => call !== 'microtask of the end');
    assert.deepEqual(order, ['event', 'microtask', 'first end', 'second end', 'next turn']);
  });
}

test('events of one instant run in the order in which they were scheduled, others in that of their time', () => {
  const clock = new SimulatedClock();
  const random = new SimulatedRandom(1);
  const expected: { readonly at: number; readonly order: number }[] = [];
  const seen: { readonly at: number; readonly order: number }[] = [];
  const timers = Array.from({ length: 5000 }, (_, order) => {
    const at = random.uint32() % 300;
    const event = { at, order };
    expected.push(event);
    return clock.after(at, () => {
      assert.equal(clock.now(), at);
      seen.push(event);
    });
  });
  for (let order = 0; order < timers.length; order += 3) timers[order]?.cancel();
  assert.equal(clock.waiting, expected.length - Math.ceil(timers.length / 3));
  clock.advanceTo(1000);
  assert.deepEqual(
    seen,
    expected.filter((event) => event.order % 3 !== 0).sort((a, b) => a.at - b.at || a.order - b.order),
  );
  assert.ok(clock.idle);
});

test('no time passes before an end of turn, which is an empty turn when no event is due', () => {
  const clock = new SimulatedClock();
  const calls: string[] = [];
  const at = (what: string) => (): void => {
    calls.push(`${what} at ${clock.now()}`);
  };
  clock.after(1, () => {
    clock.endOfTurn(() => {
      at('end')();
      clock.endOfTurn(at('end of the next turn'));
    });
  });
  clock.after(1, at('event of the same instant'));
  clock.after(2, at('later event'));
  clock.advanceTo(3);
  assert.deepEqual(calls, [
    'end at 1',
    'event of the same instant at 1',
    'end of the next turn at 1',
    'later event at 2',
  ]);
});

test('a node that stopped runs nothing of what it scheduled', async () => {
  const clock = new SimulatedClock();
  const node = clock.node();
  const other = clock.node();
  const calls: string[] = [];
  node.after(1, () => calls.push('timer'));
  node.endOfTurn(() => calls.push('end of turn'));
  other.after(1, () => calls.push('other'));
  node.stop();
  await clock.runUntil(10);
  assert.deepEqual(calls, ['other']);
  assert.equal(clock.now(), 10);
});

test('cancelled timers far in the future do not pile up', () => {
  const clock = new SimulatedClock();
  for (let index = 0; index < 100_000; index++) clock.after(1e9, () => undefined).cancel();
  assert.equal(clock.waiting, 0);
  let called = 0;
  clock.after(2e9, () => called++);
  for (let index = 0; index < 10_000; index++) clock.after(1e9, () => undefined).cancel();
  clock.advanceTo(3e9);
  assert.equal(called, 1);
});

test('chains of microtasks of any length belong to their turn', async () => {
  const clock = new SimulatedClock();
  const calls: string[] = [];
  const chain = async (length: number): Promise<void> => {
    for (let link = 0; link < length; link++) await Promise.resolve();
    calls.push('end of the chain');
    clock.endOfTurn(() => calls.push('end of turn'));
  };
  for (let at = 1; at <= 3; at++) {
    clock.after(at, () => {
      void chain(1000 * at);
      clock.endOfTurn(() => void chain(10));
    });
  }
  clock.after(1, () => calls.push('next event'));
  await clock.runUntil(1.5);
  assert.deepEqual(calls, ['end of the chain', 'end of the chain', 'end of turn', 'next event', 'end of turn']);
  await clock.runUntil(5);
  assert.equal(calls.length, 13);
});

test('runUntil says whether its goal was reached', async () => {
  const clock = new SimulatedClock();
  let count = 0;
  const tick = (): void => {
    count++;
    clock.after(1, tick);
  };
  tick();
  assert.equal(await clock.runUntil(() => count === 10), true);
  assert.equal(await clock.runUntil(() => false, 20), false);
  assert.equal(await clock.runUntil(100), true);
  assert.equal(count, 101);
  const quiet = new SimulatedClock();
  assert.equal(await quiet.runUntil(() => false), false);
});
