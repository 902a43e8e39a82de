/**
 * Linux: the kernel's own tables, so that nothing has to be recorded by the holder and nothing recorded can be out of
 * date. `/proc/locks` names the process of every POSIX lock, `/proc/<pid>/stat` its state and start time,
 * `/proc/<pid>/fd` proves that it has the file open. Elsewhere nobody is known and nobody is ended.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import type { LockHolder, Processes } from '../processes.ts';

export function realProcesses(): Processes {
  return process.platform === 'linux' ? linuxProcesses : unknownProcesses;
}

const unknownProcesses: Processes = { exclusiveHolders: () => [], endStopped: () => false };

interface FileId {
  readonly device: bigint;
  readonly inode: bigint;
}

const linuxProcesses: Processes = {
  exclusiveHolders(files) {
    try {
      // A /proc of another pid namespace speaks of other processes than `kill` does.
      if (readlinkSync('/proc/self') !== String(process.pid)) return [];
      return holders(files);
    } catch {
      return [];
    }
  },
  endStopped(holder, files) {
    // The window between this look and the signal is some microseconds, and a stopped process ends only if somebody
    // else kills it; that its pid went round to another process in that time is ruled out for all practical purposes
    // (pids are given out in order).
    const same = linuxProcesses
      .exclusiveHolders(files)
      .some((now) => now.pid === holder.pid && now.startTime === holder.startTime && now.stopped);
    if (!same) return false;
    try {
      return process.kill(holder.pid, 'SIGKILL');
    } catch {
      return false;
    }
  },
};

function holders(files: readonly string[]): LockHolder[] {
  const ids = files.flatMap((file) => fileId(file) ?? []);
  const pids = new Set<number>();
  for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
    const lock = /^\d+: POSIX +ADVISORY +WRITE (\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line);
    if (lock === null) continue;
    const [, pid, inode] = lock;
    // The device column differs from stat's on btrfs and overlay file systems: the inode selects, the open file proves.
    if (pid !== undefined && inode !== undefined && ids.some((id) => id.inode === BigInt(inode))) pids.add(Number(pid));
  }
  pids.delete(process.pid);
  return [...pids].flatMap((pid) => (hasOpen(pid, ids) ? (describe(pid) ?? []) : []));
}

function fileId(path: string): FileId | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return { device: dev, inode: ino };
  } catch {
    return undefined;
  }
}

function hasOpen(pid: number, ids: readonly FileId[]): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((name) => {
      const open = fileId(`${folder}/${name}`);
      return open !== undefined && ids.some((id) => id.inode === open.inode && id.device === open.device);
    });
  } catch {
    return false;
  }
}

function describe(pid: number): LockHolder | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the name in parentheses, may hold anything: the rest begins after the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    if (state === undefined || startTime === undefined) return undefined;
    return { pid, startTime, stopped: state === 'T' };
  } catch {
    return undefined;
  }
}
