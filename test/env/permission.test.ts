/** What a process without the rights is told: the file at fault and the reason, in one form, whoever found out. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { silent } from '../../src/base/log.ts';
import { openSqliteCoordinator } from '../../src/coordinator/sqlite/sqlite.ts';
import { RealClock } from '../../src/env/real/clock.ts';

const nobody = 65_534;
const extension = path.extname(import.meta.url);
const sourceUrl = (name: string): string => new URL(`../../src/${name}${extension}`, import.meta.url).href;

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-permission-'));
  context.after(() => rm(folder, { recursive: true }));
  return folder;
}

async function readOnlyFolder(context: TestContext): Promise<string> {
  const folder = await folderFor(context);
  await chmod(folder, 0o555);
  return folder;
}

/** Prints `code: message` of what `body` throws, in a process that has no special rights. */
async function failureOf(body: string): Promise<string> {
  const script = `if (process.getuid() === 0) { process.setgid(${nobody}); process.setuid(${nobody}); }
    const load = (name) => import(name);
    (async () => { ${body} })().then(
      () => console.log('no failure'), (error) => console.log(error.code + ': ' + error.message));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '-e', script]);
  return stdout.trim();
}

test('a folder that may not be written cannot be locked', async (context) => {
  const folder = await readOnlyFolder(context);
  const body = `const { realFiles } = await load('${sourceUrl('env/real/files')}');
    const { lockFolder } = await load('${sourceUrl('env/folder-lock')}');
    await lockFolder(realFiles(), '${folder}');`;
  assert.equal(
    await failureOf(body),
    `permission-denied: lock ${folder}: ${folder} cannot be written: permission denied (EACCES)`,
  );
});

test('a folder cannot be made where one may not', async (context) => {
  const folder = await readOnlyFolder(context);
  const body = `const { realFiles } = await load('${sourceUrl('env/real/files')}');
    const { lockFolder } = await load('${sourceUrl('env/folder-lock')}');
    await lockFolder(realFiles(), '${folder}/below');`;
  assert.match(await failureOf(body), /^permission-denied: make folder .*below: EACCES/);
});

test("a coordinator's file that may not be written is not opened", async (context) => {
  const folder = await folderFor(context);
  const stored = path.join(folder, 'coordinator.sqlite');
  await (await openSqliteCoordinator({ file: stored, clock: new RealClock(), log: silent })).close();
  await chmod(stored, 0o444);
  await chmod(folder, 0o555);
  const body = `const { openSqliteCoordinator } = await load('${sourceUrl('coordinator/sqlite/sqlite')}');
    const { RealClock } = await load('${sourceUrl('env/real/clock')}');
    const file = '${folder}/' + FILE;
    await openSqliteCoordinator({ file, clock: new RealClock(), log: () => undefined });`;
  for (const [name, atFault] of [
    ['other.sqlite', folder],
    ['coordinator.sqlite', stored],
  ] as const) {
    assert.equal(
      await failureOf(body.replace('FILE', `'${name}'`)),
      `permission-denied: ${atFault} cannot be written: permission denied (EACCES)`,
    );
  }
});

test("a coordinator's file whose rights were taken and given back opens again, also when its -shm kept the wrong ones", async (context) => {
  const folder = await folderFor(context);
  await chmod(folder, 0o777);
  const body = `const { openSqliteCoordinator } = await load('${sourceUrl('coordinator/sqlite/sqlite')}');
    const { RealClock } = await load('${sourceUrl('env/real/clock')}');
    const fs = await load('node:fs');
    const file = '${folder}/coordinator.sqlite';
    const open = async () => await (await openSqliteCoordinator({ file, clock: new RealClock(), log: () => undefined })).close();
    await open();
    fs.chmodSync(file, 0o444);
    const denied = await open().then(() => 'opened', (error) => error.code);
    fs.chmodSync(file, 0o644);
    await open();
    fs.writeFileSync(file + '-shm', '', { mode: 0o444 });
    await open();
    throw Object.assign(new Error('twice after it'), { code: denied });`;
  assert.equal(await failureOf(body), 'permission-denied: twice after it');
});
