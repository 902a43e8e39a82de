/**
 * Processes of a cluster for the fault test, each started and ended by itself, by the CLI's `gateway` and `logger`. It
 * owns the processes, their logs and the config file; it does not own what is done to them (stage.ts), nor the client.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from '../../src/cli/child-process.ts';
import { formatConfig, parseConfig, type ClusterConfig, type ConfigFile } from '../../src/cli/config.ts';
import { newConfig } from '../../src/cli/up-plan.ts';
import { MIB } from '../../src/base/units.ts';
import { ownBuild } from '../../sim/mutant-build.ts';

export type NodeKind = 'gateway' | 'logger';
export const numbers: readonly number[] = [0, 1, 2];

/** Part of the harness that runs in the nodes: it leads their connections through proxies (links.ts). */
const shim = fileURLToPath(new URL('./node-shim.js', import.meta.url));
const startMsMax = 60_000;

export interface NodesOptions {
  /** Folder of the cluster's data; is made. */
  readonly dir: string;
  /** ... and of its config and the nodes' logs. */
  readonly logs: string;
  readonly basePort: number;
  /** Settings of the config file beside the addresses. */
  readonly settings?: Partial<ConfigFile> | undefined;
  /** Folder of the build that is run. */
  readonly build?: string | undefined;
}

/** End of a process before it served. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';
  /** Code that the process told; undefined: it told none. */
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
}

export class Nodes {
  readonly config: ClusterConfig;
  readonly #dir: string;
  readonly #logs: string;
  readonly #build: string;
  readonly #running = new Map<string, Running>();
  /** Variables of the environment of each node, by name. */
  readonly #variables = new Map<string, Readonly<Record<string, string>>>();
  readonly #onExit = (): void => this.#killNow();

  constructor({ dir, logs, basePort, settings = {}, build = ownBuild }: NodesOptions) {
    this.#dir = dir;
    this.#logs = logs;
    mkdirSync(logs, { recursive: true });
    this.#build = build;
    mkdirSync(dir, { recursive: true });
    const places = { dir, coordinator: { kind: 'sqlite' as const, file: join(dir, 'coordinator.sqlite') } };
    const text = formatConfig({ ...newConfig({ basePort, zoneSize: 16 * MIB }), ...places, ...settings });
    writeFileSync(this.configFile, text);
    this.config = parseConfig(text, this.configFile);
    // However this process ends, it leaves none behind.
    process.prependOnceListener('exit', this.#onExit);
  }

  /** Beside the logs: it survives what befalls the data. */
  get configFile(): string {
    return join(this.#logs, 'cluster.json');
  }

  /** Program of the command line, of the build that runs. */
  get cli(): string {
    return join(this.#build, 'src/cli/main.js');
  }

  /** Client ports, by gateway. */
  get endpoints(): readonly string[] {
    return this.config.gateways.map(({ clientAddress }) => clientAddress);
  }

  folderOf(kind: NodeKind, number: number): string {
    return join(this.#dir, `${kind}-${number}`);
  }

  /** Sets variables of the environment in which a node is started from now on. */
  setVariables(kind: NodeKind, number: number, variables: Readonly<Record<string, string>>): void {
    this.#variables.set(`${kind} ${number}`, variables);
  }

  /** Undefined: it does not run. */
  pidOf(kind: NodeKind, number: number): number | undefined {
    return this.#running.get(`${kind} ${number}`)?.child.pid;
  }

  /** Starts all that do not run but `except`. @throws StartFailure */
  async startAll(except: readonly string[] = []): Promise<void> {
    const all = numbers.flatMap((number) => [['logger', number] as const, ['gateway', number] as const]);
    const wanted = all.filter(([kind, number]) => {
      return !except.includes(`${kind} ${number}`) && !this.#running.has(`${kind} ${number}`);
    });
    await Promise.all(wanted.map(([kind, number]) => this.start(kind, number)));
  }

  /** Resolves when it serves. @throws StartFailure it ended, or took too long */
  async start(kind: NodeKind, number: number): Promise<void> {
    const name = `${kind} ${number}`;
    const log = openSync(this.#logFile(kind, number), 'a');
    const child = spawn(
      process.execPath,
      [...nodeFlags, '--import', shim, this.cli, kind, String(number), '--config', this.configFile],
      { stdio: ['ignore', log, log, 'ipc'], env: { ...process.env, ...this.#variables.get(name) } },
    );
    closeSync(log);
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => {
        if (this.#running.get(name)?.child === child) this.#running.delete(name);
        resolve();
      });
    });
    this.#running.set(name, { child, exited });
    await serving(child, name);
  }

  /** Sends a signal. @throws Error it does not run */
  signal(kind: NodeKind, number: number, signal: NodeJS.Signals): void {
    const pid = this.pidOf(kind, number);
    if (pid === undefined) throw new Error(`${kind} ${number} does not run`);
    process.kill(pid, signal);
  }

  /** kill -9; resolves when it is gone. */
  async kill(kind: NodeKind, number: number): Promise<void> {
    const running = this.#running.get(`${kind} ${number}`);
    running?.child.kill('SIGKILL');
    await running?.exited;
  }

  /** kill -9 of all at once; resolves when they are gone. */
  async killAll(): Promise<void> {
    const all = [...this.#running.values()];
    this.#killNow();
    await Promise.all(all.map(({ exited }) => exited));
  }

  /** SIGTERM to gateways, then to loggers; resolves when all are gone. */
  async stopAll(): Promise<void> {
    for (const kind of ['gateway', 'logger'] as const) {
      const all = numbers.flatMap((number) => this.#running.get(`${kind} ${number}`) ?? []);
      for (const { child } of all) child.kill('SIGTERM');
      await Promise.all(all.map(({ exited }) => exited));
    }
  }

  async end(): Promise<void> {
    await this.killAll();
    process.off('exit', this.#onExit);
  }

  /** Text of a node's log. */
  logOf(kind: NodeKind, number: number): string {
    return readFileSync(this.#logFile(kind, number), 'utf8');
  }

  #logFile(kind: NodeKind, number: number): string {
    return join(this.#logs, `${kind}-${number}.log`);
  }

  #killNow(): void {
    for (const { child } of this.#running.values()) child.kill('SIGKILL');
  }
}

function serving(child: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let code: string | undefined;
    const timer = globalThis.setTimeout(() => {
      child.kill('SIGKILL');
      reject(new StartFailure(`${name} does not serve after ${startMsMax} ms`, undefined));
    }, startMsMax);
    child.on('message', (message) => {
      if (typeof message !== 'object' || message === null) return;
      if (Reflect.get(message, 'kind') === 'failed') code = String(Reflect.get(message, 'code'));
      if (Reflect.get(message, 'kind') !== 'ready') return;
      globalThis.clearTimeout(timer);
      resolve();
    });
    child.once('exit', (status, signal) => {
      globalThis.clearTimeout(timer);
      reject(new StartFailure(`${name} ended (${code ?? status ?? signal}) before it served`, code));
    });
  });
}
