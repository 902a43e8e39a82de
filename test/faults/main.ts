/**
 * `npm run test:faults -- [--only NAME]... [--runs N] [--seed S] [--evidence NAME]`: the rows of the promise table
 * (rows.ts), each run on clusters of its own. Exit code 1 when anything was lost, or a history is not linearizable.
 */
import { parseArgs } from 'node:util';
import { medianAndMax } from '../../bench/lib/gaps.ts';
import { evidencePath, originOf, writeEvidence } from '../../sim/evidence.ts';
import { rows, type Row } from './rows.ts';
import { runRow, type RunResult } from './run.ts';

const usage = `faults of real processes while clients work, and what they noticed
  --only NAME      only this row, may be given several times: ${rows.map(({ name }) => name).join(', ')}
  --runs N         runs of each row (1)
  --seed S         seed of the first run, one more for each (1)
  --evidence NAME  the table goes to docs/evidence/NAME.md as well`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    runs: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    evidence: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

// Processes that are ended by these still run their exit handlers, which end the cluster.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

function refuse(message: string): never {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

function count(name: 'runs' | 'seed', most: number): number {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  return refuse(`--${name} must be a whole number from 1 to ${most}, got '${values[name]}'`);
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
  ];
  return `| ${columns.join(' | ')} |`;
}

async function main(): Promise<void> {
  const [runs, seed] = [count('runs', 1_000), count('seed', 2 ** 31)];
  const unknown = values.only.find((name) => rows.every((row) => row.name !== name));
  if (unknown !== undefined) refuse(`there is no row '${unknown}'`);
  const file = values.evidence === undefined ? undefined : evidencePath(values.evidence, 'md');
  const origin = originOf('test:faults', process.argv.slice(2));
  console.log(`fault test: ${runs} runs of each row, seeds ${seed} to ${seed + runs - 1}`);
  const table = [
    '| row | fault | writes: longest gap, median / max ms | reads | acknowledged writes lost | linearizable |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const row of rows.filter(({ name }) => values.only.length === 0 || values.only.includes(name))) {
    const results: RunResult[] = [];
    for (let run = 0; run < runs; run += 1) {
      const result = await runRow(row, seed + run);
      results.push(result);
      for (const complaint of [...result.lost.map((key) => `lost: ${key}`), ...result.complaints]) {
        console.log(`${row.name}, seed ${seed + run}: ${complaint}`);
        process.exitCode = 1;
      }
    }
    table.push(lineOf(row, results));
    console.log(table.at(-1));
  }
  if (file !== undefined) writeEvidence(file, origin, `${runs} runs of each row.\n\n${table.join('\n')}`);
}

if (values.help) console.log(usage);
else await main();
