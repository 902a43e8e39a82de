import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import { asKvError } from '../../src/env/as-kv-error.ts';
import { FilesError, filesErrorOf } from '../../src/env/files.ts';
import { lockFolder } from '../../src/env/folder-lock.ts';
import { NetworkError } from '../../src/env/network.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../../src/env/simulated/files.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { DeviceError } from '../../src/env/zoned-device.ts';

test('errors of the world have a code, their cause, and the place unless the message names it', () => {
  const cases = [
    [new FilesError('permission', 'x'), 'permission-denied'],
    [new FilesError('locked', 'x'), 'folder-in-use'],
    [new FilesError('exists', 'x'), 'bad-argument'],
    [new NetworkError('permission', 'x'), 'permission-denied'],
    [new NetworkError('address-in-use', 'x'), 'port-in-use'],
    [new DeviceError('invalid', 'x'), 'settings-differ'],
    [new DeviceError('foreign', 'x'), 'data-damaged'],
  ] as const;
  for (const [error, code] of cases) {
    const found = asKvError(error, '/data');
    assert.deepEqual([found?.code, found?.message, found?.cause], [code, '/data: x', error]);
  }
  assert.equal(asKvError(new FilesError('io', 'read /data/a at 0: EIO'), '/data')?.message, 'read /data/a at 0: EIO');
});

test('a bug stays what it is, and so does what is an operating error already', () => {
  for (const error of [new TypeError('x is not a function'), new KvError('timeout', 'late'), 'x'])
    assert.equal(asKvError(error), undefined);
});

test("a system call's error has its code; one that is not known is an error of the medium", () => {
  const failed = (code: string): Error => Object.assign(new Error(`${code}: it failed`), { code });
  for (const [code, found] of [
    ['EACCES', 'permission'],
    ['EROFS', 'permission'],
    ['ENOSPC', 'full'],
    ['EMFILE', 'io'],
  ] as const) {
    const error = filesErrorOf('open a', failed(code));
    assert.deepEqual([error.code, error.message], [found, `open a: ${code}: it failed`]);
  }
  const own = new FilesError('locked', 'x');
  assert.equal(filesErrorOf('open a', own), own);
});

test('a folder is made and locked once', async () => {
  const files = new SimulatedDisk({ random: new SimulatedRandom(1), clock: new SimulatedClock() }).process();
  const lock = await lockFolder(files, '/data/node');
  await assert.rejects(lockFolder(files, '/data/node'), { name: 'KvError', code: 'folder-in-use' });
  await lock.release();
  await (await lockFolder(files, '/data/node')).release();
});
