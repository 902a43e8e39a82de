/** A gateway hands over what it owns, ends, and is started again: an orderly stop. */
import { below } from '../../src/env/random.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface LeavePlan {
  readonly kind: 'leave';
  readonly atMs: number;
  readonly node: string;
  readonly downMs: number;
}

class Leaving implements FaultActor<LeavePlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, downMs }: LeavePlan): void {
    const stage = this.#stage;
    const node = stage.node(host);
    const { gateway } = node;
    if (gateway === undefined || node.isGone) return;
    void gateway.leave().then(() => {
      if (node.gateway !== gateway) return;
      const owns = gateway.status().shards.some(({ role }) => role === 'owner');
      stage.coverage.count(owns ? 'gateway left with shards' : 'gateway left without shards');
      stage.kill(node, 'process', downMs);
    });
  }
}

export const leave: FaultRow<LeavePlan> = {
  actor: Leaving,
  draw: (random, { cast, atMs }) => {
    return { kind: 'leave', atMs, node: pick(random, cast.gateways), downMs: 10 + below(random, 500) };
  },
};
