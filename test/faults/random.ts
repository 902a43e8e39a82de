/**
 * Random faults under clients: rows of the promise table one after another, some two at once, whom they hit and in
 * which order drawn from the seed, in less time than in the table, healed in between. In the end all is healed, judged,
 * and whole.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { present } from '../../src/base/assert.ts';
import { below } from '../../src/env/random.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { MIB } from '../../src/base/units.ts';
import { connect, type Client } from '../../src/client/index.ts';
import { Load } from './load.ts';
import { numbers } from './nodes.ts';
import type { Row } from './rows.ts';
import { onStage, resultOf, type RunResult } from './run.ts';
import { callMsMax, type Need, type Stage } from './stage.ts';
import { rows, whyNot } from './table.ts';

const keyCount = 50;
const clients = 8;
/** Part of their time in the table that faults last. */
const pace = 0.25;
/** Pause of a client between two calls, up to: half an hour of calls is to be judged. */
const pauseMsMax = 30;
const wholeMsMax = 120_000;
/** Rows that are not drawn: they need settings of their own, never end, or a disk of a few MiB. */
const left: readonly string[] = [
  'coordinator-without-wal',
  'loggers-wiped',
  'restarted-without-one-logger',
  'restarted-without-two-loggers',
  'restarted-with-one-declared-lost',
  'one-disk-full',
  'all-disks-full',
];
/** After which copies are missing until they were made again: what one logger lost nobody else may lose before. */
const losing: readonly string[] = [
  'logger-wiped',
  'logger-cloned',
  'logger-rolled-back',
  'restarted-with-one-rolled-back',
];

export interface RandomResult extends RunResult {
  /** Names of the rows that were done, in order. */
  readonly faults: readonly string[];
}

/** `say`: told of each fault. @throws Error like `runRow` */
export async function runRandom(seconds: number, seed: number, say: (line: string) => void): Promise<RandomResult> {
  const needs = (['links', 'tracing', 'power'] as const).filter((need) => whyNot({ needs: [need] }) === undefined);
  // Zones change often.
  const settings = { zoneSize: MIB };
  return onStage(`random-${seed}`, false, { needs, settings, pace }, (stage, folder) =>
    judgedRun(stage, drawable(needs), seconds, seed, say, folder),
  );
}

function drawable(there: readonly Need[]): readonly Row[] {
  return rows.filter(({ name, needs = [] }) => !left.includes(name) && needs.every((need) => there.includes(need)));
}

async function judgedRun(
  stage: Stage,
  choice: readonly Row[],
  seconds: number,
  seed: number,
  say: (line: string) => void,
  folder: string,
): Promise<RandomResult> {
  const load = new Load(keyCount, { pauseMsMax });
  const open: Client[] = [];
  try {
    for (let number = 0; number < clients; number += 1) {
      const client = await connect(stage.nodes.endpoints, { timeoutMs: callMsMax, direct: number % 2 === 0 });
      open.push(client);
      load.start(client, 1, seed + number, number % 4 === 3 ? 'reads' : 'all');
    }
    stage.take(load);
    const fromMs = performance.now();
    const faults = await inflict(stage, choice, new SimulatedRandom(seed), fromMs + 1_000 * seconds, say);
    await stage.replicated(wholeMsMax);
    await load.stop();
    const toMs = performance.now();
    await load.readAll(present(open[0], 'clients'));
    return { faults, ...resultOf(load, stage, folder, { concerned: new Set(load.keys), fromMs, toMs }) };
  } finally {
    for (const client of open) await client.close({ timeoutMs: 0 });
  }
}

/** Names of what was done, in order. */
async function inflict(
  stage: Stage,
  choice: readonly Row[],
  random: SimulatedRandom,
  untilMs: number,
  say: (line: string) => void,
): Promise<readonly string[]> {
  const done: string[] = [];
  while (performance.now() < untilMs) {
    await sleep(below(random, 1_000));
    const row = choice[below(random, choice.length)];
    if (row === undefined) break;
    if (losing.includes(row.name) && done.length > 0) await stage.replicated(wholeMsMax);
    stage.aim(below(random, numbers.length), below(random, numbers.length));
    const together = [row, ...partnersOf(row, choice, random)];
    say(`${together.map(({ name }) => name).join(' + ')}: gateway ${stage.owner}, logger ${stage.victim}`);
    done.push(...together.map(({ name }) => name));
    await Promise.all(together.map((one) => one.fault(stage)));
    await sleep(below(random, 500));
    await stage.heal();
  }
  return done;
}

/** Every other time another row that hits the other kind of processes, at once with `row`. */
function partnersOf({ hits }: Row, choice: readonly Row[], random: SimulatedRandom): readonly Row[] {
  const partners = choice.filter((row) => row.hits !== undefined && row.hits !== hits && !losing.includes(row.name));
  const partner = partners[below(random, partners.length)];
  return hits === undefined || partner === undefined || below(random, 2) === 0 ? [] : [partner];
}
