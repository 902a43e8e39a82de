/** Standard output of the real command: files and devices that take a part, or nothing. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { repositoryRoot } from '../support/repository.ts';

const command = path.join(repositoryRoot, 'dist/src/cli/main.js');

interface Ended {
  readonly code: number | null;
  readonly err: string;
}

/** Runs a line of the shell in which `$KV` is the command. */
function shell(folder: string, line: string): Promise<Ended> {
  return new Promise((resolve) => {
    const environment = { ...process.env, KV: `"${process.execPath}" "${command}"`, NODE_OPTIONS: '' };
    const child = execFile(
      'bash',
      ['-c', line.replaceAll('$KV', environment.KV)],
      { cwd: folder },
      (_error, _out, err) => resolve({ code: child.exitCode, err }),
    );
  });
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-output-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('a file that takes only a part of the output is told, not cut in silence', async () => {
  await withFolder(async (folder) => {
    // 64 KiB: the system writes up to the limit and says so by the length it returns, then by EFBIG.
    const { code, err } = await shell(folder, 'ulimit -f 64; $KV trace --requests 1000 --seed 1 > out.txt');
    assert.equal(code, exitCodes.failed, err);
    assert.match(err, /^kv-filelog: standard output: the file is as large as it may be \(EFBIG\) \[output-failed\]\n$/);
    assert.equal((await readFile(path.join(folder, 'out.txt'))).length, 64 * 1024);
  });
});

test('a full device is told by every command, `--help` too', { skip: !existsSync('/dev/full') }, async () => {
  await withFolder(async (folder) => {
    for (const line of ['$KV trace --requests 9 > /dev/full', '$KV --help > /dev/full', '$KV --version > /dev/full']) {
      const { code, err } = await shell(folder, line);
      assert.deepEqual(
        [code, err],
        [exitCodes.failed, 'kv-filelog: standard output: no space left on device (ENOSPC) [output-failed]\n'],
      );
    }
    assert.equal((await shell(folder, '$KV nonsense 2> /dev/full')).code, exitCodes.usage);
  });
});

test('a pipe whose reader has enough ends the command without a word', async () => {
  await withFolder(async (folder) => {
    const line = '$KV trace --requests 100000 2> err.txt | head -1 > one.txt; echo ${PIPESTATUS[0]} > code.txt';
    await shell(folder, line);
    assert.match(await readFile(path.join(folder, 'one.txt'), 'utf8'), /^PUT \d+ \w+\n$/);
    assert.equal(await readFile(path.join(folder, 'err.txt'), 'utf8'), '');
    assert.equal(await readFile(path.join(folder, 'code.txt'), 'utf8'), `${exitCodes.failed}\n`);
  });
});

test('a long output through a pipe arrives whole', async () => {
  await withFolder(async (folder) => {
    const { code, err } = await shell(
      folder,
      'set -o pipefail; $KV trace --requests 20000 --seed 3 | (read -r _; wc -l) >&2',
    );
    assert.deepEqual([code, err.trim()], [0, '19999']);
  });
});
