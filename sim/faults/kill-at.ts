/**
 * Nodes that die in the middle of what matters: at the transaction or the sync that a plan counts, between two writes,
 * or when their answer to a Fill has arrived (S19).
 */
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import { below } from '../../src/env/random.ts';
import type { SimulatedNode } from '../node.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, HowKilled, Site, Stage } from './actor.ts';

/** The node dies at its `count`th transaction, sync or write from then on, or answered Fill. */
export interface KillAtPlan {
  readonly kind: 'kill-at';
  readonly atMs: number;
  readonly node: string;
  readonly how: HowKilled;
  readonly downMs: number;
  readonly site: Site | 'filled';
  readonly count: number;
  /** Hosts that lose power with it. */
  readonly others: readonly string[];
}

/** Time after the turn in which the count is reached, at most: the node dies before the answer, or behind it. */
const afterMsMax = 2;

class Dooms implements FaultActor<KillAtPlan> {
  readonly #stage: Stage;
  readonly #dooms = new Map<SimulatedNode, { readonly fault: KillAtPlan; left: number }>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Tells when a logger's answer to a Fill has arrived. */
  get trace(): ShardTrace {
    return {
      before: (_shard, event) => {
        if (event.event !== 'filled' || event.answer.kind !== 'filled') return;
        const node = this.#stage.everyNode.find(({ logger }) => logger?.uuid === event.logger);
        if (node !== undefined) this.reached(node, 'filled');
      },
      after: () => undefined,
    };
  }

  inject(fault: KillAtPlan): void {
    this.#dooms.set(this.#stage.node(fault.node), { fault, left: fault.count });
  }

  reached(node: SimulatedNode, site: KillAtPlan['site']): void {
    const doom = this.#dooms.get(node);
    if (doom === undefined || doom.fault.site !== site) return;
    doom.left -= 1;
    if (doom.left > 0) return;
    this.#dooms.delete(node);
    const { how, downMs, others } = doom.fault;
    const stage = this.#stage;
    if (site === 'write' && how === 'power') {
      // What is written from here on, in this turn too, the disk never gets.
      node.disk.cutOff();
      stage.coverage.count('power lost between two writes');
    }
    stage.later(site === 'write' ? 0 : stage.random.fraction() * afterMsMax, () => {
      stage.kill(node, how, downMs);
      for (const other of others) if (other !== node.host) stage.kill(stage.node(other), 'power', downMs);
    });
  }

  killed(node: SimulatedNode): void {
    this.#dooms.delete(node);
  }

  heal(): void {
    this.#dooms.clear();
    for (const node of this.#stage.everyNode) if (node.disk.isCutOff) this.#stage.kill(node, 'power', 1);
  }
}

export const killAt: FaultRow<KillAtPlan> = {
  actor: Dooms,
  draw(random, { cast, nodes, atMs, logger, how, downMs }) {
    const site = pick(random, ['transact', 'sync', 'write'] as const);
    return {
      kind: 'kill-at',
      atMs,
      node: site === 'transact' ? pick(random, cast.gateways) : logger,
      how,
      downMs,
      site,
      count: 1 + below(random, site === 'write' ? 40 : 6),
      others: pick(random, [[], [], cast.loggers, nodes]),
    };
  },
  without: (fault, host) => ({ ...fault, others: fault.others.filter((name) => name !== host) }),
};
