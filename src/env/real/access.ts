/**
 * Whether this process may write a file, asked, and mended, without opening it: closing a descriptor would drop POSIX
 * locks.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { systemCodeOf } from '../files.ts';

const words: Readonly<Record<string, string>> = {
  EACCES: 'permission denied (EACCES)',
  EPERM: 'permission denied (EPERM)',
  EROFS: 'a read-only file system (EROFS)',
};

/**
 * Reason why this process may not read and write the file `name`, or make it where there is none; undefined when it
 * may, or when something else is wrong.
 */
export function writeDenial(name: string): string | undefined {
  const { R_OK, W_OK, X_OK } = fs.constants;
  const isThere = fs.existsSync(name);
  const target = isThere ? name : path.dirname(name);
  try {
    fs.accessSync(target, isThere ? R_OK | W_OK : W_OK | X_OK);
    return undefined;
  } catch (cause) {
    const reason = words[systemCodeOf(cause)];
    return reason === undefined ? undefined : `${target} cannot be written: ${reason}`;
  }
}

/**
 * Gives the file `name`, if it is there and may not be written, the mode of the file `like`. Nothing happens when that
 * is not allowed: whoever opens it learns so.
 */
export function alignMode(name: string, like: string): void {
  if (!fs.existsSync(name) || writeDenial(name) === undefined) return;
  try {
    fs.chmodSync(name, fs.statSync(like).mode);
  } catch {
    // It belongs to somebody else.
  }
}
