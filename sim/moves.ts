/**
 * Ownership that moves all the time: gateways ask owners for their shards, though everybody serves well. No client may
 * notice it.
 */
import { shardId } from '../src/base/ids.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { SimulatedCluster } from './cluster.ts';
import { pick } from './pick.ts';

export class Moves {
  readonly #cluster: SimulatedCluster;
  readonly #everyMs: number;
  readonly #random: SimulatedRandom;
  #isOver = false;

  /** `everyMs`: pause between two questions. */
  constructor(cluster: SimulatedCluster, everyMs: number, random: SimulatedRandom) {
    this.#cluster = cluster;
    this.#everyMs = everyMs;
    this.#random = random;
  }

  start(): void {
    this.#cluster.clock.after(this.#everyMs, () => {
      if (this.#isOver) return;
      this.#ask();
      this.start();
    });
  }

  stop(): void {
    this.#isOver = true;
  }

  #ask(): void {
    const gateways = this.#cluster.nodes.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]));
    if (gateways.length === 0) return;
    const gateway = pick(this.#random, gateways);
    const standsBy = gateway.status().shards.filter(({ role }) => role === 'follower');
    if (standsBy.length > 0) gateway.move(shardId(pick(this.#random, standsBy).shard));
  }
}
