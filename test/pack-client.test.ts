/**
 * The client alone, as scripts/pack-client.mjs packs it: installed into an empty project without a registry, since it
 * has no dependencies, and tried there. Needs the compiled code.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startCluster } from '../src/server/index.ts';
import { repositoryRoot } from './support/repository.ts';

const execute = promisify(execFile);

/** Without what npm tells the scripts of this repository: it would be taken for the new project's. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|INIT_CWD|NODE_OPTIONS)/.test(name)),
);

async function run(folder: string, command: string, ...argv: readonly string[]): Promise<string> {
  return (await execute(command, [...argv], { cwd: folder, env })).stdout.trim();
}

const script = `
import { connect } from 'kv-filelog-client';
const kv = await connect(process.argv[2]);
await kv.put('key', 'value');
console.log((await kv.get('key')).text);
await kv.close();
`;

const commonScript = `
import('kv-filelog-client').then(async ({ connect, KvError }) => {
  const error = await connect('127.0.0.1:1', { connectTimeoutMs: 100 }).catch((error) => error);
  console.log(error instanceof KvError, error.code);
});
`;

const typed = `
import { connect, Entry, KvError, type ErrorCode, type PutOptions } from 'kv-filelog-client';
const options: PutOptions = { ifVersion: 1 };
const kv = await connect('127.0.0.1:7400');
const entry: Entry | undefined = await kv.get('key');
const code: ErrorCode = new KvError('timeout', 'late').code;
// @ts-expect-error there is no such option
await kv.put('key', 'value', { ifVerison: 1 });
// @ts-expect-error a version is a number
const text: string = (await kv.put('key', 'value', options)).version;
export { code, entry, text };
`;

/** Neither @types/node, nor the types of a browser, nor libraries newer than the oldest Node's. */
const compilerOptions = {
  target: 'es2022',
  lib: ['es2022'],
  module: 'nodenext',
  strict: true,
  noEmit: true,
  skipLibCheck: false,
  types: [],
};

test('the client alone is small, has no dependencies, and works with its types in an empty project', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-client-'));
  context.after(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  const packing = path.join(repositoryRoot, 'scripts/pack-client.mjs');
  const archive = (await run(repositoryRoot, process.execPath, packing, '--to', folder)).split('\n').at(-1) ?? '';
  assert.ok((await stat(path.join(folder, archive))).size < 150_000);
  const project = path.join(folder, 'project');
  await mkdir(project);
  await writeFile(path.join(project, 'package.json'), '{"name": "project", "private": true, "type": "module"}');
  await run(project, 'npm', 'install', '--offline', '--no-audit', '--no-fund', path.join(folder, archive));
  const modules = await readdir(path.join(project, 'node_modules'));
  assert.deepEqual(
    modules.filter((name) => !name.startsWith('.')),
    ['kv-filelog-client'],
  );

  await context.test('from an ES module, and from CommonJS', async () => {
    const device = { capacityBytes: 64 * 1024 * 1024 };
    await using cluster = await startCluster({ folder: path.join(folder, 'data'), zoneSize: 1024 * 1024, device });
    await writeFile(path.join(project, 'script.js'), script);
    assert.equal(await run(project, process.execPath, 'script.js', cluster.endpoints[0] ?? ''), 'value');
    await writeFile(path.join(project, 'script.cjs'), commonScript);
    assert.equal(await run(project, process.execPath, 'script.cjs'), 'true unavailable');
  });

  await context.test('its types need no others', async () => {
    await writeFile(path.join(project, 'typed.ts'), typed);
    await writeFile(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }));
    await run(project, process.execPath, path.join(repositoryRoot, 'node_modules/typescript/bin/tsc'), '-p', '.');
  });
});
