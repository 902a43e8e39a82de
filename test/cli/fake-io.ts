/** A command's process for tests: output in memory, no terminal, signals on demand. */
import { Readable } from 'node:stream';
import type { CliIo, Output } from '../../src/cli/io.ts';
import { runCli } from '../../src/cli/program.ts';
import type { Spawn } from '../../src/cli/supervisor.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';

class MemoryOutput implements Output {
  readonly isTerminal = false;
  readonly columns = 80;
  readonly #parts: Uint8Array[] = [];

  write(text: string): void {
    this.#parts.push(Buffer.from(text));
  }

  writeBytes(bytes: Uint8Array): void {
    this.#parts.push(Buffer.from(bytes));
  }

  flush(text: string): Promise<void> {
    this.write(text);
    return Promise.resolve();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export interface FakeIo extends CliIo {
  readonly signal: (name: 'SIGINT' | 'SIGTERM') => void;
  readonly outBytes: () => Buffer;
  readonly outText: () => string;
  readonly errText: () => string;
}

export function fakeIo(
  folder: string,
  options: { readonly input?: string | Uint8Array; readonly variables?: Record<string, string> } = {},
): FakeIo {
  const out = new MemoryOutput();
  const err = new MemoryOutput();
  const listeners = new Set<(name: 'SIGINT' | 'SIGTERM') => void>();
  return {
    out,
    err,
    input: Readable.from([Buffer.from(options.input ?? '')]),
    terminal: process.stdout,
    variables: options.variables ?? {},
    folder,
    pid: process.pid,
    environment: realEnvironment(),
    supervisor: undefined,
    onSignal: (callback) => {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
    signal: (name) => {
      for (const listener of listeners) listener(name);
    },
    outBytes: () => out.bytes,
    outText: () => out.bytes.toString('utf8'),
    errText: () => err.bytes.toString('utf8'),
  };
}

export interface CommandResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly outBytes: Buffer;
}

/** Runs one command line in this process. */
export async function runCommand(
  folder: string,
  argv: readonly string[],
  options: {
    readonly input?: string | Uint8Array;
    readonly variables?: Record<string, string>;
    readonly spawn?: Spawn;
  } = {},
): Promise<CommandResult> {
  const io = fakeIo(folder, options);
  const spawn = options.spawn ?? noSpawn;
  const code = await runCli({ io, version: '1.2.3', spawn }, argv);
  return { code, out: io.outText(), err: io.errText(), outBytes: io.outBytes() };
}

const noSpawn: Spawn = () => {
  throw new Error('this test starts no processes');
};
