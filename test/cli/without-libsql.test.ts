/** A copy of the program whose database library, or its native part, is missing. Needs the compiled code. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { repositoryRoot } from '../support/repository.ts';

interface Ended {
  readonly code: number;
  readonly text: string;
}

function run(folder: string, ...argv: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { cwd: folder, timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), text: out + err });
    });
  });
}

/** Calls `work` in a copy; `libraries`: names of the packages that are there. */
async function withCopy(libraries: readonly string[], work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-bare-'));
  try {
    const modules = path.join(repositoryRoot, 'node_modules');
    await mkdir(path.join(folder, 'node_modules'));
    await cp(path.join(repositoryRoot, 'dist/src'), path.join(folder, 'dist/src'), { recursive: true });
    await cp(path.join(repositoryRoot, 'package.json'), path.join(folder, 'package.json'));
    for (const name of libraries) {
      const [from, to] = [path.join(modules, name), path.join(folder, 'node_modules', name)];
      // A copy: through a link its native part would be found beside the original.
      if (name === 'libsql') await cp(from, to, { recursive: true });
      else await symlink(from, to);
    }
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const others = ['commander', 'picocolors', 'zod'];

describe('without the database library', () => {
  for (const [what, libraries] of [
    ['its native part is missing', [...others, 'libsql', '@neon-rs', 'detect-libc']],
    ['all of it is missing', others],
  ] as const) {
    test(`${what}: nodes say what to do, in one line, and whoever needs none works`, async () => {
      await withCopy(libraries, async (folder) => {
        const program = path.join(folder, 'dist/src/cli/main.js');
        const help = await run(folder, program, '--help');
        assert.deepEqual([help.code, /^Usage: kv-filelog/.test(help.text)], [0, true], help.text);
        const get = await run(folder, program, 'get', 'k', '--endpoints', '127.0.0.1:1', '--timeout', '200');
        assert.deepEqual([get.code, /\[unavailable\]\n$/.test(get.text)], [1, true], get.text);
        const up = await run(folder, program, 'up', '--dir', path.join(folder, 'data'));
        assert.match(up.text, /^kv-filelog: the database library libsql .*npm ci .* \[library-missing\]\n$/);
        assert.equal(up.code, 1);
        const door = path.join(folder, 'dist/src/server/index.js');
        const coordinator = `openSqliteCoordinator({ file: 'c.sqlite', clock: realEnvironment().clock, log: silent })`;
        const script = `
          import { openSqliteCoordinator, realEnvironment, silent } from ${JSON.stringify(door)};
          await ${coordinator}.catch((error) => console.log(error.name, error.code));`;
        await writeFile(path.join(folder, 'embedded.mjs'), script);
        const embedded = await run(folder, path.join(folder, 'embedded.mjs'));
        assert.deepEqual(embedded, { code: 0, text: 'KvError library-missing\n' });
      });
    });
  }
});
