/**
 * Real world of a worker thread that runs a loop of its own, without an event loop. For entry points of threads.
 */
import { existsSync, linkSync, openSync, closeSync, fsyncSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/** Monotonic milliseconds with a fraction. */
export function monotonicMs(): number {
  return performance.now();
}

export function fileExists(path: string): boolean {
  return existsSync(path);
}

export function removeFile(path: string): void {
  rmSync(path, { force: true });
}

/** Gives the finished file `from` the name `to`, stably, unless that exists. Returns whether it was missing. */
export function publishFile(from: string, to: string): boolean {
  try {
    linkSync(from, to);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
  const folder = openSync(dirname(to), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  return true;
}
