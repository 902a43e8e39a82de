/** Processes that stand still for a while, as in a long garbage collection, and do not know it. */
import type { SimulatedNode } from '../node.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface PausePlan {
  readonly kind: 'pause';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
}

/** Pauses the node's process, if it has one and is not paused. */
export function pauseFor(stage: Stage, { process }: SimulatedNode, forMs: number): void {
  if (process === undefined || process.gate.isPaused) return;
  process.gate.pause();
  stage.later(forMs, () => process.gate.resume());
}

class Pauses implements FaultActor<PausePlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node, forMs }: PausePlan): void {
    pauseFor(this.#stage, this.#stage.node(node), forMs);
  }

  healNode({ process }: SimulatedNode): void {
    process?.gate.resume();
  }
}

export const pause: FaultRow<PausePlan> = {
  actor: Pauses,
  draw: (_random, { atMs, node, forMs }) => ({ kind: 'pause', atMs, node, forMs }),
};
