/** CPU seconds of processes, from /proc. */
import { readFileSync } from 'node:fs';

/** Of `getconf CLK_TCK`: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

export type CpuSeconds = Readonly<Record<string, number>>;

/** User and system time so far by name; a process that is gone is left out. */
export function cpuSeconds(processes: ReadonlyMap<string, number>): CpuSeconds {
  const result: Record<string, number> = {};
  for (const [name, pid] of processes) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      result[name] = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    } catch {
      // It ended, or this system has no /proc.
    }
  }
  return result;
}

export function cpuSince(before: CpuSeconds, after: CpuSeconds): CpuSeconds {
  return Object.fromEntries(Object.entries(after).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]));
}

/** Summed by kind: the name without its number. */
export function byKind(seconds: CpuSeconds): CpuSeconds {
  const result: Record<string, number> = {};
  for (const [name, value] of Object.entries(seconds)) {
    const kind = name.replace(/ \d+$/, '');
    result[kind] = (result[kind] ?? 0) + value;
  }
  return result;
}
