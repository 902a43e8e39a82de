/**
 * Keeps a set of processes running: starts them, starts again what dies or can't be started (after a pause that doubles
 * while it keeps dying), stops them in order. What a process is stands behind `Spawn`, so that this is tested without
 * any.
 *
 *   starting --ready--> serving --exit--> waiting --pause over--> starting
 *      |                   |                 |
 *      +------exit---------+----- stop ------+--> stopped           (no restart wanted: dead)
 *
 * It owns the processes and when each is started and stopped. It does not own what must serve for the whole to be of
 * use (up-ready.ts), nor what is told about it (up-report.ts).
 */
import { KvError, type ErrorCode } from '../base/errors.ts';
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
  /** There was no process: why not. */
  readonly reason?: string;
}

export interface Child {
  readonly pid: number;
  send(message: SupervisorMessage): void;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export interface ChildHandler {
  onMessage(message: NodeMessage): void;
  /** The log can't be written or kept bounded; undefined: it can again. */
  onLogTrouble(trouble: string | undefined): void;
  /** Called once, not before `Spawn` has returned, after the last message. */
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
  /** Reason why it does not serve; undefined while it does, or has not failed yet. */
  readonly failure?: KvError | undefined;
}

export type SupervisorEvent =
  | { readonly kind: 'started'; readonly name: string; readonly pid: number; readonly isRestart: boolean }
  | { readonly kind: 'serving'; readonly name: string; readonly pid: number; readonly isRestart: boolean }
  /** `restartMs` undefined: it stays dead. `code`: of what it said itself. */
  | {
      readonly kind: 'died';
      readonly name: string;
      readonly pid: number;
      readonly why: string;
      readonly code?: ErrorCode;
      readonly restartMs: number | undefined;
    }
  | { readonly kind: 'killed'; readonly name: string; readonly pid: number }
  /** `trouble` undefined: it is over. */
  | { readonly kind: 'log-trouble'; readonly name: string; readonly trouble: string | undefined };

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

  /** Starts all. Each is started again when it ends, also before it ever served, unless no restart is wanted. */
  start(): void {
    for (const program of this.#programs) program.start();
  }

  /** Asks them to stop, group after group, and kills who does not within `stopTimeoutMs`. Idempotent. */
  async stop(): Promise<void> {
    for (const program of this.#programs) program.stopRestarting();
    // Whoever ended this process may have asked the others too: they wait for their turn then.
    for (const program of this.#programs) program.announceStop();
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
  /** What the process that runs now has told of its failure. */
  #told: KvError | undefined;
  #timer: Timer | undefined;
  #isStopping = false;
  readonly #exitWaiters: (() => void)[] = [];

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
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
    };
  }

  start(): void {
    this.#spawn(false);
  }

  stopRestarting(): void {
    this.#isStopping = true;
    if (this.#state !== 'waiting') return;
    this.#timer?.cancel();
    this.#state = 'stopped';
  }

  announceStop(): void {
    this.#child?.send({ kind: 'stopping' });
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
    this.#told = undefined;
    const child = this.#options.spawn(this.#program, {
      onMessage: (message) => this.#onMessage(message, isRestart),
      onLogTrouble: (trouble) => this.#options.onEvent({ kind: 'log-trouble', name: this.#program.name, trouble }),
      onExit: (exit) => this.#onExit(exit),
    });
    this.#child = child;
    this.#timer = this.#options.clock.after(supervision.startTimeoutMs, () => this.#onStartTimeout());
    this.#options.onEvent({ kind: 'started', name: this.#program.name, pid: child.pid, isRestart });
  }

  #onMessage(message: NodeMessage, isRestart: boolean): void {
    if (message.kind === 'failed') {
      this.#told = new KvError(message.code, message.message);
      return;
    }
    this.#timer?.cancel();
    this.#serves = message.serves;
    if (this.#state === 'starting') this.#state = 'serving';
    this.#failure = undefined;
    this.#servingSince = this.#options.clock.now();
    this.#options.onEvent({ kind: 'serving', name: this.#program.name, pid: this.#child?.pid ?? 0, isRestart });
  }

  #onStartTimeout(): void {
    this.#told = new KvError(
      'timeout',
      `it does not serve after ${supervision.startTimeoutMs} ms; its log: ${this.#program.log}`,
    );
    this.#child?.kill('SIGKILL');
  }

  #onExit(exit: Exit): void {
    const pid = this.#child?.pid ?? 0;
    const servedMs = this.#state === 'serving' ? this.#options.clock.now() - this.#servingSince : 0;
    const why = this.#told?.message ?? describeExit(exit);
    this.#failure = this.#told ?? new KvError('internal', `it ended ${why}; its log: ${this.#program.log}`);
    this.#timer?.cancel();
    this.#child = undefined;
    for (const resolve of this.#exitWaiters.splice(0)) resolve();
    const restartMs = this.#nextState(servedMs);
    if (this.#state === 'stopped') return;
    const { name } = this.#program;
    const code = this.#told?.code;
    this.#options.onEvent({ kind: 'died', name, pid, why, restartMs, ...(code === undefined ? {} : { code }) });
  }

  /** The pause before the next start, if there is one. */
  #nextState(servedMs: number): number | undefined {
    if (this.#isStopping) {
      this.#state = 'stopped';
      return undefined;
    }
    if (!this.#options.restart) {
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
  if (exit.reason !== undefined) return exit.reason;
  return exit.signal === null ? `with exit code ${exit.code ?? 'unknown'}` : `by signal ${exit.signal}`;
}
