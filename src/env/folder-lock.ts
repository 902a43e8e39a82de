/** A node's folder, made and held: no other process, and no other part of this one, uses it meanwhile. */
import { asKvError } from './as-kv-error.ts';
import type { Files, FolderLock } from './files.ts';

/**
 * Makes `folder`, its parents too, and locks it until the lock is released or the process dies, however it dies.
 * @throws KvError `folder-in-use` at once when somebody holds it, `permission-denied`, `bad-argument` when a file of
 * that name is there, `disk-full`, `device-failed`
 */
export async function lockFolder(files: Files, folder: string): Promise<FolderLock> {
  try {
    await files.makeFolder(folder);
    return await files.lock(folder);
  } catch (error) {
    throw asKvError(error, folder) ?? error;
  }
}
