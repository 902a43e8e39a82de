/** The coordinator's file on a file system without space. */
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silent } from '../../../src/base/log.ts';
import type { Coordinator } from '../../../src/coordinator/coordinator.ts';
import { CoordinatorError } from '../../../src/coordinator/coordinator.ts';
import { openSqliteCoordinator } from '../../../src/coordinator/sqlite/sqlite.ts';
import { RealClock } from '../../../src/env/real/clock.ts';
import { smallDisk } from '../../support/small-disk.ts';

const disk = smallDisk(24);

describe('sqlite on a full disk', { skip: disk === undefined && 'needs the right to mount' }, () => {
  it('is opened, read and, with the space kept for it, written; then changes are refused as not applied', async (t) => {
    assert.ok(disk);
    t.after(() => disk.remove());
    const file = join(disk.folder, 'coordinator.db');
    const open = (): Promise<Coordinator> => openSqliteCoordinator({ file, clock: new RealClock(), log: silent });
    const put = (at: Coordinator, key: string, bytes: number): Promise<unknown> =>
      at.transact([], [{ key, value: new Uint8Array(bytes).fill(7) }]);
    const first = await open();
    await put(first, 'a', 100);
    disk.fill();
    const second = await open();
    assert.equal((await second.get('a'))?.value.length, 100);
    for (let change = 0; change < 5; change += 1) await put(second, `b${change}`, 20_000);
    assert.ok(!existsSync(`${file}-spare`), 'the space kept for this was given up');
    let refused = 0;
    const missing: string[] = [];
    for (let change = 0; change < 400 && refused < 3; change += 1) {
      await put(second, `c${change}`, 60_000).catch((error: unknown) => {
        assert.ok(error instanceof CoordinatorError && error.outcome === 'not-applied', String(error));
        refused += 1;
        missing.push(`c${change}`);
      });
    }
    assert.equal(refused, 3);
    assert.equal((await first.list('b')).entries.length, 5);
    await second.close();
    const third = await open();
    assert.equal((await third.list('b')).entries.length, 5);
    for (const key of missing) assert.equal(await third.get(key), undefined);
    disk.free();
    await put(third, 'd', 100);
    assert.equal((await first.get('d'))?.value.length, 100);
    await third.close();
    await first.close();
    rmSync(file);
  });
});
