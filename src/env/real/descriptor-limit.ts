/**
 * How many descriptors this process may have open. Node raises the soft limit to the hard one when it starts, so it is
 * the process that must be asked: Linux tells it in /proc/self/limits, other systems by node's report.
 */
import { readFileSync } from 'node:fs';

/** Infinity: there is no limit, or nobody tells it. */
export function descriptorLimit(): number {
  return limitOf(readLimits()) ?? reportedLimit() ?? Number.POSITIVE_INFINITY;
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    // Not Linux, or /proc is not mounted.
    return '';
  }
}

/** The soft limit in the text of /proc/PID/limits; undefined: it is not there. */
export function limitOf(text: string): number | undefined {
  const found = /^Max open files +(\d+|unlimited) /m.exec(text)?.[1];
  return found === 'unlimited' ? Number.POSITIVE_INFINITY : found === undefined ? undefined : Number(found);
}

function reportedLimit(): number | undefined {
  const report: unknown = process.report.getReport();
  const soft = memberOf(memberOf(memberOf(report, 'userLimits'), 'open_files'), 'soft');
  return typeof soft === 'number' ? soft : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}
