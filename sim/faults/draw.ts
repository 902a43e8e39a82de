/** Faults of a life, drawn within the budget. */
import { below } from '../../src/env/random.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { budget } from '../budget.ts';
import { pick } from '../pick.ts';
import type { Fault } from '../plan.ts';
import type { Cast, Sketch } from './actor.ts';
import type { FaultKind } from './table.ts';
import { faultTable } from './table.ts';

/** Relative frequencies. */
export type FaultWeights = Readonly<Partial<Record<FaultKind, number>>>;

// The keys of a literal are all that it has.
const kinds = Object.keys(faultTable) as FaultKind[];

/**
 * Faults of one life, by time: all begin within `windowMs` of the workload's start. `wanted`: absent, each life prefers
 * kinds of its own.
 */
export function drawFaults(
  random: SimulatedRandom,
  cast: Cast,
  windowMs: number,
  wanted?: FaultWeights,
): readonly Fault[] {
  if (below(random, budget.calmOneIn) === 0) return [];
  const drawn = drawWeights(random);
  const weights = wanted === undefined ? drawn : new Map(kinds.map((kind) => [kind, wanted[kind] ?? 0]));
  const count = 1 + below(random, budget.faultsMax);
  const spanMs = Math.min(windowMs, pick(random, budget.spansMs));
  const fromMs = below(random, windowMs - spanMs + 1);
  const faults = Array.from({ length: count }, () => {
    const atMs = fromMs + below(random, spanMs);
    return drawFault(random, cast, pickKind(random, weights), atMs);
  });
  return faults.sort((a, b) => a.atMs - b.atMs);
}

function drawWeights(random: SimulatedRandom): ReadonlyMap<FaultKind, number> {
  const weights = new Map<FaultKind, number>(kinds.map((kind) => [kind, pick(random, budget.weights)]));
  if ([...weights.values()].every((weight) => weight === 0)) weights.set('kill', 1);
  return weights;
}

function pickKind(random: SimulatedRandom, weights: ReadonlyMap<FaultKind, number>): FaultKind {
  const sum = [...weights.values()].reduce((total, weight) => total + weight, 0);
  let at = below(random, sum);
  for (const [kind, weight] of weights) {
    if (at < weight) return kind;
    at -= weight;
  }
  return 'kill';
}

export function drawFault(random: SimulatedRandom, cast: Cast, kind: FaultKind, atMs: number): Fault {
  return faultTable[kind].draw(random, drawSketch(random, cast, atMs));
}

function drawSketch(random: SimulatedRandom, cast: Cast, atMs: number): Sketch {
  const nodes = [...cast.gateways, ...cast.loggers];
  const node = pick(random, nodes);
  const logger = pick(random, cast.loggers);
  const forMs = 1 + below(random, below(random, 3) === 0 ? budget.lastingMsMax : budget.lastingMs);
  const downMs = 1 + below(random, below(random, 3) === 0 ? budget.downMsMax : budget.downMs);
  const how = below(random, 2) === 0 ? 'process' : 'power';
  const from = pick(random, [...nodes, ...cast.clients]);
  const to = pick(
    random,
    nodes.filter((host) => host !== from),
  );
  return { cast, nodes, atMs, node, logger, forMs, downMs, how, from, to };
}
