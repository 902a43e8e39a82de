/** Requests to the coordinator that are lost or late, with their answers, and news of it that are. */
import type { Fate, MemoryRequest } from '../../src/coordinator/memory/memory.ts';
import { below } from '../../src/env/random.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { budget } from '../budget.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

/** Requests of all processes are delayed, or lost on the way there or back, with these probabilities. */
export interface CoordinatorPlan {
  readonly kind: 'coordinator';
  readonly atMs: number;
  readonly forMs: number;
  /** Delay one way, at most. */
  readonly delayMs: number;
  readonly requestLost: number;
  readonly answerLost: number;
  readonly timeoutMs: number;
  /**
   * Interval at which the coordinator takes what has arrived, all at once, so that rivals are neck and neck (0: at any
   * time).
   */
  readonly everyMs: number;
}

/** Requests of one process are refused, and it hears nothing. */
export interface CoordinatorCutPlan {
  readonly kind: 'coordinator-cut';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
}

/**
 * Requests of one process arrive in time, but their answers come late: what it reads, after `answerMs`; news, at the
 * end. So it acts on what was true once.
 */
export interface CoordinatorLatePlan {
  readonly kind: 'coordinator-late';
  readonly atMs: number;
  readonly node: string;
  readonly forMs: number;
  readonly answerMs: number;
}

type AnyPlan = CoordinatorPlan | CoordinatorCutPlan | CoordinatorLatePlan;

class CoordinatorFaults implements FaultActor<AnyPlan> {
  readonly #stage: Stage;
  #weather: CoordinatorPlan | undefined;
  /** Processes that hear late, by host. */
  readonly #late = new Map<string, { readonly untilMs: number; readonly answerMs: number }>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: AnyPlan): void {
    const stage = this.#stage;
    if (fault.kind === 'coordinator') {
      this.#weather = fault;
      stage.later(fault.forMs, () => {
        if (this.#weather === fault) this.#weather = undefined;
      });
    } else if (fault.kind === 'coordinator-cut') {
      stage.coordinator.cut(fault.node);
      stage.later(fault.forMs, () => stage.coordinator.heal(fault.node));
    } else {
      this.#late.set(fault.node, { untilMs: stage.clock.now() + fault.forMs, answerMs: fault.answerMs });
    }
  }

  newsDelayMs(client: string): number {
    return (this.#late.get(client)?.untilMs ?? 0) - this.#stage.clock.now();
  }

  fate({ client, kind }: MemoryRequest, random: SimulatedRandom, delayMs: () => number): Fate | undefined {
    const late = this.#late.get(client);
    if (late !== undefined && kind !== 'transact' && this.#stage.clock.now() < late.untilMs)
      return { kind: 'sent', requestDelayMs: delayMs(), answerDelayMs: late.answerMs };
    // The simulator's own requests fare well.
    const weather = client.startsWith('check') || client === 'bootstrap' ? undefined : this.#weather;
    if (weather === undefined) return undefined;
    const slowMs = (): number => delayMs() + random.fraction() * weather.delayMs;
    const requestDelayMs = random.chance(weather.requestLost) ? 'lost' : this.#toNextMs(weather, slowMs());
    const answerDelayMs = random.chance(weather.answerLost) ? 'lost' : slowMs();
    if (kind === 'transact' && (requestDelayMs === 'lost' || answerDelayMs === 'lost'))
      this.#stage.coverage.count('coordinator unknown');
    return { kind: 'sent', requestDelayMs, answerDelayMs, timeoutMs: weather.timeoutMs };
  }

  #toNextMs({ everyMs }: CoordinatorPlan, delayMs: number): number {
    return everyMs === 0 ? delayMs : delayMs + everyMs - ((this.#stage.clock.now() + delayMs) % everyMs);
  }

  heal(): void {
    this.#weather = undefined;
    this.#late.clear();
  }

  healNode({ host }: SimulatedNode): void {
    this.#stage.coordinator.heal(host);
  }
}

export const coordinator: FaultRow<CoordinatorPlan> = {
  actor: CoordinatorFaults,
  draw(random, { atMs }) {
    const most = (): number => (below(random, 2) === 0 ? 0 : random.fraction() * 0.6);
    return {
      kind: 'coordinator',
      atMs,
      forMs: 200 + below(random, budget.lastingMsMax),
      delayMs: below(random, 1 + below(random, 400)),
      requestLost: most(),
      answerLost: most(),
      timeoutMs: 5 + below(random, 300),
      everyMs: pick(random, [0, 0, 0, 20]),
    };
  },
};

export const coordinatorCut: FaultRow<CoordinatorCutPlan> = {
  actor: CoordinatorFaults,
  draw: (_random, { atMs, node, forMs }) => ({ kind: 'coordinator-cut', atMs, node, forMs }),
};

export const coordinatorLate: FaultRow<CoordinatorLatePlan> = {
  actor: CoordinatorFaults,
  draw: (random, { cast, atMs, forMs }) => ({
    kind: 'coordinator-late',
    atMs,
    node: pick(random, cast.gateways),
    forMs,
    answerMs: below(random, forMs),
  }),
};
