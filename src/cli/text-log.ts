/** A node's log as lines: time, level, event, fields. */
import type { Log, LogLevel } from '../base/log.ts';
import type { Clock } from '../env/clock.ts';
import type { Output } from './io.ts';

type Fields = Parameters<Log>[2];

/** `debug` lines only with `isVerbose`. */
export function textLog(output: Pick<Output, 'write'>, clock: Clock, isVerbose = false): Log {
  return (level, event, fields) => {
    if (level !== 'debug' || isVerbose) output.write(logLine(clock, level, event, fields));
  };
}

/** One line, newline included. */
export function logLine(clock: Clock, level: LogLevel, event: string, fields: Fields = {}): string {
  const list = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [` ${name}=${quoted(value)}`],
  );
  return `${new Date(clock.wall()).toISOString()} ${level.padEnd(5)} ${event}${list.join('')}\n`;
}

function quoted(value: string | number | boolean): string {
  return typeof value === 'string' && !/^[\w.:/@-]+$/.test(value) ? JSON.stringify(value) : String(value);
}
