/** Nodes that all others lose at once: nobody reaches them, or they take no connections. */
import type { SimulatedNode } from '../node.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

/**
 * A node that nothing passes to or from, the coordinator included (`isolate`); or that refuses connections (`refuse`).
 */
export interface IsolatePlan {
  readonly kind: 'isolate' | 'refuse';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
}

/** Takes `host` away from all hosts that are there now, and from the coordinator. */
export function isolateFor(stage: Stage, host: string, forMs: number): void {
  const { network, coordinator } = stage;
  const others = stage.hosts.filter((other) => other !== host);
  for (const other of others) network.partition(host, other);
  coordinator.cut(host);
  stage.later(forMs, () => {
    for (const other of others) network.heal(host, other);
    coordinator.heal(host);
  });
}

/** The cluster opens all paths when everything is healed. */
class Isolations implements FaultActor<IsolatePlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ kind, node, forMs }: IsolatePlan): void {
    const { network } = this.#stage;
    if (kind === 'isolate') {
      isolateFor(this.#stage, node, forMs);
    } else {
      network.refuse(node);
      network.cut(node);
      this.#stage.later(forMs, () => network.refuse(node, false));
    }
  }

  healNode({ host }: SimulatedNode): void {
    this.#stage.network.refuse(host, false);
  }
}

export const isolate: FaultRow<IsolatePlan> = {
  actor: Isolations,
  draw: (_random, { atMs, node, forMs }) => ({ kind: 'isolate', atMs, node, forMs }),
};

export const refuse: FaultRow<IsolatePlan> = {
  actor: Isolations,
  draw: (_random, { atMs, node, forMs }) => ({ kind: 'refuse', atMs, node, forMs }),
};
