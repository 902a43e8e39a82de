import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import Database from 'libsql';
import { KvError, type ErrorCode } from '../../../src/base/errors.ts';
import { silent, type Log } from '../../../src/base/log.ts';
import { CoordinatorError, type Coordinator } from '../../../src/coordinator/coordinator.ts';
import { openSqliteCoordinator } from '../../../src/coordinator/sqlite/sqlite.ts';
import type { Files } from '../../../src/env/files.ts';
import { RealClock } from '../../../src/env/real/clock.ts';
import { realFiles } from '../../../src/env/real/files.ts';
import type { CoordinatorSetup } from '../conformance.ts';
import { coordinatorConformance } from '../conformance.ts';
import { coordinatorRandomWalk } from '../random-walk.ts';
import { parkThread } from '../../../src/coordinator/sqlite/thread-park.ts';
import { inFolder } from './processes.ts';

type WatchFile = Files['watch'];

async function setUp(): Promise<CoordinatorSetup> {
  const folder = await mkdtemp(join(tmpdir(), 'kv-filelog-coordinator-'));
  const options = { file: join(folder, 'coordinator.db'), clock: new RealClock(), log: silent };
  return { client: () => openSqliteCoordinator(options), close: () => rm(folder, { recursive: true }) };
}

coordinatorConformance('sqlite', setUp);
coordinatorRandomWalk('sqlite', setUp, [1, 2, 3, 4, 5, 6]);

const open = (file: string, deletesKept = 1_000): Promise<Coordinator> =>
  openSqliteCoordinator({ file, clock: new RealClock(), log: silent, deletesKept, lockWaitMsMax: 3_000 });

const refusesToOpen = (file: string, code: ErrorCode): Promise<void> =>
  assert.rejects(
    open(file),
    (error) => error instanceof KvError && error.code === code && error.message.includes(file),
  );

describe('sqlite: opening', () => {
  it('several at once make one file, and leave nothing beside it when they close', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const clients = await Promise.all(Array.from({ length: 6 }, () => open(file)));
      const writes = clients.map((client, index) =>
        client.transact([], [{ key: `k${index}`, value: new Uint8Array([index]) }]),
      );
      const results = await Promise.all(writes);
      assert.deepEqual(
        results.map((result) => (result.kind === 'applied' ? result.revision : 0)).sort(),
        [1, 2, 3, 4, 5, 6],
      );
      for (const client of clients) assert.equal((await client.list('')).entries.length, 6);
      await Promise.all(clients.map((client) => client.close()));
      assert.deepEqual(await readdir(folder), ['coordinator.db', 'coordinator.db-spare']);
    }));

  it('a newer layout is refused', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      await (await open(file)).close();
      const database = new Database(file);
      database.exec('PRAGMA user_version = 2');
      database.close();
      await refusesToOpen(file, 'newer-format');
    }));

  it('what is no database, or another one, or empty, is refused and left as it is', () =>
    inFolder(async (folder) => {
      const [noise, other, empty] = [join(folder, 'noise'), join(folder, 'other'), join(folder, 'empty')];
      await writeFile(noise, 'this is no database at all. '.repeat(1_000));
      await writeFile(empty, '');
      const database = new Database(other);
      database.exec('CREATE TABLE mine(a)');
      database.close();
      for (const file of [noise, other, empty]) {
        const before = await readFile(file);
        await refusesToOpen(file, 'data-damaged');
        assert.deepEqual(await readFile(file), before);
      }
    }));

  it('a file cut short is found damaged, not served', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const coordinator = await open(file);
      await coordinator.transact([], [{ key: 'a', value: new Uint8Array(50_000) }]);
      await coordinator.close();
      await writeFile(file, (await readFile(file)).subarray(0, 8_192));
      await refusesToOpen(file, 'data-damaged');
    }));

  it('a missing folder is a CoordinatorError that names the file', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'missing', 'coordinator.db');
      await assert.rejects(open(file), (error) => error instanceof CoordinatorError && error.message.includes(file));
    }));

  it('a lock held all the time fails requests as not applied, and they work again afterwards', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const coordinator = await openSqliteCoordinator({
        file,
        clock: new RealClock(),
        log: silent,
        lockWaitMsMax: 100,
      });
      const holder = new Database(file);
      holder.exec('BEGIN IMMEDIATE');
      const request = coordinator.transact([], [{ key: 'a', value: new Uint8Array(1) }]);
      await assert.rejects(request, (error) => error instanceof CoordinatorError && error.outcome === 'not-applied');
      assert.equal(await coordinator.get('a'), undefined);
      holder.exec('ROLLBACK');
      holder.close();
      assert.equal((await coordinator.transact([], [{ key: 'b', value: new Uint8Array(1) }])).kind, 'applied');
      assert.deepEqual(
        (await coordinator.list('')).entries.map((entry) => entry.key),
        ['b'],
      );
      await coordinator.close();
    }));
});

describe('sqlite: deletes are kept for watches up to a number', () => {
  it('a watch from before that is told that it lost them; one from after it loses nothing', () =>
    inFolder(async (folder) => {
      const coordinator = await open(join(folder, 'coordinator.db'), 20);
      const value = new Uint8Array(1);
      const revisions: number[] = [];
      for (let count = 0; count < 100; count += 1) {
        await coordinator.transact([], [{ key: `k${count}`, value }]);
        const result = await coordinator.transact([], [{ key: `k${count}`, value: undefined }]);
        revisions.push(result.kind === 'applied' ? result.revision : 0);
      }
      await new Promise<void>((resolve) => coordinator.watch('k', 0, () => assert.fail('some are forgotten'), resolve));
      const after = revisions.at(-11) ?? 0;
      const keys = await new Promise<readonly string[]>((resolve) => {
        coordinator.watch(
          'k',
          after,
          (changes) => resolve(changes.map((change) => change.key)),
          () => assert.fail('none is forgotten'),
        );
      });
      assert.deepEqual(
        keys,
        Array.from({ length: 10 }, (_, index) => `k${90 + index}`),
      );
      await coordinator.close();
    }));
});

describe('sqlite: changes of other processes', () => {
  /** Waits for `count` changes of another client, made one after another. */
  const seesAll = async (watch: WatchFile, count: number, pauseMs: number): Promise<readonly string[]> => {
    const events: string[] = [];
    await inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const log: Log = (_level, event) => void events.push(event);
      const client = await openSqliteCoordinator({ file, clock: new RealClock(), log, files: { watch } });
      const other = await open(file);
      let seen = 0;
      let onSeen = (): void => undefined;
      client.watch('', 0, (changes) => {
        seen += changes.length;
        onSeen();
      });
      await client.list('');
      for (let number = 1; number <= count; number += 1) {
        await sleep(pauseMs);
        const told = new Promise<void>((resolve) => (onSeen = resolve));
        await other.transact([], [{ key: `k${number}`, value: new Uint8Array(1) }]);
        await told;
        assert.equal(seen, number);
      }
      await client.close();
      await other.close();
    });
    return events;
  };

  it('are seen where writes to the file are announced, where they are not, and where that ends', async () => {
    assert.deepEqual(await seesAll((...given) => realFiles().watch(...given), 5, 0), []);
    assert.deepEqual(await seesAll(() => undefined, 5, 0), []);
    const ends: WatchFile = (_path, _onWritten, onEnded) => {
      setImmediate(onEnded);
      return { close: () => undefined };
    };
    assert.deepEqual(await seesAll(ends, 5, 0), []);
  });

  it('are looked for often again where the announcements that were promised do not come', async () => {
    const events = await seesAll(() => ({ close: () => undefined }), 6, 60);
    assert.deepEqual(events, ['changes of the coordinator are not announced here']);
  });
});

describe('sqlite: the thread', () => {
  it('that ends is followed by another: requests fail meanwhile, watches miss nothing', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'coordinator.db');
      const threads: Worker[] = [];
      const words: Int32Array[] = [];
      const startThread = (settings: { readonly words: Int32Array }): Worker => {
        const url = new URL('../../../src/coordinator/sqlite/sqlite-worker.js', import.meta.url);
        const thread = new Worker(url, { workerData: settings });
        threads.push(thread);
        words.push(settings.words);
        return thread;
      };
      const client = await openSqliteCoordinator({ file, clock: new RealClock(), log: silent, startThread });
      const other = await open(file);
      const seen: string[] = [];
      client.watch('', 0, (changes) => seen.push(...changes.map(({ key }) => key)));
      await other.transact([], [{ key: 'a', value: new Uint8Array(1) }]);
      // Ended in the middle of SQLite it could take the process with it.
      if (words[0] !== undefined) parkThread(words[0]);
      await threads[0]?.terminate();
      await assert.rejects(client.get('a'), CoordinatorError);
      await other.transact([], [{ key: 'b', value: new Uint8Array(1) }]);
      for (let answered = false; !answered; )
        answered = await client.get('b').then(
          (entry) => entry !== undefined,
          () => new Promise<false>((resolve) => setImmediate(() => resolve(false))),
        );
      await other.transact([], [{ key: 'c', value: new Uint8Array(1) }]);
      while (!seen.includes('c')) await client.get('a');
      assert.deepEqual([...new Set(seen)], ['a', 'b', 'c']);
      assert.equal(threads.length, 2);
      await client.close();
      await other.close();
    }));
});
