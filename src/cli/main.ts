#!/usr/bin/env node
/** Entry point of the command `kv-filelog`: the real world and this process's streams, handed to the command line. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { realEnvironment } from '../env/real/environment.ts';
import { ProcessHold } from '../env/real/process-hold.ts';
import { standardSink } from '../env/real/standard-output.ts';
import { realSpawn } from './child-process.ts';
import { exitCodes } from './exit-codes.ts';
import { StreamOutput, type CliIo, type SupervisorLink } from './io.ts';
import { runCli } from './program.ts';

/** What is left open when a command is done is a bug, and must not keep a person waiting. */
const lingerMs = 2_000;
/** ... and a node whose supervisor is gone ends, whatever it still does. */
const orphanMs = 3_000;

const environment = realEnvironment();
const hold = new ProcessHold();
hold.hold();
process.exitCode = await runCli(
  { io: processIo(), version: packageVersion(), spawn: realSpawn(fileURLToPath(import.meta.url), environment.clock) },
  process.argv.slice(2),
);
hold.release();
if (process.connected) process.disconnect();
environment.clock.after(lingerMs, () => process.exit());

function processIo(): CliIo {
  return {
    out: new StreamOutput('standard output', standardSink(process.stdout), process.stdout),
    err: new StreamOutput('standard error', standardSink(process.stderr), process.stderr),
    input: process.stdin,
    terminal: process.stdout,
    variables: process.env,
    folder: process.cwd(),
    pid: process.pid,
    environment,
    supervisor: process.send === undefined ? undefined : supervisorLink(),
    onSignal: (callback) => {
      const names = ['SIGINT', 'SIGTERM'] as const;
      const listeners = names.map((name) => ({ name, listener: () => callback(name) }));
      for (const { name, listener } of listeners) process.on(name, listener);
      return () => {
        for (const { name, listener } of listeners) process.off(name, listener);
      };
    },
  };
}

function supervisorLink(): SupervisorLink {
  return {
    send: (message) => {
      if (process.connected) process.send?.(message);
    },
    onStop: (callback) => {
      const onGone = (): void => {
        callback('the supervisor is gone');
        environment.clock.after(orphanMs, () => process.exit(exitCodes.failed));
      };
      process.on('message', () => callback('the supervisor asks for it'));
      process.on('disconnect', onGone);
      // It may have gone while this process was loading its modules: nobody heard that.
      if (!process.connected) onGone();
    },
  };
}

function packageVersion(): string {
  // From dist/src/cli as well as from src/cli the package's own name leads there.
  const manifest: unknown = createRequire(import.meta.url)('kv-filelog/package.json');
  const version: unknown =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined;
  return typeof version === 'string' ? version : 'unknown';
}
