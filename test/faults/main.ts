/**
 * `npm run test:faults`: faults of real processes while clients work. Without options the rows of the promise table
 * (table.ts), each run on clusters of its own; or random faults, many take-overs, the proof of the harness. Exit code 1
 * when anything was lost, a history is not linearizable, or a client saw what no fault explains.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { medianAndMax } from '../../bench/lib/gaps.ts';
import { evidencePath, originOf, writeEvidence } from '../../sim/evidence.ts';
import { prove } from './prove.ts';
import { runRandom } from './random.ts';
import type { Row } from './rows.ts';
import { runRow, type RunResult } from './run.ts';
import { rows, whyNot } from './table.ts';
import { runIncrements, runReplay, type TakeOversResult } from './take-overs.ts';

const usage = `faults of real processes while clients work, and what they noticed
  --only NAME      only this row, may be given several times: ${rows.map(({ name }) => name).join(', ')}
  --runs N         runs of each row (1)
  --seed S         seed of the first run, one more for each (1)
  --random         in place of the rows: random faults for --seconds N (60), 8 clients on 50 keys
  --increments N   ... compare-and-set increments through N forced take-overs: the sum is exact
  --replay N       ... the testbed's client, and a replay of --trace FILE, through N forced take-overs
  --prove          ... builds with one deliberate fault each must fail
  --evidence NAME  what is printed goes to docs/evidence/NAME.md as well`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    runs: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    random: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '60' },
    increments: { type: 'string' },
    replay: { type: 'string' },
    trace: { type: 'string', multiple: true, default: [] },
    prove: { type: 'boolean', default: false },
    evidence: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

// Processes that are ended by these still run their exit handlers, which end the cluster and remove its folder.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

function refuse(message: string): never {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

function count(name: 'runs' | 'seed' | 'seconds' | 'increments' | 'replay', most: number): number {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  return refuse(`--${name} must be a whole number from 1 to ${most}, got '${values[name]}'`);
}

const printed: string[] = [];

/** Also into the evidence. */
function say(line: string): void {
  printed.push(line);
  console.log(line);
}

function bad(what: string): void {
  say(what);
  process.exitCode = 1;
}

function judge(name: string, { lost, complaints }: Pick<RunResult, 'lost' | 'complaints'>): void {
  for (const complaint of [...lost.map((key) => `lost: ${key}`), ...complaints]) bad(`${name}: ${complaint}`);
}

function cells(gapsMs: readonly number[]): string {
  const { median, max } = medianAndMax(gapsMs);
  return `${median.toFixed(0)} / ${max.toFixed(0)}`;
}

function lineOf(row: Row, results: readonly RunResult[]): string {
  const lost = results.reduce((sum, result) => sum + result.lost.length, 0);
  const columns = [
    row.name,
    row.does,
    cells(results.map(({ writeGapMs }) => writeGapMs)),
    cells(results.map(({ readGapMs }) => readGapMs)),
    String(lost),
    results.every(({ complaints }) => complaints.length === 0) ? 'yes' : '**no**',
    [...new Set(results.flatMap(({ notes }) => notes.join(', ')))].join('; '),
  ];
  return `| ${columns.join(' | ')} |`;
}

/** Line of the table. */
async function runsOf(row: Row, runs: number, seed: number): Promise<string> {
  const results: RunResult[] = [];
  for (let run = 0; run < runs; run += 1) {
    try {
      const result = await runRow(row, seed + run);
      results.push(result);
      for (const complaint of [...result.lost.map((key) => `lost: ${key}`), ...result.complaints]) {
        console.log(`${row.name}, seed ${seed + run}: ${complaint}`);
        process.exitCode = 1;
      }
    } catch (error) {
      console.log(`${row.name}, seed ${seed + run}: ${String(error)}`);
      process.exitCode = 1;
      return `| ${row.name} | ${row.does} | | | | | **failed**: ${String(error).split('\n')[0]} |`;
    }
  }
  return lineOf(row, results);
}

async function runTable(seed: number): Promise<void> {
  const runs = count('runs', 1_000);
  const unknown = values.only.find((name) => rows.every((row) => row.name !== name));
  if (unknown !== undefined) refuse(`there is no row '${unknown}'`);
  say(`${runs} runs of each row, seeds ${seed} to ${seed + runs - 1}.\n`);
  say('| row | fault | longest gap: writes, median / max ms | reads | writes lost | linearizable | remarks |');
  say('| --- | --- | --- | --- | --- | --- | --- |');
  let skipped = 0;
  for (const row of rows.filter(({ name }) => values.only.length === 0 || values.only.includes(name))) {
    const reason = whyNot(row);
    if (reason !== undefined) skipped += 1;
    say(
      reason === undefined
        ? await runsOf(row, runs, seed)
        : `| ${row.name} | ${row.does} | | | | | SKIPPED: ${reason} |`,
    );
  }
  if (skipped > 0) say(`\nSKIPPED: ${skipped} rows that can't be run here`);
}

async function runAtRandom(seed: number): Promise<void> {
  const seconds = count('seconds', 86_400);
  say(`random faults for ${seconds} s, seed ${seed}`);
  const result = await runRandom(seconds, seed, (line) => console.log(line));
  judge(`seed ${seed}`, result);
  const gaps = `longest gaps: writes ${result.writeGapMs.toFixed(0)} ms, reads ${result.readGapMs.toFixed(0)} ms`;
  const verdict = result.complaints.length === 0 ? 'linearizable' : '**not linearizable**';
  say(`${result.faults.length} faults, ${result.calls} calls, ${result.lost.length} writes lost, ${verdict}; ${gaps}`);
  say(`at the end: ${result.notes.at(-1) ?? ''}`);
}

function sayTakeOvers(what: string, result: TakeOversResult): void {
  judge(what, result);
  if (process.exitCode !== 1)
    say(`${what}: ${result.takeOvers} take-overs, ${result.calls} calls, no error seen, exact`);
}

async function runTakeOvers(seed: number): Promise<void> {
  const progress = (line: string): void => console.log(line);
  if (values.increments !== undefined) {
    const options = { takeOvers: count('increments', 100_000), seed, say: progress };
    sayTakeOvers('increments', await runIncrements(options));
  }
  if (values.replay === undefined) return;
  const missing = values.trace.find((file) => !existsSync(file));
  if (missing !== undefined) refuse(`there is no trace ${missing}`);
  sayTakeOvers('replay', await runReplay({ takeOvers: count('replay', 100_000), seed, say: progress }, values.trace));
}

async function main(): Promise<void> {
  const seed = count('seed', 2 ** 31);
  const file = values.evidence === undefined ? undefined : evidencePath(values.evidence, 'md');
  const origin = originOf('test:faults', process.argv.slice(2));
  if (values.random) await runAtRandom(seed);
  else if (values.increments !== undefined || values.replay !== undefined) await runTakeOvers(seed);
  else if (values.prove) await prove(values.only, seed, say, bad);
  else await runTable(seed);
  if (file !== undefined) writeEvidence(file, origin, printed.join('\n'));
}

if (values.help) console.log(usage);
else
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
