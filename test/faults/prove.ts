/** Proof that the fault test finds what it is for: each build of harness-mutants.ts must fail where it says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildMutant } from '../../sim/mutant-build.ts';
import { harnessMutants, type HarnessMutant } from './harness-mutants.ts';
import { WrongAnswer } from '../../sim/recorder.ts';
import { StartFailure } from './nodes.ts';
import { runRow, type RunResult } from './run.ts';
import { rows, whyNot } from './table.ts';
import { runIncrements } from './take-overs.ts';

/** Not every run meets the moment that the fault is about. */
const attempts = 3;
const takeOversEach = 15;

/** Reason why a run of the mutant failed; undefined: it did not. */
export type Caught = string | undefined;

/** `only`: parts of the names of those that are tried; none: all. */
export async function prove(
  only: readonly string[],
  seed: number,
  say: (line: string) => void,
  bad: (line: string) => void,
): Promise<void> {
  say('| build | fails | found |\n| --- | --- | --- |');
  for (const mutant of harnessMutants) {
    if (only.length > 0 && !only.some((text) => mutant.name.includes(text))) continue;
    const reason = whyNot(rows.find(({ name }) => name === mutant.fails) ?? {});
    if (reason !== undefined) {
      say(`| ${mutant.name} | ${mutant.fails} | SKIPPED: ${reason} |`);
      continue;
    }
    const caught = await firstFailure(mutant, seed);
    const line = `| ${mutant.name} | ${mutant.fails} | ${caught ?? `**not in ${attempts} runs**`} |`;
    if (caught === undefined) bad(line);
    else say(line);
  }
}

export async function firstFailure(mutant: HarnessMutant, seed: number): Promise<Caught> {
  const folder = mkdtempSync(join(tmpdir(), 'kv-filelog-faults-build-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    buildMutant(folder, ['src'], mutant.name, mutant.edits);
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const found = await failureOf(mutant, seed + attempt, folder);
      if (found !== undefined) return found.split('\n')[0]?.slice(0, 200);
    }
    return undefined;
  } finally {
    remove();
    process.off('exit', remove);
  }
}

/** What was wrong; what has nothing to do with the mutant is thrown, and proves nothing. */
async function failureOf({ fails }: HarnessMutant, seed: number, build: string): Promise<Caught> {
  const row = rows.find(({ name }) => name === fails);
  const options = { isExpected: true, build };
  try {
    const result = await (row === undefined
      ? runIncrements({ takeOvers: takeOversEach, seed, ...options })
      : runRow(row, seed, options));
    return wrongIn(result);
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (cause instanceof WrongAnswer || cause instanceof StartFailure) return cause.message;
    throw error;
  }
}

function wrongIn({ lost, complaints }: Pick<RunResult, 'lost' | 'complaints'>): Caught {
  return lost.length > 0 ? `lost: ${lost.join(', ')}` : complaints[0];
}
