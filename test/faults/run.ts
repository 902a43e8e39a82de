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
import { callMsMax, Stage } from './stage.ts';
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
  return inFolder(row.name, isExpected === true, async (folder) => {
    const { needs = [], settings } = row;
    const stage = await Stage.open({ folder, basePort: await freeBasePort(), needs, settings, build });
    try {
      await using client = await connect(stage.nodes.endpoints, { timeoutMs: callMsMax });
      return await judgedRun(row, seed, stage, client, join(folder, 'history.jsonl'));
    } finally {
      await stage.close();
    }
  });
}

/** Runs in a folder that goes with it, unless the result is not good, or an error, which names it then. */
export async function inFolder<T extends Pick<RunResult, 'lost' | 'complaints'>>(
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

async function judgedRun(row: Row, seed: number, stage: Stage, client: Client, file: string): Promise<RunResult> {
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
  const { events } = load;
  return {
    writeGapMs: longestGapMs(events, concerned, 'write', fromMs, toMs),
    readGapMs: longestGapMs(events, concerned, 'read', fromMs, toMs),
    calls: events.filter(({ type }) => type === 'invoke').length,
    lost: lostKeys(events, load.keys),
    complaints: complaintsOf(events, file),
    notes: stage.notes,
  };
}
