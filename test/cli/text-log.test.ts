import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textLog } from '../../src/cli/text-log.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';

test('one line an event: time, level, phrase, fields; texts with blanks are quoted; debug only on demand', () => {
  const lines: string[] = [];
  const output = {
    write: (text: string) => void lines.push(text),
    writeBytes: () => undefined,
    flush: () => Promise.resolve(),
    isTerminal: false,
    columns: 80,
  };
  const clock = new SimulatedClock({ wallStartMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6) });
  const log = textLog(output, clock);
  log('info', 'zone changed', {
    shard: 1,
    reason: 'a "b"\nc',
    full: false,
    missing: undefined,
    address: '127.0.0.1:1',
  });
  log('debug', 'hidden');
  textLog(output, clock, true)('debug', 'shown');
  assert.deepEqual(lines, [
    '2026-01-02T03:04:05.006Z info  zone changed shard=1 reason="a \\"b\\"\\nc" full=false address=127.0.0.1:1\n',
    '2026-01-02T03:04:05.006Z debug shown\n',
  ]);
});
