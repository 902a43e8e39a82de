/**
 * The package as a user gets it: packed, installed into an empty project, its command, its two doors and its types
 * tried there. Needs the compiled code (`npm test` builds it) and a registry, or npm's cache, for five dependencies:
 * skipped, and said so, where there is neither.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { UpProcess, writeCluster } from './cli/up-process.ts';
import { repositoryRoot } from './support/repository.ts';

const execute = promisify(execFile);
const noNetwork = /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ECONNRESET|ENOTCACHED|EHOSTUNREACH|network/i;

/** Without what npm tells the scripts of this repository: it would be taken for the new project's. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(npm_(package|lifecycle|config_local)|INIT_CWD|NODE_OPTIONS)/.test(name),
  ),
);

interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(command: string, args: readonly string[], folder: string): Promise<Output> {
  try {
    const { stdout, stderr } = await execute(command, [...args], {
      cwd: folder,
      env: environment,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const failure = z
      .looseObject({ code: z.union([z.int(), z.string()]), stdout: z.string(), stderr: z.string() })
      .parse(error);
    return { code: typeof failure.code === 'number' ? failure.code : -1, out: failure.stdout, err: failure.stderr };
  }
}

async function succeed(command: string, args: readonly string[], folder: string): Promise<string> {
  const { code, out, err } = await run(command, args, folder);
  assert.equal(code, 0, `${command} ${args.join(' ')}\n${out}\n${err}`);
  return out;
}

const packed = z.array(z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })).min(1);

/** Packs and installs. Undefined: skipped for want of a registry. */
async function install(
  context: TestContext,
  folder: string,
): Promise<{ readonly project: string; readonly files: readonly string[] } | undefined> {
  const [tarball] = packed.parse(
    JSON.parse(
      await succeed('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], repositoryRoot),
    ),
  );
  assert.ok(tarball !== undefined);
  const project = path.join(folder, 'project');
  await mkdir(project);
  await writeFile(
    path.join(project, 'package.json'),
    JSON.stringify({ name: 'project', version: '1.0.0', private: true, type: 'module' }),
  );
  const installed = await run(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', path.join(folder, tarball.filename)],
    project,
  );
  if (installed.code !== 0 && noNetwork.test(installed.err)) {
    context.skip(
      `the package was NOT tried: its dependencies cannot be installed here: ${installed.err.split('\n')[0] ?? ''}`,
    );
    return undefined;
  }
  assert.equal(installed.code, 0, installed.err);
  return { project, files: tarball.files.map(({ path: name }) => name) };
}

const script = `
import { connect } from 'kv-filelog';
import { startCluster } from 'kv-filelog/server';
const cluster = await startCluster({ folder: process.argv[2], zoneSize: 1024 * 1024, device: { capacityBytes: 64 * 1024 * 1024 } });
const kv = await connect(cluster.endpoints);
const { version } = await kv.put('key', 'value');
const entry = await kv.get('key');
await kv.close();
await cluster.close();
console.log(JSON.stringify({ same: entry.version === version, text: entry.text }));
`;

const typed = `
import { connect, KvError, type Client, type ErrorCode } from 'kv-filelog';
import { startCluster, type Cluster, type GatewayStatus } from 'kv-filelog/server';
const cluster: Cluster = await startCluster({ folder: 'data' });
const kv: Client = await connect([...cluster.endpoints], { timeoutMs: 1_000 });
const { version } = await kv.put('key', new Uint8Array([1]), { ifAbsent: true });
const next: number = version + 1;
// @ts-expect-error a version is a number: the types are there, and no any
const wrong: string = version;
// @ts-expect-error there is no such option
await kv.put('key', 'value', { ifAbsnt: true });
const code: ErrorCode = new KvError('timeout', 'late').code;
const status: GatewayStatus | undefined = cluster.gateways[0]?.status();
// @ts-expect-error ids are branded
const shards: string = status?.shardCount;
export { next, wrong, code, shards };
`;

const tsconfig = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    // Of other packages: theirs are not ours to mend.
    skipLibCheck: true,
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    typeRoots: [path.join(repositoryRoot, 'node_modules/@types')],
  },
  files: ['typed.ts'],
};

test(
  'the packed package works in an empty project',
  { skip: existsSync(path.join(repositoryRoot, 'dist/src/cli/main.js')) ? false : 'build first' },
  async (context) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-pack-'));
    context.after(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
    const installed = await install(context, folder);
    if (installed === undefined) return;
    const { project, files } = installed;

    await context.test('it holds the compiled sources and the documents, no tests and no maps', async () => {
      for (const name of [
        'dist/src/cli/main.js',
        'dist/src/client/index.d.ts',
        'dist/src/server/index.d.ts',
        'LICENSE',
        'CHANGELOG.md',
        'docs/operating.md',
        'package.json',
      ]) {
        assert.ok(files.includes(name), name);
      }
      const others = files.filter(
        (name) =>
          !/^(dist\/src\/.*\.(js|d\.ts)|docs\/.*|package\.json|README\.md|ARCHITECTURE\.md|CHANGELOG\.md|LICENSE)$/.test(
            name,
          ),
      );
      assert.deepEqual(others, []);
      assert.ok(
        (await readFile(path.join(project, 'node_modules/kv-filelog/dist/src/cli/main.js'), 'utf8')).startsWith(
          '#!/usr/bin/env node\n',
        ),
      );
    });

    const bin = path.join(project, 'node_modules/.bin/kv-filelog');
    await context.test('the command shows help and its version', async () => {
      assert.match(await succeed(bin, ['--help'], project), /^Usage: kv-filelog/);
      const manifest = z
        .object({ version: z.string() })
        .parse(JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')));
      assert.equal(await succeed(bin, ['--version'], project), `${manifest.version}\n`);
    });

    await context.test('`up` serves put and get', async () => {
      const dir = path.join(project, 'kv-filelog-data');
      await writeCluster(dir, 1, 1);
      const up = new UpProcess(bin, ['up', '--dir', dir, '--json']);
      try {
        await up.event(({ event }) => event === 'ready');
        await succeed(bin, ['put', 'greeting', 'hello', '--config', path.join(dir, 'cluster.json')], project);
        assert.equal(
          await succeed(bin, ['get', 'greeting', '--config', path.join(dir, 'cluster.json')], project),
          'hello\n',
        );
      } finally {
        assert.equal(await up.stop(), 0);
      }
    });

    await context.test('both doors are imported and work', async () => {
      await writeFile(path.join(project, 'script.js'), script);
      const out = await succeed(process.execPath, ['script.js', path.join(project, 'embedded')], project);
      assert.deepEqual(JSON.parse(out), { same: true, text: 'value' });
    });

    await context.test('both doors have types', async () => {
      await writeFile(path.join(project, 'typed.ts'), typed);
      await writeFile(path.join(project, 'tsconfig.json'), JSON.stringify(tsconfig));
      const tsc = path.join(repositoryRoot, 'node_modules/typescript/bin/tsc');
      await succeed(process.execPath, [tsc, '-p', 'tsconfig.json'], project);
    });
  },
);
