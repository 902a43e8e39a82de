import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { LogFile, logBytesLost, logBytesMax, trimLog } from '../../src/env/real/log-file.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';

async function logFile(context: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, 'gateway-0.log');
}

test('a log beyond its limit begins anew while its process goes on writing; the last part is kept beside it', async (context) => {
  const file = await logFile(context);
  await trimLog(file);
  await writeFile(file, 'short\n');
  await trimLog(file);
  assert.equal(existsSync(`${file}.1`), false);
  const writer = openSync(file, 'a');
  await appendFile(file, 'x'.repeat(logBytesMax));
  await trimLog(file);
  writeSync(writer, 'next\n');
  closeSync(writer);
  assert.equal(await readFile(file, 'utf8'), 'next\n');
  assert.equal((await readFile(`${file}.1`, 'utf8')).length, logBytesMax + 6);
});

test('a log that cannot be kept stays until it is very long, and begins anew all the same then', async (context) => {
  const file = await logFile(context);
  await mkdir(`${file}.1`);
  await writeFile(file, '');
  await truncate(file, logBytesMax + 1);
  await assert.rejects(trimLog(file), /EISDIR|directory/);
  assert.equal((await stat(file)).size, logBytesMax + 1);
  await truncate(file, logBytesLost + 1);
  await assert.rejects(trimLog(file));
  assert.equal((await stat(file)).size, 0);
});

test('a log that cannot be opened is told once, and again when it can be', async (context) => {
  const file = await logFile(context);
  await mkdir(file);
  const troubles: (string | undefined)[] = [];
  const log = new LogFile(file, new SimulatedClock());
  const open = (): boolean =>
    log.use(
      (trouble) => troubles.push(trouble),
      (descriptor) => {
        if (descriptor !== undefined) writeSync(descriptor, 'a line\n');
        return descriptor !== undefined;
      },
    );
  assert.deepEqual([open(), open()], [false, false]);
  assert.equal(troubles.length, 1);
  assert.match(troubles[0] ?? '', /gateway-0\.log cannot be opened: EISDIR/);
  await rm(file, { recursive: true });
  assert.equal(open(), true);
  assert.equal(await readFile(file, 'utf8'), 'a line\n');
  assert.deepEqual(troubles.slice(1), [undefined]);
});
