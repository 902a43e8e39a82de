/**
 * Bound of the time for which a shard has no owner (promise 3): where gateways end for good and nothing else goes
 * wrong, another one follows within the suspicion time and what a take-over takes.
 */
import { times } from '../../src/base/times.ts';
import type { Plan } from '../plan.ts';
import { Violation } from './violation.ts';

/** Time that a claim, the seals and a tail take at most, with the slowest network and disks that are drawn. */
const takeOverMsMax = 500;

/** Time in which gateways that start have met: one that was not met may be starting. */
const metMs = 500;

/**
 * Watch of a life; undefined: the bound is not promised there, since something else goes wrong, or owners change all
 * the time and are followed later (core/ownership).
 */
export function pausesOf({ faults, cluster, workload }: Watched): Pauses | undefined {
  const isUsual = faults.every(({ kind, atMs }) => kind === 'gone' && atMs >= metMs) && workload.moveEveryMs === 0;
  if (!isUsual || faults.length === 0) return undefined;
  return new Pauses(cluster.suspicionMostMs + cluster.gateways * times.takeOverStepMs + takeOverMsMax);
}

type Watched = Pick<Plan, 'faults' | 'cluster' | 'workload'>;

export class Pauses {
  readonly #msMax: number;
  /** When all was served, or one more was gone, last; undefined: it never was. */
  #servedMs: number | undefined;
  #gone = 0;

  constructor(msMax: number) {
    this.#msMax = msMax;
  }

  /**
   * Called often, with whether each shard has an owner and how many gateways are gone: each that goes while the shards
   * of another wait has a time of its own. @throws Violation
   */
  look(nowMs: number, isServed: boolean, gone: number): void {
    if (isServed || (this.#servedMs !== undefined && gone > this.#gone)) this.#servedMs = nowMs;
    this.#gone = gone;
    const pauseMs = nowMs - (this.#servedMs ?? nowMs);
    if (pauseMs > this.#msMax)
      throw new Violation(
        `promise 3: a shard has no owner for ${Math.round(pauseMs)} ms, though only gateways are gone`,
      );
  }
}
