import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { runRandom } from './random.ts';

const seconds = 60;

test(
  'a minute of random faults: nothing acknowledged is lost, all is linearizable, and in the end everything is whole',
  { timeout: 290_000 },
  async (context) => {
    const seed = 14;
    context.diagnostic(`npm run test:faults -- --random --seconds ${seconds} --seed ${seed}`);
    const { faults, lost, complaints, calls } = await runRandom(seconds, seed, (line) => context.diagnostic(line));
    assert.deepEqual([lost, complaints], [[], []]);
    assert.ok(faults.length > 2 && calls > 2_000, `${faults.length} faults, ${calls} calls`);
  },
);
