import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StoppedHolderWatch, stoppedHolderLimits } from '../../../src/coordinator/sqlite/stopped-holder.ts';
import type { LockHolder } from '../../../src/env/processes.ts';
import { realProcesses } from '../../../src/env/real/processes.ts';

const { lookEveryMs, stoppedMsMin } = stoppedHolderLimits;

/** Runs looks every millisecond for `ms`; `holders` says who holds the lock when. Returns who was ended and when. */
function run(
  ms: number,
  holders: (nowMs: number) => readonly LockHolder[],
  free: (nowMs: number) => boolean = () => false,
) {
  const ended: { readonly pid: number; readonly atMs: number }[] = [];
  let nowMs = 0;
  const processes = {
    exclusiveHolders: () => holders(nowMs),
    endStopped: (holder: LockHolder) => {
      ended.push({ pid: holder.pid, atMs: nowMs });
      return true;
    },
  };
  const watch = new StoppedHolderWatch(processes, ['file'], () => undefined);
  for (; nowMs < ms && ended.length === 0; nowMs += 1) {
    if (free(nowMs)) watch.free();
    else watch.busy(nowMs);
  }
  return ended;
}

const holder = (stopped: boolean, pid = 7, startTime = '100'): LockHolder => ({ pid, startTime, stopped });

describe('a holder of the lock', () => {
  it('that is stopped all the time is ended after a second', () => {
    const ended = run(3_000, () => [holder(true)]);
    assert.equal(ended.length, 1);
    assert.ok((ended[0]?.atMs ?? 0) >= stoppedMsMin && (ended[0]?.atMs ?? 0) <= stoppedMsMin + 2 * lookEveryMs);
  });

  it('that runs is never ended', () =>
    assert.deepEqual(
      run(20_000, () => [holder(false)]),
      [],
    ));

  it('that was continued in between is not ended', () => {
    assert.deepEqual(
      run(20_000, (nowMs) => [holder(nowMs % 900 < 700)]),
      [],
    );
  });

  it('that is another process at each look is not ended, also with the pid used again', () => {
    assert.deepEqual(
      run(20_000, (nowMs) => [holder(true, Math.floor(nowMs / 900))]),
      [],
    );
    assert.deepEqual(
      run(20_000, (nowMs) => [holder(true, 7, String(Math.floor(nowMs / 900)))]),
      [],
    );
  });

  it('that gave the lock up in between is not ended', () => {
    assert.deepEqual(
      run(
        20_000,
        () => [holder(true)],
        (nowMs) => nowMs % 900 === 0,
      ),
      [],
    );
  });

  it('unknown to the system is not ended', () =>
    assert.deepEqual(
      run(20_000, () => []),
      [],
    ));
});

describe('the real table of locks', () => {
  it('knows no holder of a file that nobody locks or that is missing, and ends nobody for it', () => {
    const processes = realProcesses();
    assert.deepEqual(processes.exclusiveHolders([import.meta.filename, '/nonexistent']), []);
    assert.equal(
      processes.endStopped({ pid: process.pid, startTime: '1', stopped: true }, [import.meta.filename]),
      false,
    );
  });
});
