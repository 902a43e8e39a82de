import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { runRow } from './run.ts';
import { rows } from './table.ts';

/** Rows that take some seconds and together meet every part; `npm run test:faults` runs all. */
const quick: readonly string[] = ['owner-killed', 'two-loggers-killed', 'everything-restarted'];

for (const row of rows.filter(({ name }) => quick.includes(name)))
  test(`${row.does}: nothing acknowledged is lost, all is linearizable`, { timeout: 120_000 }, async (context) => {
    const result = await runRow(row, 7);
    assert.deepEqual([result.lost, result.complaints], [[], []]);
    assert.ok(result.calls > 500, `${result.calls} calls only`);
    context.diagnostic(`longest gap: writes ${result.writeGapMs.toFixed(0)} ms, reads ${result.readGapMs.toFixed(0)}`);
  });
