/**
 * Time for which a peer's silence is no suspicion: what its answers took lately, with a floor and a ceiling. A peer
 * that is always slow, since its machine is busy, is given the time that it needs.
 */
import { assert } from '../../base/assert.ts';

export interface PatienceSettings {
  /** Period of heartbeats, milliseconds. */
  readonly everyMs: number;
  /** Floor and ceiling of the patience, milliseconds. */
  readonly leastMs: number;
  readonly mostMs: number;
}

/** Round trips remembered: a few seconds of them. */
const remembered = 64;
/** An answer may take so many times as long as the slowest of the remembered ones. */
const factor = 4;

export class Patience {
  readonly #settings: PatienceSettings;
  readonly #roundTripsMs: number[] = [];
  #next = 0;

  /** REQUIRES: the floor is not above the ceiling. */
  constructor(settings: PatienceSettings) {
    assert(settings.leastMs <= settings.mostMs, 'the floor of a patience is not above its ceiling');
    this.#settings = settings;
  }

  /** A heartbeat was answered after so long. */
  measured(roundTripMs: number): void {
    this.#roundTripsMs[this.#next] = roundTripMs;
    this.#next = (this.#next + 1) % remembered;
  }

  get ms(): number {
    const { everyMs, leastMs, mostMs } = this.#settings;
    const slowestMs = Math.max(0, ...this.#roundTripsMs);
    return Math.min(mostMs, Math.max(leastMs, 2 * everyMs + factor * slowestMs));
  }
}
