import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { RealClock } from '../../src/env/real/clock.ts';
import { ProcessHold } from '../../src/env/real/process-hold.ts';
import { SideOutput, sideOutputLimits } from '../../src/env/real/side-output.ts';

const { O_RDWR, O_RDONLY, O_WRONLY, O_NONBLOCK } = fs.constants;

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function outputOn(context: TestContext, file: string, flags: number | string): SideOutput {
  const descriptor = fs.openSync(file, flags);
  const hold = new ProcessHold();
  hold.hold();
  // It stays open: an output tells what it lost as long as the process lives, and its number must not be another's.
  context.after(() => hold.release());
  const lostLine = (count: number): string => `lost ${count}\n`;
  return new SideOutput({ descriptor, clock: new RealClock(), lostLine });
}

async function fifo(context: TestContext): Promise<string> {
  const file = path.join(await folderFor(context), 'pipe');
  execFileSync('mkfifo', [file]);
  return file;
}

/** All that the pipe holds now. */
function drained(descriptor: number): string {
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(65_536);
  for (;;) {
    try {
      const length = fs.readSync(descriptor, buffer);
      if (length === 0) break;
      parts.push(Buffer.from(buffer.subarray(0, length)));
    } catch {
      break;
    }
  }
  return Buffer.concat(parts).toString('utf8');
}

test('lines come in order, and flush waits for them', async (context) => {
  const file = path.join(await folderFor(context), 'log');
  const output = outputOn(context, file, 'a');
  for (let line = 0; line < 200; line += 1) output.write(`line ${line}\n`);
  await output.flush('end\n');
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  assert.deepEqual([lines.length, lines[0], lines[199], lines[200]], [202, 'line 0', 'line 199', 'end']);
});

test('a full disk loses lines and ends nothing', { skip: !fs.existsSync('/dev/full') }, async (context) => {
  const output = outputOn(context, '/dev/full', 'w');
  output.write('one\n');
  await output.flush('two\n');
  assert.equal(output.isStuck, false);
});

test('lines lost while there was no reader are counted before the next that gets through', async (context) => {
  const file = await fifo(context);
  const first = fs.openSync(file, O_RDONLY | O_NONBLOCK);
  const output = outputOn(context, file, O_WRONLY);
  await output.flush('heard\n');
  assert.equal(drained(first), 'heard\n');
  fs.closeSync(first);
  await output.flush('to nobody\n');
  await output.flush('to nobody\n');
  const second = fs.openSync(file, O_RDONLY | O_NONBLOCK);
  context.after(() => fs.closeSync(second));
  await output.flush('heard again\n');
  assert.equal(drained(second), 'lost 2\nheard again\n');
});

test('a reader that takes nothing delays nobody; what waits is bounded, the rest is counted', async (context) => {
  const file = await fifo(context);
  const reader = fs.openSync(file, O_RDWR | O_NONBLOCK);
  context.after(() => fs.closeSync(reader));
  const output = outputOn(context, file, O_WRONLY);
  const line = `${'x'.repeat(1023)}\n`;
  const count = sideOutputLimits.queuedBytesMax / line.length;
  for (let index = 0; index < 2 * count; index += 1) output.write(line);
  const start = performance.now();
  await output.flush();
  assert.ok(performance.now() - start < 20 * sideOutputLimits.flushMs, 'flush does not wait for a reader for ever');
  let text = '';
  // The runner's limit ends a wait in vain.
  while (!text.includes('lost')) {
    text += drained(reader);
    await new Promise((resolve) => setImmediate(resolve));
  }
  text += drained(reader);
  const lost = Number(/lost (\d+)\n/.exec(text)?.[1]);
  assert.ok(lost >= count - 1 && lost <= count + 1, `${lost} of ${2 * count} are lost`);
  assert.equal(text.replace(/lost \d+\n/, '').length, (2 * count - lost) * line.length, 'and no other');
});
