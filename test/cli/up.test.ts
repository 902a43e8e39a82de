/** `up` with real processes: they come back, end with it, and find their data again. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { fakeIo, runCommand } from './fake-io.ts';
import { freePorts, isRunning, startUp, writeCluster, type UpProcess } from './up-process.ts';

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

/** Ends what a failed test would leave. */
function stopAfter(context: TestContext, up: UpProcess): UpProcess {
  context.after(() => up.stop());
  return up;
}

const processesShape = z.object({
  supervisor: z.int(),
  processes: z.array(z.object({ name: z.string(), pid: z.int(), state: z.string(), restarts: z.int() })),
});

async function processesOf(dir: string) {
  return processesShape.parse(JSON.parse(await readFile(path.join(dir, 'processes.json'), 'utf8')));
}

test('up: what is killed comes back, a killed supervisor takes all with it, the next one finds the data', async (context) => {
  const dir = path.join(await folderFor(context), 'data');
  await writeCluster(dir, 2, 2);
  const config = ['--config', path.join(dir, 'cluster.json')];
  const first = stopAfter(context, startUp(dir));
  const ready = await first.event(({ event }) => event === 'ready');
  assert.equal(ready.endpoints?.length, 2);
  assert.equal((await runCommand(dir, ['put', 'greeting', 'hello', ...config])).code, exitCodes.ok);

  const logger = first.events.find(({ event, name }) => event === 'started' && name === 'logger 1');
  const seen = first.events.length;
  process.kill(logger?.pid ?? 0, 'SIGKILL');
  const died = await first.event(({ event }) => event === 'died', seen);
  assert.deepEqual([died.name, died['why']], ['logger 1', 'by signal SIGKILL']);
  const back = await first.event(({ event, name }) => event === 'serving' && name === 'logger 1', seen);
  assert.notEqual(back.pid, logger?.pid);
  assert.equal((await runCommand(dir, ['get', 'greeting', ...config])).out, 'hello\n');
  const status = await runCommand(dir, ['status', ...config]);
  assert.ok(status.out.includes(String(back.pid)), 'status shows process ids');

  const pids = (await processesOf(dir)).processes.map(({ pid }) => pid);
  assert.equal(pids.filter(isRunning).length, 4);
  first.child.kill('SIGKILL');
  await first.exited;

  // It waits until the processes that the killed one left have noticed.
  const second = stopAfter(context, startUp(dir));
  await second.event(({ event }) => event === 'ready');
  assert.deepEqual(pids.filter(isRunning), [], 'nothing outlives its supervisor');
  assert.equal((await runCommand(dir, ['get', 'greeting', ...config])).out, 'hello\n');
  const again = (await processesOf(dir)).processes.map(({ pid }) => pid);
  assert.equal(await second.stop(), exitCodes.ok);
  assert.deepEqual(again.filter(isRunning), []);
  const stopped = await processesOf(dir);
  assert.deepEqual(
    [stopped.supervisor, stopped.processes.map(({ state }) => state)],
    [0, ['stopped', 'stopped', 'stopped', 'stopped']],
  );
});

test('processes that still load their modules when their supervisor is killed end as well', async (context) => {
  const dir = path.join(await folderFor(context), 'data');
  await writeCluster(dir, 1, 2);
  const up = stopAfter(context, startUp(dir));
  await up.event(({ event, name }) => event === 'started' && name === 'gateway 0');
  up.child.kill('SIGKILL');
  await up.exited;
  const pids = up.events.filter(({ event }) => event === 'started').map(({ pid }) => pid ?? 0);
  assert.equal(pids.length, 3);
  // Nobody tells of their end but the system; the runner's limit ends a wait in vain.
  while (pids.some(isRunning)) await new Promise((resolve) => setTimeout(resolve, 50));
});

test('up --no-restart leaves dead what dies, and says so', async (context) => {
  const dir = path.join(await folderFor(context), 'data');
  await writeCluster(dir, 1, 1);
  const up = stopAfter(context, startUp(dir, '--no-restart'));
  await up.event(({ event }) => event === 'ready');
  const gateway = up.events.find(({ event, name }) => event === 'started' && name === 'gateway 0');
  process.kill(gateway?.pid ?? 0, 'SIGKILL');
  const died = await up.event(({ event }) => event === 'died');
  assert.equal(died['restartMs'], undefined);
  assert.equal(await up.stop(), exitCodes.ok);
  assert.equal(up.events.filter(({ event, name }) => event === 'started' && name === 'gateway 0').length, 1);
});

test('up: a folder in use, a port in use, settings that differ', async (context) => {
  const folder = await folderFor(context);
  const dir = path.join(folder, 'data');
  await writeCluster(dir, 1, 1);
  const lock = await fakeIo(folder).environment.files.lock(dir);
  const inUse = await runCommand(folder, ['up', '--dir', 'data']);
  assert.deepEqual(
    [inUse.code, /another `up`.*\[folder-in-use\]\n$/.test(inUse.err)],
    [exitCodes.failed, true],
    inUse.err,
  );
  await lock.release();

  const config = z
    .object({ gateways: z.array(z.string()) })
    .parse(JSON.parse(await readFile(path.join(dir, 'cluster.json'), 'utf8')));
  const port = Number(config.gateways[0]?.split(', ')[1]);
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const taken = await runCommand(folder, ['up', '--dir', 'data']);
  server.close();
  await once(server, 'close');
  assert.deepEqual(
    [
      taken.code,
      taken.err.startsWith(`kv-filelog: 127.0.0.1:${port} (client port of gateway 0): in use by another process`),
    ],
    [exitCodes.failed, true],
    taken.err,
  );

  const differ = await runCommand(folder, ['up', '--dir', 'data', '--gateways', '3', '--zone-size', '1MiB']);
  assert.equal(differ.code, exitCodes.usage);
  assert.match(
    differ.err,
    /--gateways 3 was given, 1 is stored; --zone-size 1048576 was given, 4194304 is stored.*\[settings-differ\]\n$/,
  );
});

test('up: a node that cannot start fails the start with its own error', async (context) => {
  const folder = await folderFor(context);
  const dir = path.join(folder, 'data');
  await writeCluster(dir, 1, 1);
  const files = fakeIo(folder).environment.files;
  await files.makeFolder(path.join(dir, 'logger-0'));
  const lock = await files.lock(path.join(dir, 'logger-0'));
  const up = stopAfter(context, startUp(dir));
  assert.equal(await up.exited, exitCodes.failed);
  assert.match(up.errors, /^kv-filelog: logger 0: .*\[folder-in-use\]\n$/);
  await lock.release();
});

test('free ports are different ones', async () => {
  assert.equal(new Set(await freePorts(20)).size, 20);
});
