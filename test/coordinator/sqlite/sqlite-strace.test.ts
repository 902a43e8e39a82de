/**
 * S3 for the coordinator, on the real disk: the system calls of a process that uses it show that no transaction is
 * answered before the sync that covers it has returned, and that a failing disk never makes it answer `applied`. Needs
 * strace.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { silent } from '../../../src/base/log.ts';
import { openSqliteCoordinator } from '../../../src/coordinator/sqlite/sqlite.ts';
import { RealClock } from '../../../src/env/real/clock.ts';
import { Child, childCommand, inFolder } from './processes.ts';

const testCount = 4;

function straceWorks(): boolean {
  return spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0;
}

/** Installs it where that is possible. Returns why the tests can't run, or false. */
function missingStrace(): string | false {
  if (process.platform !== 'linux') return 'strace is for Linux';
  if (straceWorks()) return false;
  if (process.getuid?.() === 0) {
    spawnSync('apt-get', ['install', '-y', 'strace'], { stdio: 'ignore', timeout: 120_000 });
    if (straceWorks()) return false;
  }
  return `SKIPPED ${testCount} TESTS OF DURABILITY: strace is missing (apt-get install strace)`;
}

const skip = missingStrace();
if (skip !== false) console.error(skip);

/** Runs the child under strace; its lines in order. */
async function traced(
  t: TestContext,
  straceArguments: readonly string[],
  command: readonly string[],
): Promise<string[]> {
  const child = new Child(['strace', '-f', '-q', ...straceArguments, ...command]);
  const { code } = await child.ended;
  if (code !== 0) t.diagnostic(child.errors.slice(0, 2_000));
  assert.equal(code, 0, 'the process goes on to its end');
  assert.equal(child.lines.at(-1), 'done');
  return child.lines;
}

/**
 * Completed calls and starts of calls, in the order of the trace; a call that another thread interrupted is two lines.
 */
interface Call {
  readonly kind: 'started' | 'returned' | 'whole';
  readonly thread: string;
  readonly name: string;
  readonly rest: string;
}

function parse(trace: string): Call[] {
  return trace.split('\n').flatMap((line): Call[] => {
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/.exec(line);
    if (resumed !== null)
      return [{ kind: 'returned', thread: resumed[1] ?? '', name: resumed[2] ?? '', rest: resumed[3] ?? '' }];
    const call = /^(\d+) +(\w+)\((.*)$/.exec(line);
    if (call === null) return [];
    const [, thread = '', name = '', rest = ''] = call;
    return [{ kind: rest.endsWith('<unfinished ...>') ? 'started' : 'whole', thread, name, rest }];
  });
}

/** @throws when transaction `number` was answered before its log was written and synced, in this order. */
function checkSynced(calls: readonly Call[], number: number): void {
  const said = (word: string): number =>
    calls.findIndex((call) => call.name === 'write' && call.rest.includes(`"${word} ${number}\\n"`));
  const [begin, answer] = [said('begin'), said('ack')];
  assert.ok(begin >= 0 && answer > begin, `transaction ${number} is in the trace`);
  const between = calls.slice(begin, answer);
  const isLog = (call: Call): boolean => call.kind !== 'returned' && call.rest.includes('coordinator.db-wal>');
  const written = between.findLastIndex((call) => call.name === 'pwrite64' && isLog(call));
  assert.ok(written >= 0, `transaction ${number} is written to the log before it is answered`);
  const sync = between.findIndex((call, index) => index > written && /^f(data)?sync$/.test(call.name) && isLog(call));
  assert.ok(sync > written, `transaction ${number}: a sync of the log begins after the write`);
  const syncCall = between[sync];
  const end =
    syncCall?.kind === 'whole'
      ? syncCall
      : between.find((call, index) => index > sync && call.kind === 'returned' && call.thread === syncCall?.thread);
  assert.match(
    end?.rest ?? 'no return',
    /= 0$/,
    `transaction ${number}: the sync returned, without error, before the answer`,
  );
}

describe('sqlite under strace', { skip }, () => {
  it('S3 no transaction is answered before the sync that covers it has returned', (t) =>
    inFolder(async (folder) => {
      const [file, output] = [join(folder, 'coordinator.db'), join(folder, 'trace')];
      const calls = ['-y', '-o', output, '-e', 'trace=write,pwrite64,fsync,fdatasync', '-e', 'signal=none'];
      await traced(t, calls, childCommand('one-by-one', file, '60'));
      const trace = parse(await readFile(output, 'utf8'));
      for (let number = 1; number <= 60; number += 1) checkSynced(trace, number);
      // The check itself: without its syncs the same trace must fail.
      assert.throws(
        () =>
          checkSynced(
            trace.filter((call) => !/sync$/.test(call.name)),
            1,
          ),
        /a sync of the log begins/,
      );
    }));

  it('S17 after a sync that failed the outcome is unknown, nothing is answered as applied, and the process goes on', (t) =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const inject = [
        '-P',
        `${file}-wal`,
        '-o',
        join(folder, 'trace'),
        '-e',
        'trace=fdatasync,fsync',
        '-e',
        'inject=fdatasync,fsync:error=EIO:when=20+',
      ];
      const lines = await traced(t, inject, childCommand('one-by-one', file, '40'));
      const acknowledged = await checkFailure(file, lines);
      assert.ok(acknowledged > 5 && acknowledged < 40);
      const failed = lines.filter((line) => line.startsWith('failed'));
      assert.equal(failed.length, 40 - acknowledged);
      assert.ok(
        failed.every((line) => line.endsWith(' unknown')),
        failed.join(),
      );
      const firstFailure = lines.findIndex((line) => line.startsWith('failed'));
      assert.ok(!lines.slice(firstFailure).some((line) => line.startsWith('ack')));
    }));

  it('a process that watches while nothing is written hardly looks at the file', (t) =>
    inFolder(async (folder) => {
      const [file, output] = [join(folder, 'coordinator.db'), join(folder, 'trace')];
      const calls = ['-o', output, '-e', 'trace=write,fcntl', '-e', 'signal=none'];
      await traced(t, calls, childCommand('watch', file, '2000'));
      const trace = parse(await readFile(output, 'utf8'));
      const said = (word: string): number =>
        trace.findIndex(({ name, rest }) => name === 'write' && rest.includes(`"${word}\\n"`));
      const [idle, over] = [said('idle'), said('over')];
      assert.ok(idle >= 0 && over > idle, 'both are in the trace');
      // Two locks a look: 8 looks where writes are announced, 140 where they are not.
      const locks = trace.slice(idle, over).filter(({ name, kind }) => name === 'fcntl' && kind !== 'returned').length;
      assert.ok(locks > 0 && locks <= 60, `${locks} locks in two seconds`);
    }));

  it('a full disk fails transactions, loses nothing acknowledged, and is over when there is space again', (t) =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const inject = [
        '-P',
        `${file}-wal`,
        '-o',
        join(folder, 'trace'),
        '-e',
        'trace=pwrite64',
        '-e',
        'inject=pwrite64:error=ENOSPC:when=60..80',
      ];
      const lines = await traced(t, inject, childCommand('one-by-one', file, '60'));
      await checkFailure(file, lines);
      const states = lines.flatMap((line) => (/^(ack|failed)/.test(line) ? [line.slice(0, 3)] : []));
      assert.ok(states.includes('fai'));
      assert.equal(states.at(0), 'ack');
      assert.equal(states.at(-1), 'ack');
    }));
});

/**
 * Reads the store afresh: the last acknowledged value or a later one that was tried is there. Returns how many were
 * acknowledged.
 */
async function checkFailure(file: string, lines: readonly string[]): Promise<number> {
  const acknowledged = lines.filter((line) => line.startsWith('ack')).map((line) => Number(line.slice(4)));
  const coordinator = await openSqliteCoordinator({ file, clock: new RealClock(), log: silent });
  const entry = await coordinator.get('k');
  await coordinator.close();
  const found = Number(new TextDecoder().decode(entry?.value));
  assert.ok(found >= Math.max(...acknowledged), `${Math.max(...acknowledged)} acknowledged, found ${found}`);
  return acknowledged.length;
}
