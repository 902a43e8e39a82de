/** Gateways that end for good: nobody starts them again, also when everything is healed. One of a cluster stays. */
import type { FaultActor, FaultRow, HowKilled, Stage } from './actor.ts';
import { pick } from '../pick.ts';

export interface GonePlan {
  readonly kind: 'gone';
  readonly atMs: number;
  readonly node: string;
  readonly how: HowKilled;
}

class Departures implements FaultActor<GonePlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, how }: GonePlan): void {
    const stage = this.#stage;
    const node = stage.node(host);
    const others = stage.everyNode.filter(
      (other) => other.kind === 'gateway' && !other.isReplacement && !other.isGone && other !== node,
    );
    if (node.isGone || others.length === 0) return;
    stage.coverage.count('gateway gone for good');
    node.isGone = true;
    stage.kill(node, how, 0);
  }
}

export const gone: FaultRow<GonePlan> = {
  actor: Departures,
  draw: (random, { cast, atMs, how }) => ({ kind: 'gone', atMs, node: pick(random, cast.gateways), how }),
};
