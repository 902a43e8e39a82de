/**
 * What a command sees of its process: streams, environment, signals. Injected, so that commands are tested in the
 * test's process.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { Environment } from '../env/environment.ts';

export interface Output {
  write(text: string): void;
  /** Raw bytes, for values. */
  writeBytes(bytes: Uint8Array): void;
  /** Writes, and waits until the reader has taken it: for much output. */
  flush(text: string): Promise<void>;
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number;
}

/** The own end of the channel to the supervisor, in a process that `up` supervises. */
export interface SupervisorLink {
  send(message: NodeMessage): void;
  /** The supervisor wants this process to stop, or is gone. Called at most once. */
  onStop(callback: (why: string) => void): void;
}

/** From a node to its supervisor. */
export type NodeMessage =
  | { readonly kind: 'ready'; readonly serves: string }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };
/** From the supervisor to a node. */
export interface SupervisorMessage {
  readonly kind: 'stop';
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
  /** SIGINT and SIGTERM, as often as they come. Returns how to stop listening. */
  onSignal(callback: (name: 'SIGINT' | 'SIGTERM') => void): () => void;
  /** Ends the process at once: a second Ctrl-C. */
}

/** How to call this program, for hints: a checkout is used through npm. */
export function programName(io: Pick<CliIo, 'variables'>): string {
  const script = io.variables['npm_lifecycle_event'];
  return script === 'start' || script === 'kv' ? 'npm run -s kv --' : 'kv-filelog';
}
