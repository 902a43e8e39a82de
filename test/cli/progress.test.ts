import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Output } from '../../src/cli/io.ts';
import { Progress } from '../../src/cli/progress.ts';
import { millis } from '../../src/base/ids.ts';

function terminal(isTerminal: boolean, columns = 80): Output & { readonly written: string[] } {
  const written: string[] = [];
  return {
    written,
    isTerminal,
    columns,
    write: (text) => void written.push(text),
    writeBytes: () => undefined,
    flush: () => Promise.resolve(),
  };
}

test('a bar on a terminal, redrawn at most every 100 ms, removed at the end', () => {
  const output = terminal(true);
  let now = 0;
  const progress = new Progress(output, { now: () => millis(now) }, 'requests');
  now = 1_000;
  progress.update(2_500, 0.25);
  now = 1_050;
  progress.update(2_600, 0.26);
  now = 1_100;
  progress.update(5_500, 0.5);
  progress.finish();
  assert.deepEqual(output.written, [
    '\r\u001b[K[######------------------] 2,500 requests, 2,500/s',
    '\r\u001b[K[############------------] 5,500 requests, 5,000/s',
    '\r\u001b[K',
  ]);
});

test('it never wraps, and is silent where no terminal is', () => {
  const narrow = terminal(true, 20);
  const silent = terminal(false);
  for (const output of [narrow, silent]) {
    const progress = new Progress(output, { now: () => millis(1) }, 'requests');
    progress.update(1, 2);
    progress.finish();
  }
  assert.equal(narrow.written[0]?.replace('\r\u001b[K', '').length, 19);
  assert.deepEqual(silent.written, []);
});
