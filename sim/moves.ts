/**
 * Ownership that moves all the time: gateways ask owners for their shards, though everybody serves well. No client may
 * notice it.
 */
import { shardId } from '../src/base/ids.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { SimulatedCluster } from './cluster.ts';
import { pick } from './pick.ts';

/**
 * Moves of one life, asked for: each leaves a zone behind. Nothing gives zones back yet (S13), and a logger has room
 * for some 150 of the smallest: a long life would fill it with moves alone.
 */
const movesMax = 100;

export class Moves {
  readonly #cluster: SimulatedCluster;
  readonly #everyMs: number;
  readonly #random: SimulatedRandom;
  #left = movesMax;

  /** `everyMs`: pause between two questions. */
  constructor(cluster: SimulatedCluster, everyMs: number, random: SimulatedRandom) {
    this.#cluster = cluster;
    this.#everyMs = everyMs;
    this.#random = random;
  }

  start(): void {
    this.#cluster.clock.after(this.#everyMs, () => {
      if (this.#left === 0) return;
      this.#left -= 1;
      this.#ask();
      this.start();
    });
  }

  stop(): void {
    this.#left = 0;
  }

  #ask(): void {
    const gateways = this.#cluster.nodes.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]));
    if (gateways.length === 0) return;
    const gateway = pick(this.#random, gateways);
    const standsBy = gateway.status().shards.filter(({ role }) => role === 'follower');
    if (standsBy.length > 0) gateway.move(shardId(pick(this.#random, standsBy).shard));
  }
}
