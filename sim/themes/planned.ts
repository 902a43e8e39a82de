/**
 * Lives made for what an operator does with loggers (S9, S10): more loggers than zones have replicas, all of which but
 * one, at most, last; and a patience with those that are away that outlasts the life, so that nothing but the word
 * helps.
 *
 *   lost and dark   a logger never returns, and everything else loses power before anybody has said so
 *   lost            a logger never returns, and gateways or other loggers restart
 *   drained         a logger drains and is removed, or stays after all, while others restart or are cut off
 */
import { below } from '../../src/env/random.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import type { Cast } from '../faults/actor.ts';
import { drawFault } from '../faults/draw.ts';
import { pick } from '../pick.ts';
import type { ClusterPlan, Fault, Theme } from '../plan.ts';

export const planned: Theme = {
  name: 'planned',
  draw: (random) => ({ cluster: drawCluster(random) }),
  drawFaults,
};

const dayMs = 24 * 60 * 60 * 1_000;

function drawCluster(random: SimulatedRandom): Partial<ClusterPlan> {
  const loggers = pick(random, [3, 3, 4]);
  return {
    gateways: pick(random, [1, 2, 2]),
    loggers,
    replicas: pick(random, [2, 2, loggers - 1]),
    minReplicas: 1,
    shards: pick(random, [1, 2]),
    firstHandWaitMs: pick(random, [0, dayMs]),
    repairDelayMs: dayMs,
    regrowDelayMs: pick(random, [20, 300]),
  };
}

/** Time before the first fault, in which all shards are taken. */
const calmMs = 300;

function drawFaults(random: SimulatedRandom, cast: Cast, windowMs: number): readonly Fault[] {
  const atMs = calmMs + below(random, Math.max(1, windowMs - 2 * calmMs));
  const first = pick(random, [lostAndDark, lost, drained, drained])(random, cast, atMs);
  const others = Array.from({ length: below(random, 4) }, () => {
    const kind = pick(random, ['kill', 'kill', 'cut', 'pause', 'leave', 'fail-sync'] as const);
    return drawFault(random, cast, kind, calmMs + below(random, windowMs));
  });
  return [...first, ...others].sort((a, b) => a.atMs - b.atMs);
}

function lostAndDark(random: SimulatedRandom, cast: Cast, atMs: number): Fault[] {
  const node = pick(random, cast.loggers);
  const others = [...cast.gateways, ...cast.loggers].filter((host) => host !== node);
  return [
    { kind: 'never-returns', atMs, node, afterMs: 100 + below(random, 2_000) },
    { kind: 'blackout', atMs: atMs + below(random, 150), nodes: others, downMs: 50 + below(random, 300) },
  ];
}

function lost(random: SimulatedRandom, cast: Cast, atMs: number): Fault[] {
  const node = pick(random, cast.loggers);
  return [
    { kind: 'never-returns', atMs, node, afterMs: below(random, 1_000) },
    drawFault(random, cast, 'kill', atMs + below(random, 1_000)),
  ];
}

function drained(random: SimulatedRandom, cast: Cast, atMs: number): Fault[] {
  return [drawFault(random, cast, 'drain', atMs), drawFault(random, cast, 'kill', atMs + below(random, 1_000))];
}
