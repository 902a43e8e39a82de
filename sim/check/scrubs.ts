/**
 * What the scrub promises: behind a round that met no damage every listed copy of the zones that ended is intact, also
 * of those that nobody reads. Told from the owners' status; the copies themselves are read by others (inspection.ts).
 */
import type { GatewayStatus } from '../../src/codec/node-status.ts';

interface Owner {
  readonly instance: string;
  readonly damaged: number;
  /** Rounds that its owner must have ended. */
  readonly passes: number;
}

export class CleanRounds {
  readonly #owners = new Map<number, Owner>();
  #read = '';
  #hasProgress = false;

  /** Whether a copy was read, or a round ended, between the last two calls. */
  get hasProgress(): boolean {
    return this.#hasProgress;
  }

  /** Whether each of `shards` shards has had such a round, all of it since the first call. */
  isEverywhere(shards: number, gateways: readonly GatewayStatus[]): boolean {
    let clean = 0;
    let read = '';
    for (const { instance, gateway, shards: lines } of gateways)
      for (const { shard, role, owner, scrub } of lines) {
        if (role !== 'owner' || owner !== gateway) continue;
        if (this.#isClean(shard, instance, scrub)) clean += 1;
        read += ` ${shard} ${instance} ${scrub.passes} ${scrub.checked}`;
      }
    this.#hasProgress = read !== this.#read;
    this.#read = read;
    return clean === shards;
  }

  #isClean(shard: number, instance: string, scrub: GatewayStatus['shards'][number]['scrub']): boolean {
    const { damaged, passes, underWay } = scrub;
    const before = this.#owners.get(shard);
    if (before?.instance === instance && before.damaged === damaged) return passes >= before.passes;
    // The round that is under way began before it met this.
    this.#owners.set(shard, { instance, damaged, passes: passes + (underWay ? 2 : 1) });
    return false;
  }
}
