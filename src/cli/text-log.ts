/** A node's log as lines: time, level, event, fields. */
import type { Log } from '../base/log.ts';
import type { Clock } from '../env/clock.ts';
import type { Output } from './io.ts';

/** `debug` lines only with `isVerbose`. */
export function textLog(output: Output, clock: Clock, isVerbose = false): Log {
  return (level, event, fields = {}) => {
    if (level === 'debug' && !isVerbose) return;
    const list = Object.entries(fields).flatMap(([name, value]) =>
      value === undefined ? [] : [` ${name}=${quoted(value)}`],
    );
    output.write(`${new Date(clock.wall()).toISOString()} ${level.padEnd(5)} ${event}${list.join('')}\n`);
  };
}

function quoted(value: string | number | boolean): string {
  return typeof value === 'string' && !/^[\w.:/@-]+$/.test(value) ? JSON.stringify(value) : String(value);
}
