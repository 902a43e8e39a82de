/**
 * Bound of the time for which a shard has no owner (promise 3): where gateways end for good and nothing else goes
 * wrong, another one follows within the suspicion time and what a take-over takes.
 */
import { times } from '../../src/base/times.ts';
import type { Plan } from '../plan.ts';
import { Violation } from './violation.ts';

/** Time that a claim, the seals and a tail take at most, with the slowest network and disks that are drawn. */
const takeOverMsMax = 500;

/** Watch of a life; undefined: something else goes wrong in it, and the bound is not promised. */
export function pausesOf({ faults, cluster }: Pick<Plan, 'faults' | 'cluster'>): Pauses | undefined {
  if (faults.length === 0 || faults.some(({ kind }) => kind !== 'gone')) return undefined;
  return new Pauses(cluster.suspicionMostMs + cluster.gateways * times.takeOverStepMs + takeOverMsMax);
}

export class Pauses {
  readonly #msMax: number;
  /** When all was served last; undefined: it never was. */
  #servedMs: number | undefined;

  constructor(msMax: number) {
    this.#msMax = msMax;
  }

  /** Called often, with whether each shard has an owner. @throws Violation */
  look(nowMs: number, isServed: boolean): void {
    if (isServed) this.#servedMs = nowMs;
    const pauseMs = nowMs - (this.#servedMs ?? nowMs);
    if (pauseMs > this.#msMax)
      throw new Violation(
        `promise 3: a shard has no owner for ${Math.round(pauseMs)} ms, though only gateways are gone`,
      );
  }
}
