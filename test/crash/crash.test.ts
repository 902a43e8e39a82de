import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCrashRounds } from './crash-rounds.ts';

test('two rounds of kill -9 of all processes lose no acknowledged write', { timeout: 120_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-crash-'));
  try {
    const options = { dir, rounds: 2, seed: 7, writers: 16, keysPerWriter: 50, writeMs: 400 };
    const rounds = await runCrashRounds(options, () => undefined);
    assert.deepEqual(
      rounds.flatMap((round) => round.lost),
      [],
    );
    assert.deepEqual(
      rounds.map((round) => round.verified),
      [16 * 50 * 3, 16 * 50 * 3],
    );
    for (const round of rounds)
      assert.ok(round.acknowledged >= 16, `round ${round.round} acknowledged ${round.acknowledged} writes only`);
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
});
