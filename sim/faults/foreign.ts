/**
 * Two clusters on one network: while a node is down, a member of another cluster listens at its address; when it is
 * back, that other cluster still takes the address for its own (S16). Nothing crosses: not a write, a read, an append,
 * a catch-up.
 */
import type { FaultActor, FaultRow, OtherCluster, Stage } from './actor.ts';

export interface ForeignPlan {
  readonly kind: 'foreign';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
}

/** Time that the other cluster has had to come up, at least. */
const settlingMs = 100;
/** Time between the other one's end and the return of the node. */
const gapMs = 1;

class Foreigners implements FaultActor<ForeignPlan> {
  readonly #stage: Stage;
  #cluster: OtherCluster | undefined;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, forMs }: ForeignPlan): void {
    const stage = this.#stage;
    const node = stage.node(host);
    stage.kill(node, 'process', settlingMs + forMs + gapMs);
    const cluster = (this.#cluster ??= stage.newOtherCluster());
    stage.later(settlingMs, () => {
      if (node.process !== undefined) return;
      const moveOut = cluster.moveTo(host, node.kind);
      if (moveOut === undefined) return;
      stage.coverage.count('member of another cluster at an address');
      stage.later(forMs, moveOut);
    });
  }

  /** The cluster that is tested goes on alone. */
  heal(): void {
    this.#cluster?.end();
  }
}

export const foreign: FaultRow<ForeignPlan> = {
  actor: Foreigners,
  draw: (_random, { atMs, node, forMs }) => ({ kind: 'foreign', atMs, node, forMs }),
};
