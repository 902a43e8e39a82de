import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../src/base/log.ts';
import { BoundedLog, boundedLogLimits } from '../../src/env/bounded-log.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';

const { periodMs, kindsPerEventMax, atOnce } = boundedLogLimits;

function world() {
  const clock = new SimulatedClock();
  const lines: Parameters<Log>[] = [];
  const bounded = new BoundedLog(clock, (level, event, fields) => lines.push([level, event, fields]));
  return { clock, lines, bounded, log: bounded.log };
}

test('a line is written at once, repetitions are counted, and one line a period says how many', () => {
  const { clock, lines, log } = world();
  for (let index = 0; index < 600; index += 1) {
    log('warn', 'coordinator failed', { shard: 1, error: `no answer to request ${index}` });
    clock.advance(100);
  }
  clock.advance(periodMs);
  assert.deepEqual(lines, [
    ['warn', 'coordinator failed', { shard: 1, error: 'no answer to request 0' }],
    ['warn', 'coordinator failed', { shard: 1, error: 'no answer to request 599', repeated: 599 }],
  ]);
});

test('what stops for a period and comes again is written at once again', () => {
  const { clock, lines, log } = world();
  log('warn', 'zone not finished', { zone: 1 });
  clock.advance(periodMs + 1);
  log('warn', 'zone not finished', { zone: 2 });
  assert.deepEqual(
    lines.map(([, , fields]) => fields?.['zone']),
    [1, 2],
  );
});

test('other places, reasons and levels are other kinds', () => {
  const { lines, log } = world();
  log('warn', 'logger connection lost', { logger: 'a1', reason: 'reset' });
  log('warn', 'logger connection lost', { logger: 'b2', reason: 'reset' });
  log('warn', 'logger connection lost', { logger: 'a1', reason: 'refused' });
  log('error', 'logger connection lost', { logger: 'a1', reason: 'reset' });
  log('warn', 'logger connection lost', { logger: 'a1', reason: 'reset' });
  assert.equal(lines.length, 4);
});

test('some information lines are written before they are counted, debug lines always', () => {
  const { lines, log } = world();
  for (let index = 0; index < 100; index += 1) log('info', 'zone changed', { shard: 0, zone: index });
  assert.equal(lines.length, atOnce.info);
  for (let index = 0; index < 100; index += 1) log('debug', 'step', { index });
  assert.equal(lines.length, atOnce.info + 100);
});

test('any number of kinds takes a bounded number of lines and of memory', () => {
  const { clock, lines, log } = world();
  const words = ['reset', 'refused', 'late', 'torn', 'lost', 'full', 'busy', 'gone', 'odd', 'new'];
  for (let index = 0; index < 1_000; index += 1) {
    const reason = [...String(index)].map((digit) => words[Number(digit)]).join(' ');
    log('warn', 'connection refused', { reason });
  }
  assert.equal(lines.length, kindsPerEventMax + 1);
  clock.advance(periodMs + 1);
  assert.equal(lines.length, kindsPerEventMax + 2);
  assert.equal(lines.at(-1)?.[2]?.['repeated'], 1_000 - kindsPerEventMax - 1);
});

test('close writes what was counted, as information, once', () => {
  const { clock, lines, log, bounded } = world();
  log('warn', 'read failed', { logger: 'a' });
  log('warn', 'read failed', { logger: 'a' });
  bounded.close();
  bounded.close();
  clock.advance(periodMs);
  assert.deepEqual(lines.slice(1), [['info', 'read failed', { logger: 'a', repeated: 1 }]]);
});
