/**
 * Verdict on a run of the fault test: the simulator's checkers judge its history, the linearizability in a process of
 * its own whose memory and time are bounded.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Violation } from '../../sim/check/violation.ts';
import { checkVersions } from '../../sim/check/versions.ts';
import { exportHistory, type HistoryEvent } from '../../sim/history.ts';

const checker = fileURLToPath(new URL('../../sim/check/main.js', import.meta.url));
const checkMsMax = 60_000;
const checkMebibytesMax = 1_024;
/** Longer histories are judged in parts. */
const partEventsMax = 200_000;

/**
 * Lines that say what is wrong; none: linearizable, no version went back. `file`: where the history is written, in
 * parts by keys where it is long.
 */
export function complaintsOf(events: readonly HistoryEvent[], file: string): readonly string[] {
  const complaints: string[] = [];
  try {
    checkVersions(events);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    complaints.push(error.message);
  }
  const keys = [...new Set(events.map(({ key }) => key))];
  const parts = Math.max(1, Math.min(keys.length, Math.ceil(events.length / partEventsMax)));
  for (let part = 0; part < parts; part += 1) {
    const own = new Set(keys.filter((_, index) => index % parts === part));
    const name = parts === 1 ? file : `${file}.${part}`;
    // Keys are independent: a history is linearizable if that of each key is.
    writeFileSync(name, exportHistory(parts === 1 ? events : events.filter(({ key }) => own.has(key))));
    complaints.push(...judged(name));
  }
  return complaints;
}

function judged(file: string): readonly string[] {
  const { status, stderr } = spawnSync(process.execPath, [`--max-old-space-size=${checkMebibytesMax}`, checker, file], {
    encoding: 'utf8',
    timeout: checkMsMax,
    killSignal: 'SIGKILL',
  });
  if (status === 0) return [];
  return [stderr === '' ? 'the history was not judged in time' : stderr];
}

/**
 * Keys of `keys` whose newest acknowledged write is newer than what the last read found, and that nobody can have
 * deleted. REQUIRES: all keys were read when all calls had ended.
 */
export function lostKeys(events: readonly HistoryEvent[], keys: readonly string[]): readonly string[] {
  return keys.filter((key) => isLost(events.filter((event) => event.key === key)));
}

function isLost(events: readonly HistoryEvent[]): boolean {
  const last = events.findLast(({ f, type }) => f === 'get' && type === 'ok');
  const written = events.filter(({ type }) => type === 'ok').map((event) => givenVersion(event));
  const newest = Math.max(0, ...written);
  if (newest === 0) return false;
  const found = last?.version ?? 0;
  if (found !== 0) return found < newest;
  const from = written.length === 0 ? 0 : events.findIndex((event) => givenVersion(event) === newest);
  const invoked = events.findLastIndex(({ process, type }, index) => {
    return index < from && type === 'invoke' && process === events[from]?.process;
  });
  return !events.some(({ f, type }, index) => f === 'del' && type !== 'fail' && type !== 'invoke' && index > invoked);
}

function givenVersion({ f, type, version, newVersion }: HistoryEvent): number {
  if (type !== 'ok') return 0;
  return f === 'put' ? (version ?? 0) : f === 'cas' ? (newVersion ?? 0) : 0;
}

/** Longest time between two acknowledgements in a row, milliseconds, of calls of one kind on `keys`. */
export function longestGapMs(
  events: readonly HistoryEvent[],
  keys: ReadonlySet<string>,
  kind: 'read' | 'write',
  fromMs: number,
  toMs: number,
): number {
  let before = fromMs;
  let longest = 0;
  for (const { type, f, key, time } of events) {
    if (type !== 'ok' || (f === 'get') !== (kind === 'read') || !keys.has(key) || time < fromMs || time > toMs)
      continue;
    longest = Math.max(longest, time - before);
    before = time;
  }
  return Math.max(longest, toMs - before);
}
