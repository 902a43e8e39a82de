/**
 * An operator takes a gateway for dead and starts another in its place, on another machine, while the old one goes on
 * in its old belief.
 */
import { below } from '../../src/env/random.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';
import { isolateFor } from './isolate.ts';
import { pauseFor } from './pause.ts';

/**
 * The old gateway goes on (`alive`), is `paused`, cannot be reached (`isolated`) or hears nothing of the new one since
 * only the coordinator is out of its reach (`uninformed`), or is first paused and then uninformed (`stunned`): what its
 * clients asked meanwhile it answers in its old belief. The new one does not reach the loggers `unreached`. After
 * `forMs` the old machine's gateway is started again and the other one is the old one.
 */
export interface ReplacePlan {
  readonly kind: 'replace';
  readonly atMs: number;
  readonly node: string;
  readonly old: 'alive' | 'paused' | 'isolated' | 'uninformed' | 'stunned';
  readonly unreached: readonly string[];
  readonly forMs: number;
}

/** Part of the time for which one that is stunned stands still. */
const stunnedPart = 0.7;

class Replacing implements FaultActor<ReplacePlan> {
  readonly #stage: Stage;
  readonly #replaced: { readonly node: SimulatedNode; readonly other: SimulatedNode }[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ node: host, old, unreached, forMs }: ReplacePlan): void {
    const stage = this.#stage;
    const { network, coordinator } = stage;
    const node = stage.node(host);
    const other = stage.newReplacement(node);
    if (old === 'paused') pauseFor(stage, node, forMs);
    if (old === 'stunned') pauseFor(stage, node, forMs * stunnedPart);
    if (old === 'isolated') isolateFor(stage, host, forMs);
    if (old === 'uninformed' || old === 'stunned') {
      coordinator.cut(host);
      stage.later(forMs, () => coordinator.heal(host));
    }
    for (const logger of unreached) {
      network.partition(other.host, logger);
      stage.later(forMs, () => network.heal(other.host, logger));
    }
    stage.startReplacement(other);
    this.#replaced.push({ node, other });
    stage.later(forMs, () => {
      stage.kill(node, 'process', 1);
      stage.later(forMs, () => stage.kill(other, 'process', 1));
    });
  }

  /** The members' list names the replacements: whom they replaced start anew and enter themselves. */
  heal(): void {
    const stage = this.#stage;
    for (const { node, other } of this.#replaced) {
      stage.kill(other, 'process', 1);
      stage.kill(node, 'process', 1);
    }
  }
}

export const replace: FaultRow<ReplacePlan> = {
  actor: Replacing,
  draw(random, { cast, atMs }) {
    const unreached =
      below(random, 2) === 0 ? [] : cast.loggers.filter(() => below(random, 2) === 0).slice(0, cast.loggers.length - 1);
    const old = pick(random, ['alive', 'paused', 'isolated', 'uninformed', 'stunned', 'stunned'] as const);
    const node = pick(random, cast.gateways);
    return { kind: 'replace', atMs, node, old, unreached, forMs: 300 + below(random, 2_000) };
  },
  without: (fault, host) => ({ ...fault, unreached: fault.unreached.filter((name) => name !== host) }),
};
