/** What every implementation of `Files` keeps: a function of a factory, run on the real and the simulated one. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Files, FilesErrorCode } from '../../src/env/files.ts';
import { FilesError } from '../../src/env/files.ts';

export interface FilesWorld {
  readonly files: Files;
  /** An empty folder that exists. */
  readonly folder: string;
  end(): Promise<void>;
}

export function fails(code: FilesErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof FilesError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (from: Uint8Array): string => new TextDecoder().decode(from);

export function filesSuite(name: string, factory: () => Promise<FilesWorld>): void {
  const rule = (title: string, body: (files: Files, folder: string) => Promise<void>): void => {
    void test(`${name}: ${title}`, async () => {
      const world = await factory();
      try {
        await body(world.files, world.folder);
      } finally {
        await world.end();
      }
    });
  };

  rule('a file is read back where it was written, short at its end', async (files, folder) => {
    const file = await files.open(`${folder}/a`, { create: true });
    file.write(0, bytes('hello'));
    file.write(10_000, bytes('world'));
    assert.equal(file.size(), 10_005);
    assert.equal(text(file.readNow(0, 5)), 'hello');
    assert.equal(text(await file.read(9_998, 100)), '\0\0world');
    assert.equal(file.readNow(10_005, 10).length, 0);
    assert.equal((await file.read(20_000, 10)).length, 0);
    assert.deepEqual([...file.readNow(4_000, 3)], [0, 0, 0]);
    assert.equal((await file.read(0, 0)).length, 0);
    await file.close();
  });

  rule('an overwrite changes the bytes it covers and no others', async (files, folder) => {
    const file = await files.open(`${folder}/a`, { create: true });
    file.write(4_090, bytes('0123456789'));
    file.write(4_094, bytes('XYZ'));
    assert.equal(text(await file.read(4_090, 10)), '0123XYZ789');
    await file.sync();
    assert.equal(text(file.readNow(4_090, 10)), '0123XYZ789');
    await file.close();
  });

  rule('what is read belongs to the reader', async (files, folder) => {
    const file = await files.open(`${folder}/a`, { create: true });
    const written = bytes('hello');
    file.write(0, written);
    written.fill(0);
    file.readNow(0, 5).fill(0);
    (await file.read(0, 5)).fill(0);
    assert.equal(text(file.readNow(0, 5)), 'hello');
    await file.close();
  });

  rule('open says not-found, exists and permission', async (files, folder) => {
    await assert.rejects(files.open(`${folder}/missing`, {}), fails('not-found'));
    await assert.rejects(files.open(`${folder}/no-folder/a`, { create: true }), fails('not-found'));
    const file = await files.open(`${folder}/a`, { exclusive: true });
    file.write(0, bytes('kept'));
    await assert.rejects(files.open(`${folder}/a`, { exclusive: true }), fails('exists'));
    const reader = await files.open(`${folder}/a`, { readOnly: true });
    assert.equal(text(reader.readNow(0, 4)), 'kept');
    assert.throws(() => reader.write(0, bytes('x')), fails('permission'));
    assert.throws(() => reader.truncate(0), fails('permission'));
    const again = await files.open(`${folder}/a`, { create: true });
    assert.equal(text(again.readNow(0, 4)), 'kept');
    await Promise.all([file.close(), reader.close(), again.close()]);
  });

  rule('truncate shortens and lengthens; what comes back is zeros', async (files, folder) => {
    const file = await files.open(`${folder}/a`, { create: true });
    file.write(0, bytes('x'.repeat(6_000)));
    file.truncate(5_000);
    assert.equal(file.size(), 5_000);
    file.truncate(6_000);
    await file.sync();
    assert.equal(text(file.readNow(4_999, 2)), 'x\0');
    assert.equal(file.size(), 6_000);
    await file.close();
  });

  rule(
    'a closed file refuses, closing twice is one closing, and it waits for what is under way',
    async (files, folder) => {
      const file = await files.open(`${folder}/a`, { create: true });
      file.write(0, bytes('hello'));
      const settled: string[] = [];
      const sync = file.sync().then(() => settled.push('sync'));
      const read = file.read(0, 5).then(() => settled.push('read'));
      await Promise.all([file.close().then(() => settled.push('close')), file.close()]);
      await Promise.all([sync, read]);
      assert.equal(settled[2], 'close');
      assert.throws(() => file.write(0, bytes('x')), fails('closed'));
      assert.throws(() => file.readNow(0, 1), fails('closed'));
      assert.throws(() => file.size(), fails('closed'));
      await assert.rejects(file.sync(), fails('closed'));
      await assert.rejects(file.read(0, 1), fails('closed'));
    },
  );

  rule('rename replaces, an open file goes along, remove of nothing is nothing', async (files, folder) => {
    const file = await files.open(`${folder}/new`, { create: true });
    const old = await files.open(`${folder}/target`, { create: true });
    old.write(0, bytes('old'));
    file.write(0, bytes('new'));
    await files.rename(`${folder}/new`, `${folder}/target`);
    file.write(3, bytes('er'));
    const found = await files.open(`${folder}/target`, {});
    assert.equal(text(found.readNow(0, 10)), 'newer');
    assert.deepEqual(await files.list(folder), ['target']);
    await assert.rejects(files.rename(`${folder}/new`, `${folder}/other`), fails('not-found'));
    await files.remove(`${folder}/target`);
    await files.remove(`${folder}/target`);
    assert.deepEqual(await files.list(folder), []);
    await Promise.all([file.close(), old.close(), found.close()]);
  });

  rule('folders are made with their parents, listed sorted, and may be there already', async (files, folder) => {
    await files.makeFolder(`${folder}/b/c`);
    await files.makeFolder(`${folder}/b/c`);
    await (await files.open(`${folder}/b/z`, { create: true })).close();
    await (await files.open(`${folder}/b/a`, { create: true })).close();
    assert.deepEqual(await files.list(`${folder}/b`), ['a', 'c', 'z']);
    assert.deepEqual(await files.list(`${folder}/b/c`), []);
    await assert.rejects(files.list(`${folder}/x`), fails('not-found'));
    await assert.rejects(files.makeFolder(`${folder}/b/a`), fails('exists'));
  });

  rule('free bytes are told', async (files, folder) => {
    assert.ok((await files.freeBytes(folder)) > 0);
    await assert.rejects(files.freeBytes(`${folder}/x`), fails('not-found'));
  });

  rule('a folder is locked once, and again after release', async (files, folder) => {
    const lock = await files.lock(folder);
    await assert.rejects(files.lock(folder), fails('locked'));
    await lock.release();
    await lock.release();
    const again = await files.lock(folder);
    await lock.release();
    await assert.rejects(files.lock(folder), fails('locked'), 'an old lock releases nothing');
    await again.release();
    await assert.rejects(files.lock(`${folder}/x`), fails('not-found'));
  });
}
