/** A command's process for tests: output in memory, no terminal, signals on demand. */
import { Readable } from 'node:stream';
import { StreamOutput, type CliIo, type StopSignal } from '../../src/cli/io.ts';
import { runCli } from '../../src/cli/program.ts';
import type { Spawn } from '../../src/cli/supervisor.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';

class MemoryOutput extends StreamOutput {
  readonly #parts: Uint8Array[];

  /** `failure`: code of the error that every write fails with. */
  constructor(name: string, failure: string | undefined) {
    const parts: Uint8Array[] = [];
    const sink = (bytes: Uint8Array, done: (error?: Error) => void): void => {
      // Writing nothing to a file never fails.
      if (bytes.length > 0 && failure !== undefined)
        return done(Object.assign(new Error(`${failure}: write`), { code: failure }));
      parts.push(Buffer.from(bytes));
      done();
    };
    super(name, sink, {});
    this.#parts = parts;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export interface FakeIo extends CliIo {
  readonly signal: (name: StopSignal) => void;
  readonly outBytes: () => Buffer;
  readonly outText: () => string;
  readonly errText: () => string;
}

export interface FakeOptions {
  readonly input?: string | Uint8Array;
  readonly variables?: Record<string, string>;
  /** Code that each write to standard output fails with, like `ENOSPC`. */
  readonly outFails?: string;
  readonly errFails?: string;
}

export function fakeIo(folder: string, options: FakeOptions = {}): FakeIo {
  const out = new MemoryOutput('standard output', options.outFails);
  const err = new MemoryOutput('standard error', options.errFails);
  const listeners = new Set<(name: StopSignal) => void>();
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
    onParentGone: () => () => undefined,
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
  options: FakeOptions & { readonly spawn?: Spawn } = {},
): Promise<CommandResult> {
  const io = fakeIo(folder, options);
  const spawn = options.spawn ?? noSpawn;
  const code = await runCli({ io, version: '1.2.3', spawn }, argv);
  return { code, out: io.outText(), err: io.errText(), outBytes: io.outBytes() };
}

const noSpawn: Spawn = () => {
  throw new Error('this test starts no processes');
};
