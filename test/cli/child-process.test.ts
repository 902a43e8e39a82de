import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { openSync, closeSync, writeSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { logBytesMax, trimLog } from '../../src/cli/child-process.ts';

test('a log beyond its limit begins anew while its process goes on writing; the last part is kept beside it', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'gateway-0.log');
  trimLog(file);
  await writeFile(file, 'short\n');
  trimLog(file);
  assert.equal(existsSync(`${file}.1`), false);
  const writer = openSync(file, 'a');
  await appendFile(file, 'x'.repeat(logBytesMax));
  trimLog(file);
  writeSync(writer, 'next\n');
  closeSync(writer);
  assert.equal(await readFile(file, 'utf8'), 'next\n');
  assert.equal((await readFile(`${file}.1`, 'utf8')).length, logBytesMax + 6);
});
