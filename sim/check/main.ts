/**
 * Judges a history that somebody recorded: `main.ts FILE`. One line says the verdict; a violation is explained below
 * it. Exit codes: 0 linearizable, 1 not, 2 the file is no history (or can't be read), 3 gave up.
 */
import { pathToFileURL } from 'node:url';
import { HistoryFileError, type HistoryLines, readHistory } from './history-file.ts';
import { checkHistory } from './linearizability.ts';
import { HistoryError } from './operations.ts';

export const exitCodes = { linearizable: 0, violation: 1, badInput: 2, gaveUp: 3 } as const;

export interface Judgement {
  readonly exitCode: number;
  readonly output: string;
}

/** Judges the file at `path`. Never throws for what the file says. */
export function judgeFile(path: string): Judgement {
  try {
    return judge(path, readHistory(path));
  } catch (error) {
    return {
      exitCode: exitCodes.badInput,
      output: `${path}: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

function judge(path: string, { events, lines }: HistoryLines): Judgement {
  try {
    const verdict = checkHistory(events);
    if (verdict.kind === 'violation') {
      const place = `line ${lines[verdict.eventIndex] ?? '?'}`;
      return { exitCode: exitCodes.violation, output: `${path}: not linearizable at ${place}\n${verdict.explanation}` };
    }
    if (verdict.kind === 'gave-up') {
      return {
        exitCode: exitCodes.gaveUp,
        output: `${path}: gave up on key ${JSON.stringify(verdict.key)}: ${verdict.reason}`,
      };
    }
    return {
      exitCode: exitCodes.linearizable,
      output: `${path}: linearizable, ${verdict.operations} calls of ${verdict.keys} keys`,
    };
  } catch (error) {
    if (!(error instanceof HistoryError)) throw error;
    throw new HistoryFileError(lines[error.eventIndex] ?? 0, error.message);
  }
}

function main(): void {
  const [path, ...rest] = process.argv.slice(2);
  if (path === undefined || rest.length > 0) {
    process.stderr.write('usage: main.ts FILE (JSON lines, one event a line)\n');
    process.exitCode = exitCodes.badInput;
    return;
  }
  const { exitCode, output } = judgeFile(path);
  (exitCode === exitCodes.linearizable ? process.stdout : process.stderr).write(`${output}\n`);
  process.exitCode = exitCode;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
