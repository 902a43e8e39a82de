import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { ProcessesRecorder, readProcesses } from '../../src/cli/processes-file.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';

async function world(context: TestContext) {
  const dir = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(dir, { recursive: true, force: true }));
  const { files } = realEnvironment();
  const clock = new SimulatedClock();
  const troubles: (string | undefined)[] = [];
  let supervisor = 1;
  const recorder = new ProcessesRecorder({
    files,
    clock,
    dir,
    content: () => ({ supervisor, processes: [] }),
    onTrouble: (reason) => troubles.push(reason),
  });
  /** A folder that is not empty, where the new file has to be: no write succeeds. */
  const obstacle = path.join(dir, 'processes.json.new');
  const written = async (): Promise<number | undefined> => (await readProcesses(files, dir))?.supervisor;
  /** Waits for work of the file system that nobody tells of; the runner's limit ends a wait in vain. */
  const until = async (isThere: () => Promise<boolean> | boolean): Promise<void> => {
    while (!(await isThere())) await new Promise((resolve) => setImmediate(resolve));
  };
  const set = (pid: number): void => {
    supervisor = pid;
  };
  return { dir, clock, troubles, recorder, obstacle, written, until, set };
}

test('the newest content is written, the last before finish resolves', async (context) => {
  const { recorder, written, set, troubles } = await world(context);
  for (let pid = 1; pid <= 20; pid += 1) {
    set(pid);
    recorder.changed();
  }
  set(0);
  await recorder.finish();
  assert.deepEqual([await written(), troubles], [0, []]);
});

test('a failed write takes the old content away, is told once, and is tried again until it succeeds', async (context) => {
  const { dir, clock, recorder, written, until, set, troubles, obstacle } = await world(context);
  recorder.changed();
  await until(async () => (await written()) === 1);
  await mkdir(path.join(obstacle, 'full'), { recursive: true });
  set(2);
  recorder.changed();
  await until(() => !existsSync(path.join(dir, 'processes.json')));
  for (let attempt = 0; attempt < 3; attempt += 1) {
    clock.advance(2_001);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await rm(obstacle, { recursive: true });
  await until(async () => {
    clock.advance(2_001);
    return (await written()) === 2 && troubles.length === 2;
  });
  assert.deepEqual(
    troubles.map((trouble) => typeof trouble),
    ['string', 'undefined'],
  );
});

test('finish resolves although the file cannot be written', async (context) => {
  const { dir, recorder, obstacle } = await world(context);
  await mkdir(path.join(obstacle, 'full'), { recursive: true });
  recorder.changed();
  await recorder.finish();
  assert.equal(existsSync(path.join(dir, 'processes.json')), false);
});
