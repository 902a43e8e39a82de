/**
 * Processes that `up` supervises: this program again, in another role. Their output goes straight into their log files,
 * so that no one waits for the supervisor; the channel tells them when the supervisor is gone, however it went.
 */
import { spawn as spawnProcess, type ChildProcess } from 'node:child_process';
import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '../base/errors.ts';
import type { Clock } from '../env/clock.ts';
import { LogFile } from '../env/real/log-file.ts';
import type { NodeMessage } from './io.ts';
import type { Child, ChildHandler, Exit, Program, Spawn } from './supervisor.ts';

const messageShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready'), serves: z.string() }),
  z.object({
    kind: z.literal('failed'),
    code: z.custom<ErrorCode>((value) => typeof value === 'string' && isErrorCode(value)),
    message: z.string(),
  }),
]);

/**
 * Options of Node for nodes, before what this process was given. What sockets read lies outside of V8's heap and counts
 * against its old generation until the young one is collected: with a small young generation that is soon, and
 * collections of everything are rare (docs/performance.md).
 */
export const nodeFlags = ['--max-semi-space-size=2'];

const standardError = 2;

/** `entry`: absolute path of the program's main module. */
export function realSpawn(entry: string, clock: Clock): Spawn {
  // One for each file, as long as the supervisor lives: a program that keeps dying has one log.
  const logs = new Map<string, LogFile>();
  return (program, handler) => {
    const log = logs.get(program.log) ?? new LogFile(program.log, clock);
    logs.set(program.log, log);
    return start(entry, clock, log, program, handler);
  };
}

function start(entry: string, clock: Clock, log: LogFile, program: Program, handler: ChildHandler): Child {
  let isOver = false;
  const onOver = (exit: Exit): void => {
    if (isOver) return;
    isOver = true;
    handler.onExit(exit);
  };
  const notMade = (error: unknown): void =>
    onOver({ code: null, signal: null, reason: `could not be started: ${String(error)}` });
  try {
    const child = log.use(
      (trouble) => handler.onLogTrouble(trouble),
      (descriptor) => spawnNode(entry, program, descriptor),
    );
    child.on('message', (message) => {
      const parsed = messageShape.safeParse(message);
      if (parsed.success) handler.onMessage(parsed.data satisfies NodeMessage);
    });
    // A failed kill or send is told by 'exit' as well; a process that could not be made by nothing else.
    child.on('error', (error) => (child.pid === undefined ? notMade(error) : undefined));
    child.once('exit', (code, signal) => onOver({ code, signal }));
    return childOf(child);
  } catch (error) {
    // Node throws some reasons and tells others later. The caller learns of all of them later.
    clock.after(0, () => notMade(error));
    return { pid: 0, send: () => undefined, kill: () => undefined };
  }
}

/** `log`: a descriptor. Without it the node writes where the supervisor does, so that somebody may read it. */
function spawnNode(entry: string, program: Program, log: number = standardError): ChildProcess {
  return spawnProcess(process.execPath, [...nodeFlags, ...process.execArgv, entry, ...program.args], {
    stdio: ['ignore', log, log, 'ipc'],
  });
}

function childOf(child: ChildProcess): Child {
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
