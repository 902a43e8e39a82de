import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { stopSignals } from '../../src/cli/io.ts';
import { StopRequest } from '../../src/cli/up-stop.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { fakeIo } from './fake-io.ts';

function world() {
  const clock = new SimulatedClock();
  const fake = fakeIo(tmpdir());
  let parentGone: () => void = () => undefined;
  const io = {
    ...fake,
    environment: { ...fake.environment, clock },
    onParentGone: (callback: () => void) => {
      parentGone = callback;
      return () => undefined;
    },
  };
  let kills = 0;
  const stop = new StopRequest(io);
  stop.onKill(() => (kills += 1));
  return { clock, signal: fake.signal, stop, parentGone: () => parentGone(), kills: () => kills };
}

for (const name of stopSignals)
  test(`${name} asks to stop`, async () => {
    const { stop, signal, kills } = world();
    signal(name);
    await stop.requested;
    assert.deepEqual([stop.isRequested, kills()], [true, 0]);
  });

test('npm that is gone asks to stop', async () => {
  const { stop, parentGone } = world();
  parentGone();
  await stop.requested;
});

test('the same signal a second time kills, but not one that was told twice', () => {
  const { clock, signal, kills } = world();
  signal('SIGINT');
  clock.advance(100);
  signal('SIGINT');
  assert.equal(kills(), 0, 'the terminal sends it to all, and npm hands it on');
  clock.advance(1_000);
  signal('SIGINT');
  assert.equal(kills(), 1);
});

test('different signals in a row, and SIGHUP any number of times, kill nothing', () => {
  const { clock, signal, kills } = world();
  for (const name of ['SIGTERM', 'SIGHUP', 'SIGHUP', 'SIGINT'] as const) {
    signal(name);
    clock.advance(5_000);
  }
  assert.equal(kills(), 0);
});

test('a listener that has ended hears nothing', () => {
  const { stop, signal } = world();
  stop.end();
  signal('SIGTERM');
  assert.equal(stop.isRequested, false);
});
