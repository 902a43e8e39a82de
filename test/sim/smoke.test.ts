/** A fixed set of lives, and what the simulator promises of itself. `npm run sim -- --seeds 5000` is the long form. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { describeFailure } from '../../sim/program.ts';
import { runLife } from '../../sim/life.ts';
import { editsOf, mutants } from '../../sim/mutant-list.ts';
import { drawPlan } from '../../sim/draw-plan.ts';
import { repositoryRoot } from '../support/repository.ts';

const program = path.join(repositoryRoot, 'dist/sim/main.js');

for (let seed = 1; seed <= 20; seed += 1) {
  test(`life of seed ${seed}`, async () => {
    const result = await runLife(drawPlan(seed));
    assert.equal(result.verdict.kind, 'ok', describeFailure(result));
  });
}

test('the same seed gives the same life, in this process and in another', async (context) => {
  const first = await runLife(drawPlan(7));
  const second = await runLife(drawPlan(7));
  assert.equal(second.history, first.history);
  assert.equal(second.hash, first.hash);
  if (!existsSync(program)) return context.skip('not built');
  const output = execFileSync(process.execPath, [program, '--seed', '7'], { encoding: 'utf8' });
  assert.match(output, new RegExp(`hash ${first.hash},`));
});

test('different seeds give different lives', async () => {
  assert.notEqual((await runLife(drawPlan(8))).hash, (await runLife(drawPlan(9))).hash);
});

test('every mutant still fits the compiled product', (context) => {
  if (!existsSync(program)) return context.skip('not built');
  const counts = mutants.flatMap((mutant) =>
    editsOf(mutant).map(
      ({ file, find }) =>
        [mutant.name, readFileSync(path.join(repositoryRoot, 'dist', file), 'utf8').split(find).length - 1] as const,
    ),
  );
  assert.deepEqual(
    counts.filter(([, count]) => count !== 1),
    [],
  );
});
