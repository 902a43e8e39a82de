/**
 * A process for the tests of the SQLite coordinator: `child ROLE FILE ...`. It says what it does in lines on stdout,
 * each written at once, so that what it said before a kill -9 counts.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { silent } from '../../../src/base/log.ts';
import { CoordinatorError, type Coordinator } from '../../../src/coordinator/coordinator.ts';
import { openSqliteCoordinator } from '../../../src/coordinator/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/coordinator/sqlite/sqlite-database.ts';
import { realFiles } from '../../../src/env/real/files.ts';
import { RealClock } from '../../../src/env/real/clock.ts';

const [role = '', file = '', ...parameters] = process.argv.slice(2);
const say = (line: string): void => void writeSync(1, `${line}\n`);
const text = (value: string | number): Uint8Array => new TextEncoder().encode(String(value));

async function numberAt(
  coordinator: Coordinator,
  key: string,
): Promise<{ readonly value: number; readonly revision: number }> {
  const entry = await coordinator.get(key);
  return {
    value: entry === undefined ? 0 : Number(new TextDecoder().decode(entry.value)),
    revision: entry?.revision ?? 0,
  };
}

async function timed<T>(action: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await action();
  say(`took ${Math.ceil(performance.now() - start)}`);
  return result;
}

/** Writes its own pair of keys, each time with equal values one higher, and says which values were acknowledged. */
async function writeOwn(coordinator: Coordinator, number: string): Promise<void> {
  const [a, b] = [`own/${number}/a`, `own/${number}/b`];
  let last = (await numberAt(coordinator, a)).value;
  for (;;) {
    last += 1;
    const value = text(last);
    const result = await timed(() =>
      coordinator.transact(
        [],
        [
          { key: a, value },
          { key: b, value },
        ],
      ),
    );
    if (result.kind === 'applied') say(`own ${last}`);
  }
}

/** Raises the counter that all share, and its twin, by compare-and-set. */
async function writeShared(coordinator: Coordinator): Promise<void> {
  for (;;) {
    const [counter, twin] = [await numberAt(coordinator, 'counter'), await numberAt(coordinator, 'twin')];
    const value = text(counter.value + 1);
    const compares = [
      { key: 'counter', revision: counter.revision },
      { key: 'twin', revision: twin.revision },
    ];
    const result = await timed(() =>
      coordinator.transact(compares, [
        { key: 'counter', value },
        { key: 'twin', value },
      ]),
    );
    if (result.kind === 'applied') say('shared');
  }
}

const open = (): Promise<Coordinator> =>
  openSqliteCoordinator({ file, clock: new RealClock(), log: silent, files: realFiles() });

/**
 * Stops, or blocks for a while, in the middle of a write transaction: the value is asked for between BEGIN and COMMIT.
 */
function holdInside(hold: () => void): void {
  const database = new SqliteDatabase(file, 1_000);
  database.start();
  const inside = {
    key: 'held',
    get value() {
      hold();
      return text('held');
    },
  };
  say('begin');
  database.transact([{ compares: [], writes: [{ key: 'held-before', value: text('held') }, inside] }]);
  say('committed');
  database.close();
}

/** One transaction after the other, each said before and after: for strace. */
async function oneByOne(count: number): Promise<void> {
  const coordinator = await open();
  for (let number = 1; number <= count; number += 1) {
    say(`begin ${number}`);
    try {
      await coordinator.transact(
        [],
        [
          { key: 'k', value: text(number) },
          { key: `k/${number % 10}`, value: text(number) },
        ],
      );
      say(`ack ${number}`);
    } catch (error) {
      say(`failed ${number} ${error instanceof CoordinatorError ? error.outcome : String(error)}`);
    }
  }
  say(`read ${(await numberAt(coordinator, 'k')).value}`);
  await coordinator.close();
  say('done');
}

switch (role) {
  case 'write': {
    say('started');
    const coordinator = await open();
    say('opened');
    await Promise.all([writeOwn(coordinator, parameters[0] ?? '0'), writeShared(coordinator)]);
    break;
  }
  case 'stop-inside':
    holdInside(() => process.kill(process.pid, 'SIGSTOP'));
    break;
  case 'block-inside':
    holdInside(() => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(parameters[0])));
    break;
  case 'stop-outside': {
    const coordinator = await open();
    await coordinator.transact([], [{ key: 'outside', value: text(1) }]);
    process.kill(process.pid, 'SIGSTOP');
    await coordinator.close();
    break;
  }
  case 'just-open':
    (await open()).hint();
    break;
  case 'exit-open': {
    const coordinator = await open();
    coordinator.watch('', 0, () => undefined);
    await coordinator.get('a');
    process.exit(7);
  }
  case 'exit-busy': {
    const coordinator = await open();
    for (let number = 0; number < 200; number += 1) {
      coordinator.transact([], [{ key: `k${number}`, value: new Uint8Array([1]) }]).catch(() => undefined);
      coordinator.list('').catch(() => undefined);
    }
    setTimeout(() => process.exit(7), Number(parameters[0]));
    break;
  }
  case 'watch': {
    // Looks often while the file was written to a moment ago.
    const coordinator = await open();
    coordinator.watch('', 0, () => undefined);
    await sleep(1_500);
    say('idle');
    await sleep(Number(parameters[0]));
    say('over');
    await coordinator.close();
    say('done');
    break;
  }
  case 'one-by-one':
    await oneByOne(Number(parameters[0]));
    break;
  default:
    throw new Error(`no such role: ${role}`);
}
