/**
 * Faults of system calls of one process, by `strace`, which delays them or makes them fail while it is attached. Where
 * there is no strace, or no right to trace, rows that need it are skipped and counted.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const attachMsMax = 10_000;
const detachMsMax = 3_000;

/** Undefined: rows that trace can be run here. */
export function whyNoTracing(): string | undefined {
  const tried = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true'], { encoding: 'utf8' });
  if (tried.error !== undefined) return 'strace is not installed (scripts/install-strace.sh)';
  return tried.status === 0 ? undefined : `strace can't trace here: ${tried.stderr.trim()}`;
}

export type CallFault =
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'fail'; readonly error: string };

/** Calls of one process to one file that are disturbed until it is ended. */
export class Tracing {
  readonly #strace: ChildProcess;

  private constructor(strace: ChildProcess) {
    this.#strace = strace;
  }

  /** Resolves when the fault is in force: at the calls `calls` (`fdatasync`, ...) to `file`. @throws Error */
  static async of(pid: number, calls: string, file: string, fault: CallFault): Promise<Tracing> {
    const injected = fault.kind === 'delay' ? `delay_enter=${fault.ms}ms` : `error=${fault.error}`;
    const which = ['-e', `trace=${calls}`, '-P', file, '-e', `inject=${calls}:${injected}`];
    const strace = spawn('strace', ['-f', '-p', String(pid), ...which, '-o', '/dev/null'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const tracing = new Tracing(strace);
    // It detaches when it is killed, too.
    process.prependOnceListener('exit', () => strace.kill('SIGKILL'));
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(new Error(`strace did not attach: ${said}`));
      globalThis.setTimeout(fail, attachMsMax).unref();
      strace.once('exit', fail);
      strace.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes('attached')) resolve();
      });
    });
    return tracing;
  }

  /** Lets all calls go on as they should. Idempotent. */
  async end(): Promise<void> {
    if (this.#strace.exitCode !== null || this.#strace.signalCode !== null) return;
    const late = globalThis.setTimeout(() => this.#strace.kill('SIGKILL'), detachMsMax);
    this.#strace.kill('SIGTERM');
    await once(this.#strace, 'exit');
    globalThis.clearTimeout(late);
  }
}
