/** `up` with real processes, and what it writes on the side, who asks it to stop, and a replica that can't be used. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { runCommand } from './fake-io.ts';
import { isRunning, loader, mainModule, startUp, UpProcess, writeCluster } from './up-process.ts';

async function clusterIn(context: TestContext, gateways: number, loggers: number) {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  const dir = path.join(folder, 'data');
  await writeCluster(dir, gateways, loggers);
  const start = (...args: readonly string[]): UpProcess => {
    const up = startUp(dir, ...args);
    context.after(() => up.stop());
    return up;
  };
  const run = (...argv: readonly string[]) => runCommand(dir, [...argv, '--config', path.join(dir, 'cluster.json')]);
  return { dir, start, run };
}

const isReady = ({ event }: { readonly event: string }): boolean => event === 'ready';

/** Waits for what nobody tells of; the runner's limit ends a wait in vain. */
async function until(isThere: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 100));
}

const processesShape = z.object({
  supervisor: z.int(),
  processes: z.array(z.object({ name: z.string(), pid: z.int(), restarts: z.int() })),
});

async function processesOf(dir: string): Promise<z.infer<typeof processesShape> | undefined> {
  try {
    return processesShape.parse(JSON.parse(await readFile(path.join(dir, 'processes.json'), 'utf8')));
  } catch {
    return undefined;
  }
}

test('up: outputs without a reader, a log that cannot be opened, processes.json not written end nothing; SIGHUP stops in order', async (context) => {
  const { dir, start, run } = await clusterIn(context, 1, 2);
  const up = start();
  await up.event(isReady);
  up.child.stdout?.destroy();
  up.child.stderr?.destroy();
  const log = path.join(dir, 'logger-1.log');
  await rm(log);
  await mkdir(log);
  const obstacle = path.join(dir, 'processes.json.new');
  await mkdir(path.join(obstacle, 'full'), { recursive: true });
  const victim = (await processesOf(dir))?.processes.find(({ name }) => name === 'logger 1')?.pid ?? 0;
  process.kill(victim, 'SIGKILL');
  await until(() => !isRunning(victim));
  assert.equal((await run('put', 'greeting', 'hello')).code, exitCodes.ok);
  await until(async () => (await run('status')).code === exitCodes.ok);
  assert.equal(await processesOf(dir), undefined, 'a wrong process id is worse than none');
  await rm(obstacle, { recursive: true });
  await until(async () => (await processesOf(dir)) !== undefined);
  const pids = (await processesOf(dir))?.processes ?? [];
  assert.equal(pids.find(({ name }) => name === 'logger 1')?.restarts, 1);
  up.child.kill('SIGHUP');
  assert.equal(await up.exited, exitCodes.ok);
  assert.equal((await processesOf(dir))?.supervisor, 0);
  assert.deepEqual(
    pids.filter(({ pid }) => isRunning(pid)),
    [],
  );
});

test('up: one unusable replica of three is said, the others serve, and it serves once it can', async (context) => {
  const { dir, start, run } = await clusterIn(context, 1, 3);
  const first = start();
  await first.event(isReady);
  assert.equal((await run('put', 'greeting', 'hello')).code, exitCodes.ok);
  await first.stop();
  const device = path.join(dir, 'logger-1', 'device');
  await copyFile(device, `${device}.good`);
  await truncate(device, 4096);
  const second = start();
  const ready = await second.event(isReady);
  assert.deepEqual(ready['missing'], ['logger 1']);
  const died = await second.event(({ event }) => event === 'died');
  assert.equal(died.name, 'logger 1');
  assert.equal(typeof died['code'], 'string');
  assert.equal((await run('get', 'greeting')).out, 'hello\n');
  await rename(`${device}.good`, device);
  await second.event(({ event, name }) => event === 'serving' && name === 'logger 1');
  assert.equal(await second.stop(), exitCodes.ok);
});

test('up that npm started through a shell stops when that shell is ended', async (context) => {
  const { dir } = await clusterIn(context, 1, 1);
  const command = [process.execPath, ...loader, mainModule, 'up', '--dir', dir, '--json'].join(' ');
  const shell = new UpProcess('sh', ['-c', `${command}; true`], { npm_lifecycle_event: 'start' });
  await shell.event(isReady);
  const pids = (await processesOf(dir))?.processes ?? [];
  shell.child.kill('SIGKILL');
  // Its output is the cluster's: it ends when the last process has.
  await shell.exited;
  assert.equal(shell.events.at(-1)?.event, 'stopped');
  assert.deepEqual(
    pids.filter(({ pid }) => isRunning(pid)),
    [],
  );
});

test('SIGTERM to all processes at once, as init systems send it, stops in order and writes no warning', async (context) => {
  const { dir, run } = await clusterIn(context, 2, 2);
  const group = spawn(process.execPath, [...loader, mainModule, 'up', '--dir', dir, '--json'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const exited = new Promise<number | null>((resolve) => group.once('exit', resolve));
  context.after(async () => {
    group.kill('SIGTERM');
    await exited;
  });
  await until(async () => (await run('put', 'greeting', 'hello')).code === exitCodes.ok);
  await until(async () => (await run('status')).code === exitCodes.ok);
  const names = ['gateway-0', 'gateway-1', 'logger-0', 'logger-1'];
  const logOf = async (name: string): Promise<string> => await readFile(path.join(dir, `${name}.log`), 'utf8');
  const before = await Promise.all(names.map(logOf));
  process.kill(-(group.pid ?? 0), 'SIGTERM');
  assert.equal(await exited, exitCodes.ok);
  const after = await Promise.all(names.map(logOf));
  const last = after.map((text, index) => text.slice(before[index]?.length));
  for (const text of last) {
    assert.match(text, /stops .*the supervisor asks for it/);
    assert.doesNotMatch(text, / (warn|error) /);
  }
});
