import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import type { ProgramState, ProgramStatus } from '../../src/cli/supervisor.ts';
import { FirstStart, startOf } from '../../src/cli/up-ready.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';

function node(name: string, state: ProgramState, reason?: string): ProgramStatus {
  const failure = reason === undefined ? undefined : new KvError('data-damaged', reason);
  return { name, pid: 1, state, restarts: 0, serves: '', log: '', failure };
}

test('one gateway and one logger are of use; what failed is not waited for', () => {
  const gateway = node('gateway 0', 'serving');
  const bad = node('logger 1', 'waiting', 'no device');
  assert.equal(startOf([node('logger 0', 'serving'), bad, gateway]).kind, 'usable');
  assert.deepEqual(startOf([node('logger 0', 'starting'), bad, gateway]), { kind: 'pending', isUsable: false });
  assert.deepEqual(startOf([node('logger 0', 'serving'), node('logger 1', 'starting'), gateway]), {
    kind: 'pending',
    isUsable: true,
  });
  assert.equal(
    startOf([node('logger 0', 'serving'), node('logger 1', 'starting', 'no device'), gateway]).kind,
    'usable',
    'it is tried again, and failed before',
  );
});

test('when no logger can start, or no gateway, the first failure says why', () => {
  const start = startOf([
    node('logger 0', 'waiting', 'no device'),
    node('logger 1', 'starting', 'no rights'),
    node('gateway 0', 'serving'),
  ]);
  assert.ok(start.kind === 'useless');
  assert.deepEqual([start.error.code, start.error.message], ['data-damaged', 'logger 0: no device']);
  assert.equal(startOf([node('logger 0', 'serving'), node('gateway 0', 'dead', 'no port')]).kind, 'useless');
});

test('who is late has ten seconds more once there is one of each', async () => {
  const clock = new SimulatedClock();
  let statuses = [node('logger 0', 'starting'), node('logger 1', 'starting'), node('gateway 0', 'serving')];
  const start = new FirstStart(clock, () => statuses);
  let isOver = false;
  const over = start.over.then(() => {
    isOver = true;
  });
  start.look();
  clock.advance(50_000);
  statuses = [node('logger 0', 'serving'), node('logger 1', 'starting'), node('gateway 0', 'serving')];
  start.look();
  clock.advance(9_000);
  await Promise.resolve();
  assert.equal(isOver, false);
  clock.advance(1_001);
  await over;
});
