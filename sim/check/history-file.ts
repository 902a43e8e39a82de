/**
 * Histories as files: JSON lines, one event a line, as `History.export` writes them; of the simulator, of real
 * processes, of others.
 */
import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import type { HistoryEvent } from '../history.ts';

/** Bytes of a file: it is read whole. */
export const historyBytesMax = 256 * 1024 * 1024;

/** The file is no history. The message begins with the number of the line, from 1. */
export class HistoryFileError extends Error {
  override readonly name = 'HistoryFileError';
  readonly line: number;
  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
    this.line = line;
  }
}

const integer = z.number().int().min(0);

/** Fields that others add are ignored. */
const eventSchema = z.object({
  process: integer,
  type: z.enum(['invoke', 'ok', 'fail', 'info']),
  f: z.enum(['get', 'put', 'del', 'cas', 'has', 'stale']),
  key: z.string(),
  value: z.string().nullable(),
  version: integer.exactOptional(),
  newVersion: integer.exactOptional(),
  currentVersion: integer.exactOptional(),
  length: integer.exactOptional(),
  at: z.string().exactOptional(),
  time: z.number().min(0),
});

export interface HistoryLines {
  readonly events: readonly HistoryEvent[];
  /** Number of each event's line. */
  readonly lines: readonly number[];
}

/**
 * Empty lines are allowed. Times must not go back: the order of the lines is what counts, and one that contradicts the
 * clock was mixed up.
 * @throws HistoryFileError
 */
export function parseHistory(text: string): HistoryLines {
  const events: HistoryEvent[] = [];
  const lines: number[] = [];
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    if (line.trim() === '') continue;
    const event = parseLine(line, number);
    const before = events.at(-1)?.time ?? 0;
    if (event.time < before) throw new HistoryFileError(number, `time goes back from ${before} to ${event.time}`);
    events.push(event);
    lines.push(number);
  }
  return { events, lines };
}

function parseLine(line: string, number: number): HistoryEvent {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw new HistoryFileError(number, `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const result = eventSchema.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) =>
    issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`,
  );
  throw new HistoryFileError(number, problems.join('; '));
}

/**
 * @throws HistoryFileError
 * @throws Error of node:fs when the file can't be read; RangeError when it is too large.
 */
export function readHistory(path: string): HistoryLines {
  const { size } = statSync(path);
  if (size > historyBytesMax)
    throw new RangeError(`${path} has ${size} bytes; a history has at most ${historyBytesMax}`);
  return parseHistory(readFileSync(path, 'utf8'));
}
