/**
 * The mutation check: every deliberate fault of mutant-list.ts must be found by the simulator within the stated number
 * of seeds, with the product's own asserts on and, in a second column, switched off.
 *
 *   npm run sim:mutants -- [--seeds 300] [--from 1] [--only TEXT]... [--asserts on|off|both] [--evidence NAME]
 *
 * `--only`: those whose names contain one of the texts. Each mutant is a copy of the build with its edits, run in a
 * process of its own. Prints a table, with `--evidence` also into a file (evidence.ts). Exit code 1 when one was not
 * found, 2 when none has such a name.
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import type { Origin } from './evidence.ts';
import { EvidenceError, evidencePath, originOf, writeEvidence } from './evidence.ts';
import type { Mutant } from './mutant.ts';
import { buildMutant, withoutAsserts } from './mutant-build.ts';
import { editsOf, mutants } from './mutant-list.ts';
import { exitCodes } from './program.ts';
import type { SeedResult } from './summary.ts';

/** Time that no life takes that has an end. */
const silenceMaxMs = 120_000;

interface Outcome {
  readonly seed: number;
  readonly kind: string;
  readonly reason: string;
}

const usage = `usage: npm run sim:mutants -- [--seeds 300] [--from 1] [--only TEXT]... [--asserts on|off|both] [--evidence NAME]
  --seeds N        lives of each mutant before it counts as not found
  --from N         the first seed
  --only TEXT      only mutants whose names contain it, may be given several times
  --asserts WHICH  with the product's own asserts, without them, or a column for each (both)
  --evidence NAME  the table goes to docs/evidence/NAME.md as well`;

const { values } = parsedArguments();
const seeds = wholeNumber('seeds', values.seeds);
const from = wholeNumber('from', values.from);
if (!['on', 'off', 'both'].includes(values.asserts)) refuseArguments(`--asserts ${values.asserts}: on, off or both`);
const columns = values.asserts === 'both' ? [true, false] : [values.asserts !== 'off'];
const chosen = mutants.filter(({ name }) => values.only.some((text) => name.includes(text)));
process.exitCode = chosen.length === 0 ? 2 : await runAll();

function parsedArguments() {
  try {
    const parsed = parseArgs({
      options: {
        seeds: { type: 'string', default: '300' },
        from: { type: 'string', default: '1' },
        only: { type: 'string', multiple: true, default: [''] },
        asserts: { type: 'string', default: 'both' },
        evidence: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (!parsed.values.help) return parsed;
    say(usage);
    process.exit(0);
  } catch (error) {
    return refuseArguments(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0
    ? value
    : refuseArguments(`--${name} ${text}: a whole number above 0`);
}

function refuseArguments(message: string): never {
  process.stderr.write(`${message}\n${usage}\n`);
  process.exit(2);
}

/** Runs the chosen mutants and gives the exit code. */
async function runAll(): Promise<number> {
  const evidence = values.evidence === undefined ? undefined : evidenceOf(values.evidence);
  const table: string[] = [];
  const row = (cells: readonly string[]): void => {
    table.push(`| ${cells.join(' | ')} |`);
    say(table.at(-1) ?? '');
  };
  row(['mutant', 'rule', ...columns.map((on) => `found at seed, asserts ${on ? 'on' : 'off'}`)]);
  row(['---', '---', ...columns.map(() => '---')]);
  let allFound = true;
  for (const mutant of chosen) {
    const outcomes: (Outcome | undefined)[] = [];
    for (const asserts of columns) outcomes.push(await runMutant(mutant, asserts));
    row([mutant.name, mutant.rule, ...outcomes.map(describeOutcome)]);
    allFound &&= !outcomes.includes(undefined);
  }
  if (evidence !== undefined) writeEvidence(evidence.file, evidence.origin, table.join('\n'));
  return allFound ? 0 : 1;
}

function evidenceOf(name: string): { readonly file: string; readonly origin: Origin } {
  try {
    return { file: evidencePath(name, 'md'), origin: originOf('sim:mutants', process.argv.slice(2)) };
  } catch (error) {
    if (error instanceof EvidenceError) return refuseArguments(error.message);
    throw error;
  }
}

function describeOutcome(outcome: Outcome | undefined): string {
  return outcome === undefined ? `**not found in ${seeds}**` : `${outcome.seed}: ${outcome.kind}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Outcome of a mutant; undefined: not found. */
async function runMutant(mutant: Mutant, asserts: boolean): Promise<Outcome | undefined> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kv-filelog-mutant-'));
  try {
    const edits = asserts ? editsOf(mutant) : [...editsOf(mutant), withoutAsserts];
    buildMutant(folder, ['src', 'sim'], mutant.name, edits);
    const outcome = await firstFailure(path.join(folder, 'sim/main.js'));
    if (outcome !== undefined)
      process.stderr.write(`  ${mutant.name}: seed ${outcome.seed}: ${outcome.reason.slice(0, 160)}\n`);
    return outcome;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function firstFailure(program: string): Promise<Outcome | undefined> {
  return new Promise((resolve) => {
    const child = fork(program, ['--seeds', String(seeds), '--from', String(from)], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    let lives = 0;
    let found: Outcome | undefined;
    let timer = watch(child);
    child.on('message', (message) => {
      const result = message as SeedResult;
      lives += 1;
      clearTimeout(timer);
      timer = watch(child);
      if (result.kind !== 'ok' && result.kind !== 'unjudged')
        found ??= { seed: result.seed, kind: result.kind, reason: result.reason };
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (found === undefined && ((code !== 0 && code !== exitCodes.unjudged) || signal !== null))
        found = {
          seed: from + lives,
          kind: signal === null ? 'crash' : 'stuck',
          reason: `the process ended with ${signal ?? code}`,
        };
      resolve(found);
    });
  });
}

function watch(child: ChildProcess): NodeJS.Timeout {
  // A real process is watched by the real clock.
  return globalThis.setTimeout(() => child.kill('SIGKILL'), silenceMaxMs);
}
