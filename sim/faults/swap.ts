/**
 * Members that swap places: two loggers, or two gateways, exchange their machines. With `disks` the folders alone move,
 * so that each runs under the other's number; with `places` the numbers move along, so that each is at the other's
 * address. Who connected to the one, or is still about to, reaches the other (S16).
 */
import { below } from '../../src/env/random.ts';
import { pick } from '../pick.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface SwapPlan {
  readonly kind: 'swap';
  readonly atMs: number;
  /** Two nodes of one kind; the same one twice: nothing happens. */
  readonly from: string;
  readonly to: string;
  readonly what: 'disks' | 'places';
  readonly downMs: number;
  /** Time for which what is sent to them is held back: it was meant for whom it does not reach. 0: none is. */
  readonly heldMs: number;
}

class Swaps implements FaultActor<SwapPlan> {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject({ from, to, what, downMs, heldMs }: SwapPlan): void {
    if (from === to) return;
    const stage = this.#stage;
    const [one, other] = [stage.node(from), stage.node(to)];
    if (heldMs > 0) this.#hold([from, to], heldMs);
    stage.coverage.count('members swapped');
    // Whoever stands still or is down swaps as well.
    stage.kill(one, 'process', downMs);
    stage.kill(other, 'process', downMs);
    one.exchange(other, what);
  }

  #hold(nodes: readonly string[], forMs: number): void {
    const { network, hosts } = this.#stage;
    const others = hosts.filter((host) => !nodes.includes(host));
    for (const node of nodes) for (const other of others) network.block(other, node);
    this.#stage.later(forMs, () => {
      for (const node of nodes) for (const other of others) network.unblock(other, node);
    });
  }
}

export const swap: FaultRow<SwapPlan> = {
  actor: Swaps,
  draw(random, { cast, atMs, downMs }) {
    const sort = pick(random, [cast.loggers, cast.loggers, cast.gateways]);
    const from = pick(random, sort);
    const others = sort.filter((host) => host !== from);
    const to = others.length === 0 ? from : pick(random, others);
    const what = pick(random, ['disks', 'places'] as const);
    const heldMs = below(random, 2) === 0 ? 0 : downMs + below(random, 300);
    return { kind: 'swap', atMs, from, to, what, downMs, heldMs };
  },
};
