/**
 * What must serve before `up` is of use: one gateway and one logger. A process that can't is said and tried again; the
 * others don't wait for it.
 */
import { KvError } from '../base/errors.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { ProgramStatus } from './supervisor.ts';

/** Time that a process may still take to start when one gateway and one logger serve already. */
const lateStartMs = 10_000;

export type Start =
  /** Nothing is known yet of `pending`; `isUsable` without them. */
  | { readonly kind: 'pending'; readonly isUsable: boolean }
  | { readonly kind: 'usable' }
  | { readonly kind: 'useless'; readonly error: KvError };

/** Where the first start of all stands. Each of `statuses` is a gateway or a logger. */
export function startOf(statuses: readonly ProgramStatus[]): Start {
  const [gateways, loggers] = ['gateway', 'logger'].map((kind) => statuses.filter(({ name }) => name.startsWith(kind)));
  for (const nodes of [loggers ?? [], gateways ?? []]) {
    const failed = nodes.find(({ failure }) => failure !== undefined);
    if (failed?.failure !== undefined && nodes.every((node) => !isPending(node) && node.state !== 'serving'))
      return { kind: 'useless', error: new KvError(failed.failure.code, `${failed.name}: ${failed.failure.message}`) };
  }
  const isUsable = [gateways, loggers].every((nodes) => nodes?.some(({ state }) => state === 'serving'));
  if (statuses.some(isPending)) return { kind: 'pending', isUsable };
  return { kind: 'usable' };
}

/** It may serve any moment, and never failed. */
function isPending({ state, failure }: ProgramStatus): boolean {
  return state === 'starting' && failure === undefined;
}

/** The first start of all, until it is known what serves. */
export class FirstStart {
  /** Resolves when something is of use, and the rest had its time. @throws KvError why nothing will be */
  readonly over: Promise<void>;
  readonly #clock: Clock;
  readonly #statuses: () => readonly ProgramStatus[];
  #resolve: () => void = () => undefined;
  #reject: (error: KvError) => void = () => undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, statuses: () => readonly ProgramStatus[]) {
    this.#clock = clock;
    this.#statuses = statuses;
    this.over = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Nobody waits any more when it was asked to stop meanwhile.
    this.over.catch(() => undefined);
  }

  /** Something happened. */
  look(): void {
    const start = startOf(this.#statuses());
    if (start.kind === 'usable') this.#resolve();
    else if (start.kind === 'useless') this.#reject(start.error);
    else if (start.isUsable) this.#timer ??= this.#clock.after(lateStartMs, () => this.#resolve());
  }
}
