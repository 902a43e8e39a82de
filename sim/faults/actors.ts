/**
 * The faults of one life at work: an actor for each row of the table, told of what happens in the cluster. What it does
 * not own: when a fault happens (life.ts), and nodes, which the cluster starts and stops.
 */
import type { Fate, MemoryRequest } from '../../src/coordinator/memory/memory.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import type { SimulatedNode } from '../node.ts';
import type { Fault } from '../plan.ts';
import type { ActorClass, FaultActor, Site, Stage } from './actor.ts';
import { faultTable } from './table.ts';

export class FaultActors {
  readonly #stage: Stage;
  /** In the table's order. */
  readonly #actors = new Map<ActorClass<Fault>, FaultActor<Fault>>();

  constructor(stage: Stage) {
    this.#stage = stage;
    for (const { actor } of Object.values(faultTable))
      if (!this.#actors.has(actor)) this.#actors.set(actor, new actor(stage));
  }

  inject(fault: Fault): void {
    const { kind, atMs: _atMs, ...fields } = fault;
    this.#stage.transcript.note(
      'fault',
      kind,
      Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)])),
    );
    this.#actors.get(faultTable[kind].actor)?.inject(fault);
  }

  get traces(): readonly ShardTrace[] {
    return [...this.#actors.values()].flatMap(({ trace }) => (trace === undefined ? [] : [trace]));
  }

  started(node: SimulatedNode): void {
    for (const actor of this.#actors.values()) actor.started?.(node);
  }

  killed(node: SimulatedNode): void {
    for (const actor of this.#actors.values()) actor.killed?.(node);
  }

  reached(node: SimulatedNode, site: Site): void {
    for (const actor of this.#actors.values()) actor.reached?.(node, site);
  }

  syncFailed(node: SimulatedNode): void {
    for (const actor of this.#actors.values()) actor.syncFailed?.(node);
  }

  /** Fate by the first actor that has a say. */
  fate(request: MemoryRequest, random: SimulatedRandom, delayMs: () => number): Fate | undefined {
    for (const actor of this.#actors.values()) {
      const fate = actor.fate?.(request, random, delayMs);
      if (fate !== undefined) return fate;
    }
    return undefined;
  }

  newsDelayMs(client: string): number {
    let longestMs = 0;
    for (const actor of this.#actors.values()) longestMs = Math.max(longestMs, actor.newsDelayMs?.(client) ?? 0);
    return longestMs;
  }

  heal(): void {
    for (const actor of this.#actors.values()) actor.heal?.();
  }

  healNode(node: SimulatedNode): void {
    for (const actor of this.#actors.values()) actor.healNode?.(node);
  }
}
