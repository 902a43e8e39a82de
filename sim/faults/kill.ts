/** Processes that are killed and machines that lose power, one or many at the same instant. */
import { below } from '../../src/env/random.ts';
import type { FaultActor, FaultRow, HowKilled, Stage } from './actor.ts';

export interface KillPlan {
  readonly kind: 'kill';
  readonly atMs: number;
  readonly node: string;
  readonly how: HowKilled;
  readonly downMs: number;
}

/** Every logger, or every node, at the same instant: a rack loses power. */
export interface BlackoutPlan {
  readonly kind: 'blackout';
  readonly atMs: number;
  readonly nodes: readonly string[];
  readonly downMs: number;
}

class Kills implements FaultActor<KillPlan | BlackoutPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: KillPlan | BlackoutPlan): void {
    const stage = this.#stage;
    if (fault.kind === 'kill') stage.kill(stage.node(fault.node), fault.how, fault.downMs);
    else for (const host of fault.nodes) stage.kill(stage.node(host), 'power', fault.downMs);
  }
}

export const kill: FaultRow<KillPlan> = {
  actor: Kills,
  draw: (_random, { atMs, node, how, downMs }) => ({ kind: 'kill', atMs, node, how, downMs }),
};

export const blackout: FaultRow<BlackoutPlan> = {
  actor: Kills,
  draw: (random, { cast, nodes, atMs, downMs }) => ({
    kind: 'blackout',
    atMs,
    nodes: below(random, 2) === 0 ? cast.loggers : nodes,
    downMs,
  }),
  without: (fault, host) => ({ ...fault, nodes: fault.nodes.filter((name) => name !== host) }),
};
