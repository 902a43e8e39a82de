import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepeatedLine } from '../../src/env/repeated-line.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';

function world() {
  const clock = new SimulatedClock();
  const lines: string[] = [];
  const line = new RepeatedLine({
    clock,
    log: (level, event, fields) => lines.push(`${clock.now()} ${level} ${event} ${JSON.stringify(fields)}`),
    level: 'warn',
    event: 'it happened',
    periodMs: 60_000,
  });
  return { clock, lines, line, run: (ms: number) => clock.runUntil(clock.now() + ms) };
}

test('the first is logged at once, those of the next minute together at its end', async () => {
  const { clock, lines, line, run } = world();
  line.add({ door: 'a' });
  for (let count = 0; count < 999; count++) line.add({ door: 'a' });
  line.add({ door: 'b' });
  assert.deepEqual(lines, ['0 warn it happened {"door":"a","count":1}']);
  await run(60_000);
  assert.deepEqual(lines.slice(1), ['60000 warn it happened {"door":"b","count":1000}']);
  await run(120_000);
  assert.equal(lines.length, 2, 'a quiet minute is not logged');
  assert.equal(clock.waiting, 0, 'and leaves no timer');
  line.add({ door: 'a' });
  assert.equal(lines[2], '180000 warn it happened {"door":"a","count":1}');
});

test('closing logs what was counted, and leaves no timer', () => {
  const { clock, lines, line } = world();
  for (let count = 0; count < 5; count++) line.add({});
  line.close();
  line.close();
  assert.deepEqual(lines.slice(1), ['0 warn it happened {"count":4}']);
  assert.equal(clock.waiting, 0);
});
