/**
 * The operating system's files. Writes are `pwrite` into the page cache on the calling thread (a few microseconds; a
 * hop to the thread pool costs 50 to 100), syncs and cold reads run in the thread pool so that the event loop goes on
 * (a logger answers pings while a sync hangs). Names are stable when the operation that made them returns: their folder
 * is synced.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type Database from 'libsql';
import { FilesError, filesErrorOf, systemCodeOf } from '../files.ts';
import type { File, Files, FileWatch, FolderLock } from '../files.ts';
import { writeDenial } from './access.ts';
import { libsql } from '../libsql.ts';

/**
 * Name of the lock's file. Nobody else opens it: closing any descriptor of it would drop this process's lock (POSIX).
 */
const lockName = 'lock';
const waitersMax = 65_536;

export function realFiles(): Files {
  return new RealFiles();
}

class RealFiles implements Files {
  /** Keeps the locks' databases from being collected, which would close them: a lock is held until it is released. */
  readonly #locks = new Set<Database.Database>();

  async open(
    name: string,
    options: { readonly create?: boolean; readonly exclusive?: boolean; readonly readOnly?: boolean },
  ): Promise<File> {
    const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants;
    const create = (options.create ?? false) || (options.exclusive ?? false);
    const flags = (options.readOnly ? O_RDONLY : O_RDWR) | (create ? O_CREAT : 0) | (options.exclusive ? O_EXCL : 0);
    return mapped(`open ${name}`, async () => {
      const isNew = create && !fs.existsSync(name);
      const descriptor = fs.openSync(name, flags, 0o600);
      try {
        if (isNew) await syncFolder(path.dirname(name));
      } catch (cause) {
        fs.closeSync(descriptor);
        throw cause;
      }
      return new RealFile(name, descriptor, options.readOnly ?? false);
    });
  }

  /** By inotify, which only Linux has: elsewhere notices come late. */
  watch(path: string, onWritten: () => void, onEnded: () => void): FileWatch | undefined {
    if (process.platform !== 'linux') return undefined;
    try {
      const watcher = fs.watch(path, { persistent: false });
      const end = (): void => {
        watcher.close();
        onEnded();
      };
      watcher.on('error', end);
      watcher.on('change', (event) => (event === 'change' ? onWritten() : end()));
      return { close: () => watcher.close() };
    } catch {
      return undefined;
    }
  }

  async list(folder: string): Promise<string[]> {
    return mapped(`list ${folder}`, async () => (await fs.promises.readdir(folder)).sort());
  }

  async rename(from: string, to: string): Promise<void> {
    await mapped(`rename ${from} to ${to}`, async () => {
      await fs.promises.rename(from, to);
      await syncFolder(path.dirname(to));
      if (path.dirname(from) !== path.dirname(to)) await syncFolder(path.dirname(from));
    });
  }

  async remove(name: string): Promise<void> {
    await mapped(`remove ${name}`, async () => {
      if (!fs.existsSync(name)) return;
      await fs.promises.rm(name, { force: true });
      await syncFolder(path.dirname(name));
    });
  }

  async makeFolder(name: string): Promise<void> {
    await mapped(`make folder ${name}`, async () => makeFolderAndParents(path.resolve(name)));
  }

  async freeBytes(name: string): Promise<number> {
    return mapped(`free bytes of ${name}`, async () => {
      const status = await fs.promises.statfs(name);
      return status.bavail * status.bsize;
    });
  }

  /**
   * An exclusive transaction of a SQLite file: a kernel lock (fcntl) that goes with the process. A second lock of this
   * process is refused by SQLite's own table of open files, which all threads share. REQUIRES: a file system with
   * working POSIX locks.
   */
  async lock(folder: string): Promise<FolderLock> {
    const name = path.join(folder, lockName);
    if (!fs.existsSync(folder)) throw new FilesError('not-found', `lock ${folder}: no such folder`);
    const Lock = libsql();
    let database: Database.Database | undefined;
    try {
      database = new Lock(name, { timeout: 0 });
      database.exec('BEGIN EXCLUSIVE');
      return new RealLock(database, this.#locks);
    } catch (cause) {
      database?.close();
      throw lockError(folder, cause);
    }
  }
}

function lockError(folder: string, cause: unknown): FilesError {
  const code = systemCodeOf(cause);
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new FilesError('locked', `lock ${folder}: another process or another part of this one uses the folder`, {
      cause,
    });
  }
  // SQLite says that it cannot open the file, not why.
  const denial = writeDenial(path.join(folder, lockName));
  if (denial !== undefined) return new FilesError('permission', `lock ${folder}: ${denial}`, { cause });
  const text = cause instanceof Error ? cause.message : String(cause);
  const kind = /permission|readonly|unable to open/i.test(text) ? 'permission' : /full/i.test(text) ? 'full' : 'io';
  return new FilesError(kind, `lock ${folder}: ${text}`, { cause });
}

class RealLock implements FolderLock {
  #database: Database.Database | undefined;

  readonly #locks: Set<Database.Database>;

  constructor(database: Database.Database, locks: Set<Database.Database>) {
    this.#database = database;
    this.#locks = locks;
    locks.add(database);
  }

  async release(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    if (database === undefined) return;
    this.#locks.delete(database);
    database.exec('ROLLBACK');
    database.close();
  }
}

class RealFile implements File {
  readonly #name: string;
  readonly #descriptor: number;
  readonly #readOnly: boolean;
  #open = true;
  #underWay = 0;
  #idle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(name: string, descriptor: number, readOnly: boolean) {
    this.#name = name;
    this.#descriptor = descriptor;
    this.#readOnly = readOnly;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#checkWritable();
    try {
      let done = 0;
      while (done < bytes.length)
        done += fs.writeSync(this.#descriptor, bytes, done, bytes.length - done, offset + done);
    } catch (cause) {
      throw filesErrorOf(`write ${this.#name} at ${offset}`, cause);
    }
  }

  readNow(offset: number, length: number): Uint8Array {
    this.#check();
    const bytes = Buffer.allocUnsafeSlow(length);
    try {
      let done = 0;
      while (done < length) {
        const count = fs.readSync(this.#descriptor, bytes, done, length - done, offset + done);
        if (count === 0) return bytes.subarray(0, done);
        done += count;
      }
      return bytes;
    } catch (cause) {
      throw filesErrorOf(`read ${this.#name} at ${offset}`, cause);
    }
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.#background(`read ${this.#name} at ${offset}`, (descriptor, settle) => {
      const bytes = Buffer.allocUnsafeSlow(length);
      const next = (done: number): void => {
        fs.read(descriptor, bytes, done, length - done, offset + done, (error, count) => {
          if (error !== null) settle(error, bytes);
          else if (count === 0 || done + count === length) settle(null, bytes.subarray(0, done + count));
          else next(done + count);
        });
      };
      if (length === 0) settle(null, bytes);
      else next(0);
    });
  }

  async sync(): Promise<void> {
    await this.#background<undefined>(`sync ${this.#name}`, (descriptor, settle) => {
      fs.fdatasync(descriptor, (error) => {
        settle(error, undefined);
      });
    });
  }

  size(): number {
    this.#check();
    try {
      return fs.fstatSync(this.#descriptor).size;
    } catch (cause) {
      throw filesErrorOf(`size of ${this.#name}`, cause);
    }
  }

  truncate(length: number): void {
    this.#checkWritable();
    try {
      fs.ftruncateSync(this.#descriptor, length);
    } catch (cause) {
      throw filesErrorOf(`truncate ${this.#name} to ${length}`, cause);
    }
  }

  close(): Promise<void> {
    this.#open = false;
    this.#closed ??= this.#closeWhenIdle();
    return this.#closed;
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    try {
      fs.closeSync(this.#descriptor);
    } catch (cause) {
      throw filesErrorOf(`close ${this.#name}`, cause);
    }
  }

  #check(): void {
    if (!this.#open) throw new FilesError('closed', `${this.#name} is closed`);
  }

  #checkWritable(): void {
    this.#check();
    if (this.#readOnly) throw new FilesError('permission', `${this.#name} is open for reading only`);
  }

  #background<T>(
    what: string,
    begin: (descriptor: number, settle: (error: Error | null, value: T) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#check();
      if (this.#underWay >= waitersMax) throw new FilesError('io', `${what}: more than ${waitersMax} operations wait`);
      this.#underWay += 1;
      begin(this.#descriptor, (error, value) => {
        this.#underWay -= 1;
        if (error === null) resolve(value);
        else reject(filesErrorOf(what, error));
        if (this.#underWay === 0) this.#idle?.();
      });
    });
  }
}

async function makeFolderAndParents(name: string): Promise<void> {
  if (fs.existsSync(name)) {
    if (!fs.statSync(name).isDirectory())
      throw new FilesError('exists', `make folder ${name}: a file of this name is there`);
    return;
  }
  const parent = path.dirname(name);
  await makeFolderAndParents(parent);
  try {
    fs.mkdirSync(name, { mode: 0o700 });
  } catch (cause) {
    if (systemCodeOf(cause) !== 'EEXIST') throw cause;
  }
  await syncFolder(parent);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.promises.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function mapped<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw filesErrorOf(what, cause);
  }
}
