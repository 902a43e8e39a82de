#!/usr/bin/env node
/** Entry point of the command `kv-filelog`: the real world and this process's streams, handed to the command line. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Timer } from '../env/clock.ts';
import { realEnvironment } from '../env/real/environment.ts';
import { ProcessHold } from '../env/real/process-hold.ts';
import { SideOutput } from '../env/real/side-output.ts';
import { standardSink } from '../env/real/standard-output.ts';
import { realSpawn } from './child-process.ts';
import { exitCodes } from './exit-codes.ts';
import { StreamOutput, stopSignals, type CliIo, type SupervisorLink, type SupervisorMessage } from './io.ts';
import { runCli } from './program.ts';
import { logLine } from './text-log.ts';

/** What is left open when a command is done is a bug, and must not keep a person waiting. */
const lingerMs = 2_000;
/** ... and a node whose supervisor is gone ends, whatever it still does. */
const orphanMs = 3_000;
/** How often a process that npm started looks whether npm still runs. */
const parentLookMs = 500;
/** Commands that serve until they are told to stop. */
const servingCommands: readonly string[] = ['up', 'gateway', 'logger'];

const environment = realEnvironment();
const parent = process.ppid;
const [command, ...options] = process.argv.slice(2);
const sideOutputs = servingCommands.includes(command ?? '') ? openSideOutputs() : undefined;
const hold = new ProcessHold();
hold.hold();
process.exitCode = await runCli(
  { io: processIo(), version: packageVersion(), spawn: realSpawn(fileURLToPath(import.meta.url), environment.clock) },
  process.argv.slice(2),
);
await sideOutputs?.err.flush();
hold.release();
if (process.connected) process.disconnect();
// The end of a process waits for its threads, and one of them hangs in an output that nobody reads.
if (sideOutputs?.out.isStuck === true || sideOutputs?.err.isStuck === true) process.kill(process.pid, 'SIGKILL');
environment.clock.after(lingerMs, () => process.exit());

/** Outputs of a command that serves: whatever happens to them, it goes on. */
function openSideOutputs(): { readonly out: SideOutput; readonly err: SideOutput } {
  const { clock } = environment;
  const text = (count: number): string => `kv-filelog: lines of output lost before this one: ${count}\n`;
  const json = (lines: number): string => `${JSON.stringify({ event: 'output-lost', lines })}\n`;
  const log = (count: number): string => logLine(clock, 'warn', 'log lines lost', { count });
  return {
    out: new SideOutput({ descriptor: 1, clock, lostLine: options.includes('--json') ? json : text }),
    err: new SideOutput({ descriptor: 2, clock, lostLine: command === 'up' ? text : log }),
  };
}

function processIo(): CliIo {
  return {
    out: sideOutputs?.out ?? new StreamOutput('standard output', standardSink(process.stdout), process.stdout),
    err: sideOutputs?.err ?? new StreamOutput('standard error', standardSink(process.stderr), process.stderr),
    // Opened by who uses them: making a stream of a pipe changes it for all that share it.
    get input() {
      return process.stdin;
    },
    get terminal() {
      return process.stdout;
    },
    variables: process.env,
    folder: process.cwd(),
    pid: process.pid,
    environment,
    supervisor: process.send === undefined ? undefined : supervisorLink(),
    onSignal: (callback) => {
      const listeners = stopSignals.map((name) => ({ name, listener: () => callback(name) }));
      for (const { name, listener } of listeners) process.on(name, listener);
      return () => {
        for (const { name, listener } of listeners) process.off(name, listener);
      };
    },
    onParentGone: watchParent,
  };
}

/** Ends of npm's own process, or of the shell that it starts: this process has another parent afterwards. */
function watchParent(callback: () => void): () => void {
  if (process.env['npm_lifecycle_event'] === undefined || process.send !== undefined) return () => undefined;
  let timer: Timer;
  const look = (): void => {
    if (process.ppid !== parent) return callback();
    timer = environment.clock.after(parentLookMs, look);
  };
  timer = environment.clock.after(parentLookMs, look);
  return () => timer.cancel();
}

function supervisorLink(): SupervisorLink {
  return {
    send: (message) => {
      // Who hears it may end meanwhile: that is told by 'disconnect'.
      if (process.connected) process.send?.(message, () => undefined);
    },
    onStop: (callback) => {
      const onGone = (): void => {
        callback('the supervisor is gone');
        environment.clock.after(orphanMs, () => process.exit(exitCodes.failed));
      };
      onMessage('stop', () => callback('the supervisor asks for it'));
      process.on('disconnect', onGone);
      // It may have gone while this process was loading its modules: nobody heard that.
      if (!process.connected) onGone();
    },
    onStopping: (callback) => onMessage('stopping', callback),
  };
}

function onMessage(wanted: SupervisorMessage['kind'], callback: () => void): void {
  process.on('message', (message) => {
    if (typeof message === 'object' && message !== null && 'kind' in message && message.kind === wanted) callback();
  });
}

function packageVersion(): string {
  // From dist/src/cli as well as from src/cli the package's own name leads there.
  const manifest: unknown = createRequire(import.meta.url)('kv-filelog/package.json');
  const version: unknown =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined;
  return typeof version === 'string' ? version : 'unknown';
}
