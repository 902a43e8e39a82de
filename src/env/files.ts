/**
 * Files of one node. Writes go to the operating system's cache and are stable only when a `sync` that began after them
 * has returned; the simulated implementation forgets, tears and rots accordingly. Every error of this module is a
 * `FilesError` whose `code` says which.
 */
export type FilesErrorCode = 'not-found' | 'exists' | 'full' | 'io' | 'locked' | 'permission' | 'closed';

export class FilesError extends Error {
  override readonly name = 'FilesError';
  readonly code: FilesErrorCode;
  constructor(code: FilesErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The error of a call of the operating system that failed with `cause`; `what` was attempted. */
export function filesErrorOf(what: string, cause: unknown): FilesError {
  if (cause instanceof FilesError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new FilesError(systemCodes[systemCodeOf(cause)] ?? 'io', `${what}: ${text}`, { cause });
}

/** Name of a failed system call's error, like `EACCES`; empty when `cause` has none. */
export function systemCodeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

const systemCodes: Readonly<Record<string, FilesErrorCode>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  EEXIST: 'exists',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EACCES: 'permission',
  EPERM: 'permission',
  EROFS: 'permission',
  EBADF: 'closed',
};

export interface Files {
  /**
   * Opens a file for reading and writing; with `create` it is made when missing, with `exclusive` it must be missing.
   */
  open(
    path: string,
    options: { readonly create?: boolean; readonly exclusive?: boolean; readonly readOnly?: boolean },
  ): Promise<File>;
  /** Names in a folder, sorted. @throws FilesError `not-found` */
  list(folder: string): Promise<string[]>;
  /** Replaces `to` by `from`, atomically, and makes the change stable (folder synced). */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; nothing happens when it is missing. */
  remove(path: string): Promise<void>;
  /** Makes a folder and its parents; nothing happens when it is there. Stable when it returns. */
  makeFolder(path: string): Promise<void>;
  /** Bytes free for this process on the file system of `path`. */
  freeBytes(path: string): Promise<number>;
  /**
   * Locks `folder` (which must exist) against every other process until the lock is released or this process dies,
   * however it dies.
   * @throws FilesError `locked` at once when somebody holds it; KvError `library-missing`.
   */
  lock(folder: string): Promise<FolderLock>;
  /**
   * Calls `onWritten` soon after each write to a file, by whichever process of this machine, once for several that come
   * together, and `onEnded` when there will be no more notices: the file was removed or replaced, or the system gave
   * the watch up. A write is noticed before it is stable, and before its writer has finished what it does. The process
   * is not kept alive by it.
   *
   * Undefined where notices can't be had: the file is missing, the system's watches are used up, or it has none that
   * come at once.
   */
  watch(path: string, onWritten: () => void, onEnded: () => void): FileWatch | undefined;
}

export interface FileWatch {
  close(): void;
}

export interface FolderLock {
  release(): Promise<void>;
}

export interface File {
  /** Writes all of `bytes` at `offset` into the cache, synchronously. @throws FilesError `full`, `io` */
  write(offset: number, bytes: Uint8Array): void;
  /**
   * Reads up to `length` bytes into a fresh array, synchronously: cheap for cached pages, blocks for cold ones. Short
   * at the end of the file.
   */
  readNow(offset: number, length: number): Uint8Array;
  /** The same without blocking the event loop. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Makes every write that returned before this call stable (fdatasync). Not blocking. A failure is final: the file's
   * owner must assume that any write since the last good sync is lost, whatever it reads back (S17).
   */
  sync(): Promise<void>;
  size(): number;
  truncate(length: number): void;
  /** Waits for reads and syncs under way. Idempotent. */
  close(): Promise<void>;
}
