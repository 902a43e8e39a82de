/**
 * `npm run test:crash -- --rounds 20 [--seed N]`: see crash-rounds.ts. Exit code 1 when anything acknowledged was lost.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runCrashRounds } from './crash-rounds.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    writers: { type: 'string', default: '16' },
    keys: { type: 'string', default: '200' },
    'write-ms': { type: 'string', default: '1000' },
    help: { type: 'boolean', default: false },
  },
});

const usage = `kill -9 of a whole cluster in the middle of writing, restart, verify, again and again
  --rounds N    rounds (20)
  --seed N      what is written and when the kill comes (1)
  --writers N   writers at the same time (16)
  --keys N      keys of each writer, at most 2048 (200)
  --write-ms N  the kill comes after N to 2N milliseconds (1000)`;

function count(name: 'rounds' | 'seed' | 'writers' | 'keys' | 'write-ms', most: number): number {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  console.error(`--${name} must be a whole number from 1 to ${most}, got '${values[name]}'\n${usage}`);
  process.exit(2);
}

if (values.help) {
  console.log(usage);
  process.exit(0);
}

// Processes that are ended by these still run their exit handlers, which end the cluster.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-crash-'));
try {
  const options = {
    dir,
    rounds: count('rounds', 10_000),
    seed: count('seed', 2 ** 31),
    writers: count('writers', 1_000),
    keysPerWriter: count('keys', 2_048),
    writeMs: count('write-ms', 600_000),
  };
  console.log(`crash test: ${options.rounds} rounds, seed ${options.seed}, ${options.writers} writers, in ${dir}`);
  const rounds = await runCrashRounds(options, (round) => {
    const { acknowledged, unknown, notApplied, verified, lost, diskBytes, restartMs } = round;
    console.log(
      `round ${round.round}: ${acknowledged} acknowledged, ${unknown} unknown, ${notApplied} not applied; ${verified} reads verified, ${lost.length} wrong; restart ${restartMs} ms; ${(diskBytes / 2 ** 20).toFixed(1)} MiB on disk`,
    );
    for (const complaint of lost.slice(0, 10)) console.log(`  ${complaint}`);
  });
  const lost = rounds.reduce((total, round) => total + round.lost.length, 0);
  const acknowledged = rounds.reduce((total, round) => total + round.acknowledged, 0);
  const last = rounds.at(-1);
  console.log(
    `${rounds.length} rounds, ${acknowledged} writes acknowledged, ${lost} lost or wrong, ${((last?.diskBytes ?? 0) / 2 ** 20).toFixed(1)} MiB on disk at the end`,
  );
  process.exitCode = lost === 0 ? 0 : 1;
} finally {
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
}
