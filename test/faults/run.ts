/** One run of a row of the promise table: a cluster of real processes, clients, the fault, the verdict. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keysOf } from '../../bench/lib/outage.ts';
import { freeBasePort } from '../../bench/lib/real-cluster.ts';
import { connect, type Client } from '../../src/client/index.ts';
import { Load } from './load.ts';
import type { Row } from './rows.ts';
import { callMsMax, Stage, type StageOptions } from './stage.ts';
import { complaintsOf, longestGapMs, lostKeys } from './verdict.ts';

const keyCount = 50;
const lanes = 6;
const readers = 2;
const beforeMs = 1_000;
const afterMs = 3_000;
/** Calls before a fault and after it, at least: on a slow machine they take longer than these times. */
const callsEach = 200;
const wholeMsMax = 90_000;

export interface RunResult {
  readonly writeGapMs: number;
  readonly readGapMs: number;
  readonly calls: number;
  readonly lost: readonly string[];
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
}

export interface RunOptions {
  /** Folder of the compiled product to run; this one unless given. */
  readonly build?: string | undefined;
  /** It is to fail: nothing of it is kept. */
  readonly isExpected?: boolean | undefined;
}

/**
 * What a run leaves that did not go well stays, and is named.
 * @throws Error the cluster did not start or heal, or a client was told what no fault explains
 */
export async function runRow(row: Row, seed: number, { build, isExpected }: RunOptions = {}): Promise<RunResult> {
  const { needs = [], settings } = row;
  return onStage(row.name, isExpected === true, { needs, settings, build }, async (stage, folder) => {
    await using client = await connect(stage.nodes.endpoints, { timeoutMs: callMsMax });
    return await judgedRun(row, seed, stage, client, folder);
  });
}

/** Has `work` done on a cluster of its own, in a folder that goes with it unless something was wrong (`inFolder`). */
export async function onStage<T extends Pick<RunResult, 'lost' | 'complaints'>>(
  name: string,
  isExpected: boolean,
  options: Omit<StageOptions, 'folder' | 'basePort'>,
  work: (stage: Stage, folder: string) => Promise<T>,
): Promise<T> {
  return await inFolder(name, isExpected, async (folder) => {
    const stage = await Stage.open({ ...options, folder, basePort: await freeBasePort() });
    try {
      return await work(stage, folder);
    } finally {
      await stage.close();
    }
  });
}

/** Runs in a folder that goes with it, unless the result is not good, or an error, which names it then. */
async function inFolder<T extends Pick<RunResult, 'lost' | 'complaints'>>(
  name: string,
  isExpected: boolean,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), `kv-filelog-faults-${name}-`));
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  process.once('exit', remove);
  try {
    const result = await work(folder);
    if (isExpected || (result.lost.length === 0 && result.complaints.length === 0)) remove();
    else console.log(`${name}: logs, data and history stay in ${folder}`);
    return result;
  } catch (error) {
    if (isExpected) remove();
    throw new Error(`${name}: ${String(error)}; logs and data stay in ${folder}`, { cause: error });
  } finally {
    process.off('exit', remove);
  }
}

async function judgedRun(row: Row, seed: number, stage: Stage, client: Client, folder: string): Promise<RunResult> {
  const load = new Load(keyCount, { explains: row.explains });
  await load.readAll(client);
  stage.take(load);
  stage.aim(client.status().owners[0] ?? 0, 1);
  const concerned = new Set(row.concerns === 'all' ? load.keys : keysOf(client, keyCount, stage.owner));
  load.start(client, lanes, seed);
  load.start(client, readers, seed, 'reads');
  await sleep(beforeMs);
  await stage.worked(callsEach);
  const fromMs = performance.now();
  await row.fault(stage);
  await sleep(afterMs);
  await stage.worked(callsEach);
  await load.stop();
  // Calls that wait when the lanes are told to stop end when they are served: their gap counts to its end.
  const toMs = performance.now();
  if (row.isHealed === true) await stage.replicated(wholeMsMax);
  await load.readAll(client);
  return resultOf(load, stage, folder, { concerned, fromMs, toMs });
}

/** What is to be measured of a history: gaps of the keys `concerned` within a time. */
interface Measured {
  readonly concerned: ReadonlySet<string>;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Judges what `load` did, and measures its gaps. REQUIRES: it has ended, and all keys were read. */
export function resultOf(
  { events, keys }: Load,
  { notes }: Stage,
  folder: string,
  { concerned, fromMs, toMs }: Measured,
): RunResult {
  return {
    writeGapMs: longestGapMs(events, concerned, 'write', fromMs, toMs),
    readGapMs: longestGapMs(events, concerned, 'read', fromMs, toMs),
    calls: events.filter(({ type }) => type === 'invoke').length,
    lost: lostKeys(events, keys),
    complaints: complaintsOf(events, join(folder, 'history.jsonl')),
    notes,
  };
}
