/**
 * The processes that `up` supervises: this program again, in another role. Their output goes straight into their log
 * files, so that nothing of it is lost and no one waits for the supervisor; the channel tells them when the supervisor
 * is gone, however it went.
 */
import { spawn as spawnProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '../base/errors.ts';
import type { Clock, Timer } from '../env/clock.ts';
import { filesErrorOf } from '../env/files.ts';
import type { NodeMessage } from './io.ts';
import type { Child, ChildHandler, Program, Spawn } from './supervisor.ts';

/** A log beyond this is kept as `<name>.log.1`, in place of the one before, and begins again. */
export const logBytesMax = 8 * 1024 * 1024;

const messageShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready'), serves: z.string() }),
  z.object({
    kind: z.literal('failed'),
    code: z.custom<ErrorCode>((value) => typeof value === 'string' && isErrorCode(value)),
    message: z.string(),
  }),
]);

const trimEveryMs = 10_000;
/**
 * Options of Node for nodes, before what this process was given. What sockets read lies outside of V8's heap and counts
 * against its old generation until the young one is collected: with a small young generation that is soon, and
 * collections of everything are rare (docs/performance.md).
 */
const nodeFlags = ['--max-semi-space-size=2'];

/** `entry`: absolute path of the program's main module. */
export function realSpawn(entry: string, clock: Clock): Spawn {
  return (program, handler) => start(entry, clock, program, handler);
}

function start(entry: string, clock: Clock, program: Program, handler: ChildHandler): Child {
  const log = openLog(program.log);
  const child = spawnProcess(process.execPath, [...nodeFlags, ...process.execArgv, entry, ...program.args], {
    stdio: ['ignore', log, log, 'ipc'],
  });
  fs.closeSync(log);
  child.on('message', (message) => {
    const parsed = messageShape.safeParse(message);
    if (parsed.success) handler.onMessage(parsed.data satisfies NodeMessage);
  });
  // A failed kill or send is told by 'exit' as well.
  child.on('error', () => undefined);
  const stopTrimming = trimRegularly(clock, program.log);
  child.once('exit', (code, signal) => {
    stopTrimming();
    handler.onExit({ code, signal });
  });
  return {
    pid: child.pid ?? 0,
    send: (message) => {
      if (child.connected) child.send(message, () => undefined);
    },
    kill: (signal) => {
      child.kill(signal);
    },
  };
}

/** The descriptor of a log, to append to. @throws FilesError */
function openLog(file: string): number {
  try {
    trimLog(file);
    return fs.openSync(file, 'a');
  } catch (cause) {
    throw filesErrorOf(`open the log ${file}`, cause);
  }
}

function trimRegularly(clock: Clock, file: string): () => void {
  let timer: Timer;
  const trimLater = (): Timer =>
    clock.after(trimEveryMs, () => {
      trimLog(file);
      timer = trimLater();
    });
  timer = trimLater();
  return () => timer.cancel();
}

/**
 * Keeps a log file bounded. It is copied and emptied, not renamed: its process goes on writing to the end of the same
 * file.
 */
export function trimLog(file: string): void {
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= logBytesMax) return;
  fs.copyFileSync(file, `${file}.1`);
  fs.truncateSync(file, 0);
}
