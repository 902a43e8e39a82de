/** Wall clocks that are set to another time. */
import { below } from '../../src/env/random.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface ClockJumpPlan {
  readonly kind: 'clock-jump';
  readonly atMs: number;
  readonly node: string;
  /** Forwards, or backwards when negative. */
  readonly byMs: number;
}

const byMsMax = 3_600_000;

/** Actor without healing: no time is the right one, and a process that starts has its plan's offset again. */
class ClockJumps implements FaultActor<ClockJumpPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node, byMs }: ClockJumpPlan): void {
    const { process } = this.#stage.node(node);
    if (process !== undefined) process.clock.wallOffsetMs += byMs;
  }
}

export const clockJump: FaultRow<ClockJumpPlan> = {
  actor: ClockJumps,
  draw: (random, { atMs, node }) => ({
    kind: 'clock-jump',
    atMs,
    node,
    byMs: (below(random, 2) === 0 ? -1 : 1) * below(random, byMsMax),
  }),
};
