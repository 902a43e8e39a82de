/**
 * A cluster of real processes, started by the CLI's `up` on free ports in a folder, for benchmarks and crash tests.
 * Whatever was started is ended by its process id.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The CLI next to this module: compiled when this is compiled, else through tsx. */
const isSource = import.meta.url.endsWith('.ts');
const cli = fileURLToPath(new URL(`../../src/cli/main.${isSource ? 'ts' : 'js'}`, import.meta.url));
const nodeArguments = isSource ? ['--import', 'tsx'] : [];

const startTimeoutMs = 60_000;
const stopTimeoutMs = 30_000;
/** `up` spreads its ports over this many from the base port on. */
const portsSpread = 400;

export interface RealClusterOptions {
  readonly dir: string;
  readonly basePort: number;
  /** Further arguments of `up`. */
  readonly upArguments?: readonly string[];
}

interface UpEvent {
  readonly event: string;
  readonly name?: string;
  readonly pid?: number;
  readonly endpoints?: readonly string[];
  readonly processes?: readonly { readonly name: string; readonly pid: number }[];
}

export class RealCluster {
  readonly #up: ChildProcess;
  readonly #pids = new Map<string, number>();
  readonly #exited: Promise<void>;
  #endpoints: readonly string[] = [];

  private constructor(up: ChildProcess) {
    this.#up = up;
    // However this process ends, it leaves none behind.
    const killAll = (): void => this.#killAll();
    process.once('exit', killAll);
    this.#exited = new Promise((resolve) => {
      up.once('exit', () => {
        process.off('exit', killAll);
        resolve();
      });
    });
  }

  /** Resolves when all processes serve. @throws Error with what `up` said when they don't */
  static async start({ dir, basePort, upArguments = [] }: RealClusterOptions): Promise<RealCluster> {
    const processArguments = [
      ...nodeArguments,
      cli,
      'up',
      '--json',
      '--dir',
      dir,
      ...upArguments,
      '--base-port',
      String(basePort),
    ];
    const up = spawn(process.execPath, processArguments, { stdio: ['ignore', 'pipe', 'pipe'] });
    const cluster = new RealCluster(up);
    let errors = '';
    up.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-4_000);
    });
    const ready = new Promise<void>((resolve, reject) => {
      createInterface({ input: up.stdout }).on('line', (line) => {
        if (cluster.#hear(line)) resolve();
      });
      up.once('exit', (code, signal) =>
        reject(new Error(`up ended (${code ?? signal}) before it was ready: ${errors}`)),
      );
      sleep(startTimeoutMs, undefined, { ref: false }).then(
        () => reject(new Error(`up was not ready after ${startTimeoutMs} ms: ${errors}`)),
        reject,
      );
    });
    try {
      await ready;
    } catch (error) {
      await cluster.kill();
      throw error;
    }
    return cluster;
  }

  /** Client ports, by gateway. */
  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  /** Pids by name: `gateway 0`, `logger 2`. */
  get processes(): ReadonlyMap<string, number> {
    return this.#pids;
  }

  /** Ctrl-C. */
  async stop(): Promise<void> {
    if (this.#up.exitCode !== null || this.#up.signalCode !== null) return;
    this.#up.kill('SIGINT');
    await Promise.race([this.#exited, sleep(stopTimeoutMs, undefined, { ref: false })]);
    await this.kill();
  }

  /**
   * kill -9 of all processes at once; the supervisor first, since it would start them again. Resolves when all are
   * gone.
   */
  async kill(): Promise<void> {
    const pids = [...this.#pids.values()];
    this.#killAll();
    await this.#exited;
    while (pids.some(isAlive)) await sleep(5);
    this.#pids.clear();
  }

  #killAll(): void {
    if (this.#up.exitCode === null && this.#up.signalCode === null) this.#up.kill('SIGKILL');
    for (const pid of this.#pids.values()) killNow(pid);
  }

  /** True when all serve. */
  #hear(line: string): boolean {
    const event = upEvent(line);
    if (event.event === 'started' && event.name !== undefined && event.pid !== undefined)
      this.#pids.set(event.name, event.pid);
    if (event.event === 'died' && event.name !== undefined) this.#pids.delete(event.name);
    if (event.event !== 'ready') return false;
    for (const { name, pid } of event.processes ?? []) this.#pids.set(name, pid);
    this.#endpoints = event.endpoints ?? [];
    return true;
  }
}

function upEvent(line: string): UpEvent {
  const event: unknown = JSON.parse(line);
  if (isUpEvent(event)) return event;
  throw new Error(`not an event of up: ${line}`);
}

function isUpEvent(value: unknown): value is UpEvent {
  return typeof value === 'object' && value !== null && 'event' in value && typeof value.event === 'string';
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/**
 * One that has ended but that nobody waited for (its parent was killed) counts as gone: it has let go of its files and
 * ports.
 */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

/** A base port all of whose ports are free now, below those that the system hands out by itself. */
export async function freeBasePort(gateways = 3, loggers = 3): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const base = 10_000 + portsSpread * Math.floor(Math.random() * 55);
    const ports = Array.from({ length: Math.max(gateways, loggers) }, (_, id) => [
      base + id,
      base + 100 + id,
      base + 200 + id,
      base + 300 + id,
    ]).flat();
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return base;
  }
  throw new Error('no free ports found between 10000 and 32000');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
