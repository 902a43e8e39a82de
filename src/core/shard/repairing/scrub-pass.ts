/**
 * Order in which a scrub reads: every listed copy of every zone that ended, zone by zone, round from one that goes by
 * the epoch, so that also a shard that changes hands often is read everywhere in time. Pure, of the metadata: zones
 * that end meanwhile come along, copies that are listed no more do not.
 *
 * It owns the place in the round. It does not own the reading, nor when another round begins (scrubber.ts).
 */
import type { Uuid } from '../../../base/ids.ts';
import type { SealedZone } from '../head/metadata.ts';

/** A listed copy. */
export interface ListedCopy {
  readonly zone: SealedZone;
  readonly logger: Uuid;
}

export class ScrubPass {
  /** Id of the zone with which the round began. */
  readonly #first: number;
  /** Id of the zone where the round is; loggers whose copies of it had their turn. */
  #at: number;
  readonly #seen = new Set<Uuid>();
  #isRound = false;

  /** `start`: any natural number; the zones are sorted by id. */
  constructor(zones: readonly SealedZone[], start: number) {
    this.#first = zones[start % Math.max(1, zones.length)]?.zone ?? 0;
    this.#at = this.#first;
  }

  /** The next copy; undefined: all had their turn. */
  next(zones: readonly SealedZone[]): ListedCopy | undefined {
    for (const zone of zones) {
      const copy = zone.zone < this.#at || this.#isBehind(zone) ? undefined : this.#copyOf(zone);
      if (copy !== undefined) return copy;
    }
    if (this.#isRound) return undefined;
    this.#isRound = true;
    this.#enter(0);
    return this.next(zones);
  }

  /** It had its turn before the round came to the oldest zone. */
  #isBehind({ zone }: SealedZone): boolean {
    return this.#isRound && zone >= this.#first;
  }

  #copyOf(zone: SealedZone): ListedCopy | undefined {
    if (zone.length === 0) return undefined;
    if (zone.zone !== this.#at) this.#enter(zone.zone);
    const logger = zone.replicas.find((one) => !this.#seen.has(one));
    if (logger === undefined) return undefined;
    this.#seen.add(logger);
    return { zone, logger };
  }

  #enter(zone: number): void {
    this.#at = zone;
    this.#seen.clear();
  }
}
