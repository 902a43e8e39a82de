/** Notices of the operating system that a file was written to, by whichever process of this machine (inotify). */
import { watch } from 'node:fs';

export interface FileWatch {
  readonly close: () => void;
}

/**
 * Calls `onWritten` soon after each write to the file at `path`, once for several that come together, and `onEnded` when
 * there will be no more notices: the file was removed or replaced, or the system gave the watch up. A write is noticed
 * before it is stable, and before its writer has finished what it does. The process is not kept alive by it.
 *
 * Undefined where notices can't be had: the file is missing, the system's watches are used up, or it is no Linux
 * (elsewhere they come late).
 */
export function watchFile(path: string, onWritten: () => void, onEnded: () => void): FileWatch | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const watcher = watch(path, { persistent: false });
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
