/**
 * What a command sees of its process: streams, environment, signals. Injected, so that commands are tested in the
 * test's process.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { Environment } from '../env/environment.ts';

/**
 * Standard output or standard error. Nothing that goes wrong there ends the process or is thrown by `write`: what a
 * program serves must not depend on who reads what it says. Who needs to know asks `flush`. After a failure every write
 * is tried all the same: a disk may have space again.
 */
export interface Output {
  write(text: string): void;
  /** Raw bytes, for values. */
  writeBytes(bytes: Uint8Array): void;
  /**
   * Writes, and waits until the reader has taken this and all before it: for much output, and before a program ends.
   * @throws OutputFailure when something of it was not taken, now or earlier
   */
  flush(chunk?: string | Uint8Array): Promise<void>;
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number;
}

/** An output takes nothing more: its reader is gone, or the disk behind it is full or broken. */
export class OutputFailure extends Error {
  override readonly name = 'OutputFailure';
  /** The reader has what it wanted (`| head`): nothing to complain about. */
  readonly isReaderGone: boolean;

  constructor(output: string, cause: Error) {
    const code = 'code' in cause ? String(cause.code) : '';
    super(`${output}: ${reasons[code] ?? cause.message}${code === '' ? '' : ` (${code})`}`, { cause });
    this.isReaderGone = code === 'EPIPE' || code === 'ECONNRESET';
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on device',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is as large as it may be',
  EIO: 'input/output error',
  EPIPE: 'its reader is gone',
  ECONNRESET: 'its reader is gone',
};

/** Way to the system: writes all of `bytes` in order, then calls `done`, with the reason if it failed. */
type Sink = (bytes: Uint8Array, done: (error?: Error) => void) => void;

/** An output over the system's. */
export class StreamOutput implements Output {
  readonly #name: string;
  readonly #sink: Sink;
  readonly #terminal: { readonly isTTY?: boolean; readonly columns?: number };
  /** The first one. */
  #failure: OutputFailure | undefined = undefined;

  /** `name`: for messages, like `standard output`. */
  constructor(name: string, sink: Sink, terminal: { readonly isTTY?: boolean; readonly columns?: number }) {
    this.#name = name;
    this.#sink = sink;
    this.#terminal = terminal;
  }

  write(text: string): void {
    this.writeBytes(Buffer.from(text, 'utf8'));
  }

  writeBytes(bytes: Uint8Array): void {
    this.#sink(bytes, (error) => this.#written(error));
  }

  flush(chunk: string | Uint8Array = ''): Promise<void> {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
    return new Promise((resolve, reject) => {
      this.#sink(bytes, (error) => {
        this.#written(error);
        if (this.#failure === undefined) resolve();
        else reject(this.#failure);
      });
    });
  }

  get isTerminal(): boolean {
    return this.#terminal.isTTY === true;
  }

  get columns(): number {
    return (this.isTerminal ? this.#terminal.columns : undefined) ?? 80;
  }

  #written(error: Error | undefined): void {
    if (error !== undefined) this.#failure ??= new OutputFailure(this.#name, error);
  }
}

/** The own end of the channel to the supervisor, in a process that `up` supervises. */
export interface SupervisorLink {
  send(message: NodeMessage): void;
  /** The supervisor wants this process to stop, or is gone. */
  onStop(callback: (why: string) => void): void;
  /** The supervisor stops: it says when this process is to. */
  onStopping(callback: () => void): void;
}

/**
 * Signals that ask to stop, from Ctrl-C, Ctrl-\, a terminal that closes, init systems, containers, process managers.
 */
export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGPWR'] as const;
export type StopSignal = (typeof stopSignals)[number];

/** From a node to its supervisor. */
export type NodeMessage =
  | { readonly kind: 'ready'; readonly serves: string }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };
/** From the supervisor to a node. `stopping`: the supervisor stops, and will say `stop` when this node's turn comes. */
export interface SupervisorMessage {
  readonly kind: 'stopping' | 'stop';
}

export interface CliIo {
  readonly out: Output;
  readonly err: Output;
  /** Standard input, for interactive commands and for values. */
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  /** Where a prompt goes when a person types at `input`. */
  readonly terminal: NodeJS.WritableStream;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
  readonly pid: number;
  readonly environment: Environment;
  readonly supervisor: SupervisorLink | undefined;
  /** Each of `stopSignals`, as often as it comes. Returns how to stop listening. */
  onSignal(callback: (name: StopSignal) => void): () => void;
  /**
   * npm started this process and is gone: a shell between the two does not hand on the signal that ended it. Called at
   * most once. Returns how to stop listening.
   */
  onParentGone(callback: () => void): () => void;
}

/** How to call this program, for hints: a checkout is used through npm. */
export function programName(io: Pick<CliIo, 'variables'>): string {
  const script = io.variables['npm_lifecycle_event'];
  return script === 'start' || script === 'kv' ? 'npm run -s kv --' : 'kv-filelog';
}
