/** The embedded coordinator among real processes that are killed with -9 and stopped. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silent } from '../../../src/base/log.ts';
import type { Coordinator } from '../../../src/coordinator/coordinator.ts';
import { openSqliteCoordinator } from '../../../src/coordinator/sqlite/sqlite.ts';
import { RealClock } from '../../../src/env/real/clock.ts';
import { Child, childCommand, inFolder, seeded, stopped } from './processes.ts';

const seed = Number(process.env['KV_FILELOG_SEED'] ?? 1);
const writers = 4;
const killsPerWriter = 50;
/** What the promise allows for a survivor's wait. */
const waitMsMax = 3_000;

const open = (file: string): Promise<Coordinator> =>
  openSqliteCoordinator({ file, clock: new RealClock(), log: silent });

async function numberAt(coordinator: Coordinator, key: string): Promise<number> {
  const entry = await coordinator.get(key);
  return entry === undefined ? 0 : Number(new TextDecoder().decode(entry.value));
}

interface Tally {
  kills: number;
  acknowledged: number;
  shared: number;
  slowestMs: number;
}

/** One writer's lives: killed somewhere after a random number of acknowledgements, or while it starts or opens. */
async function lives(file: string, number: number, observer: Coordinator, tally: Tally): Promise<void> {
  const random = seeded(seed * 1_000 + number);
  for (let life = 0; life < killsPerWriter; life += 1) {
    const child = new Child(childCommand('write', file, String(number)));
    let left = Math.floor(random() ** 2 * 60);
    const kind = random();
    await child.until((line) => {
      if (kind < 0.1) return line === 'started';
      if (kind < 0.2) return line === 'opened';
      left -= line.startsWith('own') || line === 'shared' ? 1 : 0;
      return left < 0;
    });
    assert.equal(child.process.exitCode, null, `writer ${number} failed: ${child.errors}`);
    await child.kill();
    tally.kills += 1;
    count(child.lines, tally);
    await checkOwn(observer, number, child.lines);
  }
}

function count(lines: readonly string[], tally: Tally): void {
  for (const line of lines) {
    if (line.startsWith('took ')) tally.slowestMs = Math.max(tally.slowestMs, Number(line.slice(5)));
    if (line === 'shared') tally.shared += 1;
    if (line.startsWith('own ')) tally.acknowledged += 1;
  }
}

async function checkOwn(observer: Coordinator, number: number, lines: readonly string[]): Promise<void> {
  const acknowledged = Number(
    lines
      .filter((line) => line.startsWith('own '))
      .at(-1)
      ?.slice(4) ?? 0,
  );
  const { entries } = await observer.list(`own/${number}/`);
  const [a, b] = entries.map((entry) => `${new TextDecoder().decode(entry.value)} at ${entry.revision}`);
  assert.equal(a, b, 'a transaction is whole or not there');
  assert.ok(Number(a?.split(' ')[0] ?? 0) >= acknowledged, `acknowledged ${acknowledged}, found ${a ?? 'nothing'}`);
}

describe('sqlite: kill -9', () => {
  it(`after ${writers * killsPerWriter} kills every acknowledged change is there, none torn, no survivor failed or waited`, (t: TestContext) =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const tally: Tally = { kills: 0, acknowledged: 0, shared: 0, slowestMs: 0 };
      // Opened among the writers: the file is made by several at once.
      const opening = open(file);
      const running = Array.from({ length: writers }, async (_, number) => lives(file, number, await opening, tally));
      const observer = await opening;
      await Promise.all(running);
      const [counter, twin] = [await numberAt(observer, 'counter'), await numberAt(observer, 'twin')];
      await observer.close();
      t.diagnostic(`seed ${seed}: ${JSON.stringify(tally)}, counter ${counter}`);
      assert.equal(tally.kills, writers * killsPerWriter);
      assert.ok(tally.acknowledged > 200 && tally.shared > 200, 'the writers got to write');
      assert.equal(counter, twin);
      // A kill takes at most the one acknowledgement that was on its way.
      assert.ok(
        counter >= tally.shared && counter <= tally.shared + tally.kills,
        `${tally.shared} acknowledged, counter ${counter}`,
      );
      assert.ok(tally.slowestMs < waitMsMax, `the slowest transaction took ${tally.slowestMs} ms`);
      const again = await open(file);
      assert.equal(await numberAt(again, 'counter'), counter);
      await again.close();
    }));
});

const value = new Uint8Array([1]);

describe('sqlite: the end of a process', () => {
  it('that has it open but waits for nothing comes by itself, without close', () =>
    inFolder(async (folder) => {
      const child = new Child(childCommand('just-open', join(folder, 'coordinator.db')));
      assert.deepEqual(await child.ended, { code: 0, signal: null }, child.errors);
    }));

  it('by process.exit is not delayed by its thread', () =>
    inFolder(async (folder) => {
      const child = new Child(childCommand('exit-open', join(folder, 'coordinator.db')));
      assert.deepEqual(await child.ended, { code: 7, signal: null }, child.errors);
    }));

  it('by process.exit in the midst of transactions leaves the exit code alone', () =>
    inFolder(async (folder) => {
      for (let afterMs = 0; afterMs < 30; afterMs += 1) {
        const child = new Child(childCommand('exit-busy', join(folder, `coordinator-${afterMs}.db`), String(afterMs)));
        assert.deepEqual(await child.ended, { code: 7, signal: null }, child.errors);
      }
    }));
});

describe('sqlite: SIGSTOP', { skip: process.platform === 'linux' ? false : 'needs /proc' }, () => {
  const withChild = (
    command: readonly [string, ...string[]],
    body: (child: Child, mine: Coordinator, file: string) => Promise<void>,
  ): Promise<void> =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const mine = await open(file);
      const [role, ...parameters] = command;
      const child = new Child(childCommand(role, file, ...parameters));
      try {
        await body(child, mine, file);
      } finally {
        await child.kill();
        await mine.close();
      }
    });

  it('a process stopped inside a transaction is ended, the others go on within 3 s, and nothing of it is there', () =>
    withChild(['stop-inside'], async (child, mine, file) => {
      await child.until((line) => line === 'begin');
      await stopped(child.pid);
      const start = performance.now();
      const opening = open(file);
      await Promise.all([mine.transact([], [{ key: 'a', value }]), opening, mine.get('a')]);
      const other = await opening;
      await other.transact([], [{ key: 'b', value }]);
      assert.ok(performance.now() - start < waitMsMax);
      assert.deepEqual(await child.ended, { code: null, signal: 'SIGKILL' });
      assert.ok(!child.lines.includes('committed'));
      assert.deepEqual(
        (await other.list('')).entries.map((entry) => entry.key),
        ['a', 'b'],
      );
      await other.close();
    }));

  it('writers that wait for a process that stops inside a transaction go on within 3 s', () =>
    withChild(['stop-inside'], async (child, mine) => {
      await child.until((line) => line === 'begin');
      await stopped(child.pid);
      const start = performance.now();
      assert.equal(await mine.get('held'), undefined);
      assert.ok(performance.now() - start < 500, 'readers never wait');
      assert.equal((await mine.transact([], [{ key: 'a', value }])).kind, 'applied');
      assert.ok(performance.now() - start < waitMsMax);
    }));

  it('a process that is slow inside a transaction, but runs, is waited for', () =>
    withChild(['block-inside', '1800'], async (child, mine) => {
      await child.until((line) => line === 'begin');
      while ((await mine.list('held')).entries.length === 0) {
        assert.equal(
          child.process.exitCode ?? child.process.signalCode,
          null,
          `it ended without its transaction: ${child.errors}`,
        );
        await mine.transact([], [{ key: 'a', value }]);
        // SQLite's lock goes to whoever comes first: without a pause the other process may never get it.
        await sleep(5);
      }
      assert.deepEqual(await child.ended, { code: 0, signal: null });
      assert.ok(child.lines.includes('committed'));
    }));

  it('a process stopped outside a transaction disturbs nobody and is left alone', () =>
    withChild(['stop-outside'], async (child, mine) => {
      await stopped(child.pid).catch(() => assert.fail(child.errors));
      for (let count = 0; count < 20; count += 1) await mine.transact([], [{ key: 'a', value }]);
      await stopped(child.pid);
      process.kill(child.pid, 'SIGCONT');
      assert.deepEqual(await child.ended, { code: 0, signal: null });
    }));
});
