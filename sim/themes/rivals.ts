/**
 * Lives of two gateways that both believe to own a shard. Gateway X owns it; another process takes its place while X
 * goes on in its old belief. Clients of the other gateway, Y, write and come to the new owner; clients of X are told by
 * them of each acknowledged write and look at once. In most of these scenes a read of X that is not confirmed by the
 * right replicas, sent at the right time, is a read of the past.
 *
 * Each scene is a few faults that belong together. One alone reaches nothing: it takes an owner that does not know,
 * replicas that do not know either, and a reader who knows better, within a second.
 */
import { balancedOwners } from '../../src/core/rendezvous.ts';
import { below } from '../../src/env/random.ts';
import type { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { gatewayHost, loggerHost } from '../hosts.ts';
import { pick } from '../pick.ts';
import type { Fault, SidesPlan, Theme, ThemeParts } from '../plan.ts';

const gateways = 2;
/** Time before the first scene, in which keys are written and become known on both sides. */
const calmMs = 700;
/** Time in which a taker that waits for a logger certainly reads the head once more: its pause and a tick. */
const takerRoundMs = 110;
/** Time between scenes, so that X owns its shards again. */
const pauseMs = 350;

interface Cast {
  /** The owner that is replaced, and the gateway whose clients meet its successor. */
  readonly x: string;
  readonly y: string;
  readonly loggers: readonly string[];
  /**
   * Logger that successors may not reach and that X leaves: always the same one, since what stood on it alone could not
   * be read without it.
   */
  readonly unreached: string;
  readonly coldSealWaitMs: number;
  readonly loggerTimeoutMs: number;
}

interface Scene {
  readonly faults: readonly Fault[];
  readonly lengthMs: number;
  /** X's clients make calls of their own, too. */
  readonly bothWrite?: boolean;
}

type DrawScene = (random: SimulatedRandom, cast: Cast, atMs: number) => Scene;

export const rivals: Theme = { name: 'rivals', draw };

function draw(random: SimulatedRandom): ThemeParts {
  const loggers = pick(random, [2, 2, 3]);
  const shards = pick(random, [1, 1, 2, 4]);
  const coldSealWaitMs = pick(random, [300, 500]);
  const x = ownerOf(below(random, shards), shards);
  const hosts = Array.from({ length: loggers }, (_, id) => loggerHost(id));
  const loggerTimeoutMs = pick(random, [300, 1_000]);
  const unreached = pick(random, hosts);
  const cast: Cast = {
    x: gatewayHost(x),
    y: gatewayHost(1 - x),
    loggers: hosts,
    unreached,
    coldSealWaitMs,
    loggerTimeoutMs,
  };
  const { faults, speaking, endMs } = drawScenes(random.fork('scenes'), cast);
  return {
    cluster: {
      gateways,
      loggers,
      replicas: loggers,
      minReplicas: 1,
      shards,
      zoneSize: 64 * 1024,
      coldSealWaitMs,
      sealWaitMs: pick(random, [1, 50]),
      loggerTimeoutMs,
      // Scenes count from it.
      loggerSlowMs: loggerTimeoutMs,
    },
    // Slow ones take longer than a scene.
    world: {
      delayMaxMs: pick(random, [0.5, 2]),
      syncDelayMs: pick(random, [0.1, 0.5]),
      syncDelaySpreadMs: pick(random, [0, 0.5, 3]),
    },
    workload: {
      clients: 2 * gateways,
      workersPerClient: 2,
      directClients: 0,
      operations: 800,
      durationMs: endMs,
      burstPercent: 0,
      timeoutMs: 1_500,
      keys: 2 * shards + pick(random, [0, 2]),
      hotOneIn: 0,
      valueBytesMax: pick(random, [40, 400, 1_000]),
      weights: {
        get: 1,
        put: 6,
        delete: pick(random, [0, 1]),
        'put-if-version': 1,
        'put-if-absent': 0,
        'delete-if-version': 0,
        'put-many': 0,
        'get-many': 0,
      },
      sides: { listening: pick(random, [x, x, x, -1]), speaking },
    },
    faults,
  };
}

function ownerOf(shard: number, shards: number): number {
  const owners = balancedOwners(
    Array.from({ length: shards }, (_, id) => String(id)),
    Array.from({ length: gateways }, (_, gateway) => String(gateway)),
  );
  return Number(owners.get(String(shard)));
}

/** Scenes of a life, in any order. */
const scenes: readonly DrawScene[] = [
  unaware,
  contested,
  deaf,
  deaf,
  belated,
  forgotten,
  divided,
  twice,
  unheard,
  overdue,
  lagging,
];

function drawScenes(
  random: SimulatedRandom,
  cast: Cast,
): { readonly faults: readonly Fault[]; readonly speaking: SidesPlan['speaking']; readonly endMs: number } {
  const faults: Fault[] = [];
  const speaking: { fromMs: number; toMs: number }[] = [];
  let atMs = calmMs;
  for (const draw of shuffled(random, scenes)) {
    const { lengthMs, ...scene } = draw(random, cast, atMs);
    faults.push(...scene.faults);
    if (scene.bothWrite === true) speaking.push({ fromMs: atMs, toMs: atMs + lengthMs });
    atMs += lengthMs + pauseMs;
  }
  return { faults: faults.sort((a, b) => a.atMs - b.atMs), speaking, endMs: atMs };
}

function shuffled<T>(random: SimulatedRandom, list: readonly T[]): T[] {
  const left = [...list];
  return list.flatMap(() => left.splice(below(random, left.length), 1));
}

/** Scene: X hears nothing of its successor. */
function unaware(random: SimulatedRandom, { x }: Cast, atMs: number): Scene {
  const lengthMs = 350 + below(random, 250);
  return { lengthMs, faults: [{ kind: 'replace', atMs, node: x, old: 'uninformed', unreached: [], forMs: lengthMs }] };
}

/**
 * Scene: as `unaware`, and X's clients write while its successor, which has sealed one replica, still waits for
 * another.
 */
function contested(random: SimulatedRandom, { x, unreached, coldSealWaitMs }: Cast, atMs: number): Scene {
  const lengthMs = 350 + below(random, 250) + coldSealWaitMs;
  return {
    lengthMs,
    bothWrite: true,
    faults: [{ kind: 'replace', atMs, node: x, old: 'uninformed', unreached: [unreached], forMs: lengthMs }],
  };
}

/**
 * Scene: the successor does not reach one replica, and what the others, fenced ones, say reaches X late: only the one
 * that is not fenced answers.
 */
function deaf(random: SimulatedRandom, cast: Cast, atMs: number): Scene {
  const { x, loggers, unreached, coldSealWaitMs } = cast;
  const lengthMs = 400 + below(random, 250) + coldSealWaitMs;
  const blockedMs = 100 + below(random, 50);
  return {
    lengthMs,
    faults: [
      { kind: 'replace', atMs, node: x, old: 'uninformed', unreached: [unreached], forMs: lengthMs },
      ...loggers
        .filter((logger) => logger !== unreached)
        .map((from): Fault => ({ kind: 'block', atMs: atMs + blockedMs, from, to: x, forMs: lengthMs - blockedMs })),
    ],
  };
}

/**
 * Scene: X changes its zone and is told so only after another took over. What waited at X for the new zone must be
 * confirmed by it.
 */
function belated(random: SimulatedRandom, { x, unreached }: Cast, atMs: number): Scene {
  const answerMs = 650 + below(random, 200);
  const lengthMs = answerMs + 150;
  return {
    lengthMs,
    faults: [
      { kind: 'coordinator-late', atMs, node: x, forMs: answerMs + 100, answerMs },
      { kind: 'cut', atMs: atMs + 1, from: x, to: unreached },
      { kind: 'replace', atMs: atMs + 2 + below(random, 20), node: x, old: 'alive', unreached: [], forMs: lengthMs },
    ],
  };
}

/**
 * Scene: as `belated`, and the loggers that fenced X are started again before X hears: they must not have forgotten.
 */
function forgotten(random: SimulatedRandom, cast: Cast, atMs: number): Scene {
  const { lengthMs, faults } = belated(random, cast, atMs);
  const restartMs = atMs + 200 + below(random, 150);
  const kills = cast.loggers.map(
    (node): Fault => ({ kind: 'kill', atMs: restartMs, node, how: 'process', downMs: 1 + below(random, 20) }),
  );
  return { lengthMs, faults: [...faults, ...kills] };
}

/** Scene: X is sealed while one replica has less of what is in flight than the others. */
function divided(random: SimulatedRandom, { x, loggers }: Cast, atMs: number): Scene {
  const lengthMs = 350 + below(random, 250);
  return {
    lengthMs,
    bothWrite: true,
    faults: [
      { kind: 'block', atMs, from: x, to: pick(random, loggers), forMs: 300 },
      {
        kind: 'replace',
        atMs: atMs + 20 + below(random, 40),
        node: x,
        old: 'uninformed',
        unreached: [],
        forMs: lengthMs,
      },
    ],
  };
}

/**
 * Scene: X is started again and another one in its place. Both wait until they reach a logger, and then claim at once:
 * the coordinator takes what both ask in one batch, so that both read the same head and one of the claims is lost.
 */
function twice(random: SimulatedRandom, { x, loggers }: Cast, atMs: number): Scene {
  const alone = { atMs: atMs + 6, forMs: 100 + below(random, 100) };
  const lengthMs = 900 + below(random, 200);
  const weather = { delayMs: 0, requestLost: 0, answerLost: 0, timeoutMs: 2_000, everyMs: takerRoundMs };
  return {
    lengthMs,
    faults: [
      { kind: 'kill', atMs, node: x, how: 'process', downMs: 1 },
      // The last to start is whom the other gateway goes to.
      { kind: 'replace', atMs: atMs + 2 + below(random, 3), node: x, old: 'alive', unreached: [], forMs: lengthMs },
      ...loggers.map((node): Fault => ({ kind: 'isolate', node, ...alone })),
      { kind: 'coordinator', atMs: atMs + 50, forMs: lengthMs - 50, ...weather },
    ],
  };
}

/**
 * Scene: the words of X to the other gateway are lost with their connection, after X did it; and its zone changes
 * before it is asked again.
 */
function unheard(random: SimulatedRandom, { x, y, unreached }: Cast, atMs: number): Scene {
  const forMs = 60 + below(random, 60);
  return {
    lengthMs: forMs + 200,
    faults: [
      { kind: 'block', atMs, from: x, to: y, forMs },
      { kind: 'cut', atMs: atMs + forMs - 30, from: x, to: unreached },
      { kind: 'cut', atMs: atMs + forMs - 1, from: x, to: y },
      startAgain(x, atMs + forMs + 200),
    ],
  };
}

/** Scene: a replica acknowledges when X has given it up and is leaving the zone, which takes long: frozen is frozen. */
function overdue(random: SimulatedRandom, { x, unreached, loggerTimeoutMs }: Cast, atMs: number): Scene {
  const forMs = loggerTimeoutMs + 150 + below(random, 100);
  const answerMs = 400;
  return {
    lengthMs: forMs + answerMs + 100,
    faults: [
      { kind: 'block', atMs, from: unreached, to: x, forMs },
      { kind: 'coordinator-late', atMs, node: x, forMs: forMs + answerMs, answerMs },
      startAgain(x, atMs + forMs + answerMs + 100),
    ],
  };
}

/**
 * Scene: X hears all replicas late, but in their order: what they said before they were fenced arrives when its
 * successor has written, and what is in flight at X then is on all of them.
 */
function lagging(random: SimulatedRandom, { x, loggers }: Cast, atMs: number): Scene {
  const lengthMs = 500 + below(random, 250);
  const lateMs = 60 + below(random, 100);
  return {
    lengthMs,
    bothWrite: true,
    faults: [
      ...loggers.map((from): Fault => ({ kind: 'slow', atMs, from, to: x, lateMs, forMs: lengthMs })),
      {
        kind: 'replace',
        atMs: atMs + 20 + below(random, 80),
        node: x,
        old: 'uninformed',
        unreached: [],
        forMs: lengthMs,
      },
    ],
  };
}

/** A restart of X, which would else avoid the replica that it left in the scenes that follow. */
function startAgain(node: string, atMs: number): Fault {
  return { kind: 'kill', atMs, node, how: 'process', downMs: 1 };
}
