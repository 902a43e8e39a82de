/**
 * Starts child.ts as real processes. The path and the loader follow from this file's own extension: .ts in development,
 * .js in a build.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const program = fileURLToPath(new URL(`./child${extension}`, import.meta.url));

export function childCommand(role: string, file: string, ...parameters: readonly string[]): string[] {
  const loader = extension === '.ts' ? ['--import', import.meta.resolve('tsx')] : [];
  return [process.execPath, ...loader, program, role, file, ...parameters];
}

export class Child {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  errors = '';
  #onLine: (line: string) => void = () => undefined;

  constructor(command: readonly string[]) {
    const [executable = '', ...commandArguments] = command;
    this.process = spawn(executable, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stderr?.on('data', (chunk) => (this.errors += String(chunk)));
    if (this.process.stdout === null) throw new Error('no stdout');
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.lines.push(line);
      this.#onLine(line);
    });
    this.ended = new Promise((resolve) => this.process.once('close', (code, signal) => resolve({ code, signal })));
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error('the child did not start');
    return this.process.pid;
  }

  /** Resolves at the line that `wanted` accepts, or when the child has ended. */
  async until(wanted: (line: string) => boolean): Promise<void> {
    if (this.lines.some(wanted)) return;
    const found = new Promise<void>((resolve) => {
      this.#onLine = (line) => {
        if (wanted(line)) resolve();
      };
    });
    await Promise.race([found, this.ended]);
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

/** Waits until the system says that the process is stopped. */
export async function stopped(pid: number): Promise<void> {
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')) return;
  }
}

export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'kv-filelog-coordinator-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
