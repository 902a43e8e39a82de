/**
 * Keeps a set of processes running: starts them, waits until they serve, starts again what dies (after a pause that
 * doubles while it keeps dying), stops them in order. What a process is stands behind `Spawn`, so that this is tested
 * without any.
 *
 *   starting --ready--> serving --exit--> waiting --pause over--> starting
 *      |                   |                 |
 *      +------exit---------+----- stop ------+--> stopped           (no restart wanted: dead)
 */
import { KvError } from '../base/errors.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { NodeMessage, SupervisorMessage } from './io.ts';

export const supervision = {
  restartPauseMinMs: 200,
  restartPauseMaxMs: 5_000,
  /** A process that served for so long starts with the shortest pause again. */
  steadyMs: 10_000,
  startTimeoutMs: 60_000,
  /** After which a process that was asked to stop is killed. */
  stopTimeoutMs: 10_000,
} as const;

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface Child {
  readonly pid: number;
  send(message: SupervisorMessage): void;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export interface ChildHandler {
  onMessage(message: NodeMessage): void;
  /** Called once, after the last message. */
  onExit(exit: Exit): void;
}

export interface Program {
  /** `gateway 0` */
  readonly name: string;
  readonly args: readonly string[];
  /** Absolute path; standard output and error are appended to it. */
  readonly log: string;
  /** Programs of one group stop together, groups one after another from 0. */
  readonly stopGroup: number;
}

export type Spawn = (program: Program, handler: ChildHandler) => Child;

export type ProgramState = 'starting' | 'serving' | 'waiting' | 'stopping' | 'stopped' | 'dead';

export interface ProgramStatus {
  readonly name: string;
  /** 0: no process now. */
  readonly pid: number;
  readonly state: ProgramState;
  readonly restarts: number;
  readonly serves: string;
  readonly log: string;
}

export type SupervisorEvent =
  | { readonly kind: 'started'; readonly name: string; readonly pid: number; readonly isRestart: boolean }
  | { readonly kind: 'serving'; readonly name: string; readonly pid: number; readonly isRestart: boolean }
  /** `restartMs` undefined: it stays dead. */
  | {
      readonly kind: 'died';
      readonly name: string;
      readonly pid: number;
      readonly why: string;
      readonly restartMs: number | undefined;
    }
  | { readonly kind: 'killed'; readonly name: string; readonly pid: number };

export interface SupervisorOptions {
  readonly programs: readonly Program[];
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly restart: boolean;
  /** After every change of `status()`. */
  readonly onEvent: (event: SupervisorEvent) => void;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #programs: readonly Supervised[];

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#programs = options.programs.map((program) => new Supervised(program, options));
  }

  /**
   * Starts all and waits until they serve. When one cannot, all are stopped again.
   * @throws KvError with the code of what failed first, naming the program
   */
  async start(): Promise<void> {
    try {
      await Promise.all(this.#programs.map((program) => program.start()));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Asks them to stop, group after group, and kills who does not within `stopTimeoutMs`. Idempotent. */
  async stop(): Promise<void> {
    for (const program of this.#programs) program.stopRestarting();
    const groups = [...new Set(this.#options.programs.map((program) => program.stopGroup))].sort((a, b) => a - b);
    for (const group of groups)
      await Promise.all(
        this.#programs.filter((program) => program.stopGroup === group).map((program) => program.stop()),
      );
  }

  /** At once, without asking. */
  killAll(): void {
    for (const program of this.#programs) program.killNow();
  }

  status(): readonly ProgramStatus[] {
    return this.#programs.map((program) => program.status());
  }
}

/** One program and its process, if it has one. */
class Supervised {
  readonly #program: Program;
  readonly #options: SupervisorOptions;
  #state: ProgramState = 'stopped';
  #child: Child | undefined;
  #serves = '';
  #restarts = 0;
  #pauseMs: number = supervision.restartPauseMinMs;
  #servingSince = 0;
  #failure: KvError | undefined;
  #timer: Timer | undefined;
  #isStopping = false;
  readonly #exitWaiters: (() => void)[] = [];
  #firstStart: { readonly resolve: () => void; readonly reject: (error: KvError) => void } | undefined;

  constructor(program: Program, options: SupervisorOptions) {
    this.#program = program;
    this.#options = options;
  }

  get stopGroup(): number {
    return this.#program.stopGroup;
  }

  status(): ProgramStatus {
    const { name, log } = this.#program;
    return {
      name,
      pid: this.#child?.pid ?? 0,
      state: this.#state,
      restarts: this.#restarts,
      serves: this.#serves,
      log,
    };
  }

  start(): Promise<void> {
    const first = new Promise<void>((resolve, reject) => {
      this.#firstStart = { resolve, reject };
    });
    this.#spawn(false);
    return first;
  }

  stopRestarting(): void {
    this.#isStopping = true;
    if (this.#state !== 'waiting') return;
    this.#timer?.cancel();
    this.#state = 'stopped';
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#state = 'stopping';
    child.send({ kind: 'stop' });
    const timer = this.#options.clock.after(supervision.stopTimeoutMs, () => {
      this.#options.onEvent({ kind: 'killed', name: this.#program.name, pid: child.pid });
      child.kill('SIGKILL');
    });
    await new Promise<void>((resolve) => this.#exitWaiters.push(resolve));
    timer.cancel();
  }

  killNow(): void {
    this.stopRestarting();
    this.#child?.kill('SIGKILL');
  }

  #spawn(isRestart: boolean): void {
    this.#state = 'starting';
    this.#failure = undefined;
    const child = this.#options.spawn(this.#program, {
      onMessage: (message) => this.#onMessage(message, isRestart),
      onExit: (exit) => this.#onExit(exit),
    });
    this.#child = child;
    this.#timer = this.#options.clock.after(supervision.startTimeoutMs, () => this.#onStartTimeout());
    this.#options.onEvent({ kind: 'started', name: this.#program.name, pid: child.pid, isRestart });
  }

  #onMessage(message: NodeMessage, isRestart: boolean): void {
    if (message.kind === 'failed') {
      this.#failure = new KvError(message.code, `${this.#program.name}: ${message.message}`);
      return;
    }
    this.#timer?.cancel();
    this.#serves = message.serves;
    if (this.#state === 'starting') this.#state = 'serving';
    this.#servingSince = this.#options.clock.now();
    this.#options.onEvent({ kind: 'serving', name: this.#program.name, pid: this.#child?.pid ?? 0, isRestart });
    this.#firstStart?.resolve();
    this.#firstStart = undefined;
  }

  #onStartTimeout(): void {
    this.#failure = new KvError(
      'timeout',
      `${this.#program.name} does not serve after ${supervision.startTimeoutMs} ms; its log: ${this.#program.log}`,
    );
    this.#child?.kill('SIGKILL');
  }

  #onExit(exit: Exit): void {
    const pid = this.#child?.pid ?? 0;
    const servedMs = this.#state === 'serving' ? this.#options.clock.now() - this.#servingSince : 0;
    const failure =
      this.#failure ??
      new KvError('internal', `${this.#program.name} ended ${describeExit(exit)}; its log: ${this.#program.log}`);
    this.#timer?.cancel();
    this.#child = undefined;
    for (const resolve of this.#exitWaiters.splice(0)) resolve();
    const restartMs = this.#nextState(servedMs);
    if (this.#state !== 'stopped')
      this.#options.onEvent({
        kind: 'died',
        name: this.#program.name,
        pid,
        why: this.#failure?.message ?? describeExit(exit),
        restartMs,
      });
    this.#firstStart?.reject(failure);
    this.#firstStart = undefined;
  }

  /** The pause before the next start, if there is one. */
  #nextState(servedMs: number): number | undefined {
    if (this.#isStopping) {
      this.#state = 'stopped';
      return undefined;
    }
    if (!this.#options.restart || this.#firstStart !== undefined) {
      this.#state = 'dead';
      return undefined;
    }
    this.#state = 'waiting';
    if (servedMs >= supervision.steadyMs) this.#pauseMs = supervision.restartPauseMinMs;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, supervision.restartPauseMaxMs);
    this.#timer = this.#options.clock.after(pauseMs, () => {
      this.#restarts += 1;
      this.#spawn(true);
    });
    return pauseMs;
  }
}

function describeExit(exit: Exit): string {
  return exit.signal === null ? `with exit code ${exit.code ?? 'unknown'}` : `by signal ${exit.signal}`;
}
