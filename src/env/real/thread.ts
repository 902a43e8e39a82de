/**
 * Real world of a worker thread that runs a loop of its own, without an event loop. For entry points of threads.
 */
import { existsSync, linkSync, openSync, closeSync, fsyncSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCodeOf } from '../files.ts';

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

/** Makes the content of a file stable; nothing happens when it is missing. */
export function syncFile(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes a file of `length` zeros, whole or not at all; returns whether there was space for it and none was there. */
export function makeZeros(path: string, length: number): boolean {
  const zeros = Buffer.alloc(64 * 1024);
  try {
    const descriptor = openSync(path, 'wx');
    try {
      for (let done = 0; done < length; )
        done += writeSync(descriptor, zeros, 0, Math.min(zeros.length, length - done));
      return true;
    } catch {
      removeFile(path);
      return false;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // It is there by now, or can't be made: whoever writes here will say why.
    return false;
  }
}
