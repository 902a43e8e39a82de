/**
 * `npm run bench:takeover`: how long writes and reads of a gateway's shards pause when it is killed, or stopped, for
 * good. Three gateways and three loggers as processes; each run has a cluster of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { medianAndMax } from './lib/gaps.ts';
import type { Outage } from './lib/outage.ts';
import { runOutage } from './lib/outage.ts';
import { freeBasePort, RealCluster } from './lib/real-cluster.ts';

const usage = `longest pause between two acknowledgements on the shards of a gateway that is lost, median and max
  --runs N      clusters that are started for each of kill -9 and SIGSTOP (10)
  --keys N      keys stored before (500)
  --lanes N     writers, and as many readers (8)
  --port N      first port (one that is free)`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10' },
    keys: { type: 'string', default: '500' },
    lanes: { type: 'string', default: '8' },
    port: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const beforeMs = 1_000;
const afterMs = 3_000;

async function oneRun(signal: 'SIGKILL' | 'SIGSTOP'): Promise<Outage> {
  const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-takeover-'));
  try {
    const basePort = values.port === undefined ? await freeBasePort() : Number(values.port);
    const cluster = await RealCluster.start({ dir: join(dir, 'data'), basePort, upArguments: ['--no-restart'] });
    try {
      const counts = { keys: Number(values.keys), lanes: Number(values.lanes) };
      return await runOutage({ cluster, signal, ...counts, beforeMs, afterMs });
    } finally {
      await cluster.kill();
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

function line(what: string, gapsMs: readonly number[]): string {
  const { median, max } = medianAndMax(gapsMs);
  return `${what.padEnd(18)} median ${median.toFixed(0).padStart(5)} ms, max ${max.toFixed(0).padStart(5)} ms`;
}

async function main(): Promise<void> {
  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    const outages: Outage[] = [];
    for (let run = 0; run < Number(values.runs); run += 1) {
      const outage = await oneRun(signal);
      outages.push(outage);
      const { writeGapMs, readGapMs, errors, lost } = outage;
      console.log(
        `${signal} run ${run}: writes ${writeGapMs.toFixed(0)} ms, reads ${readGapMs.toFixed(0)} ms, ${errors.length} errors, ${lost.length} lost ${errors[0] ?? ''}`,
      );
    }
    console.log(
      line(
        `${signal} writes`,
        outages.map(({ writeGapMs }) => writeGapMs),
      ),
    );
    console.log(
      line(
        `${signal} reads`,
        outages.map(({ readGapMs }) => readGapMs),
      ),
    );
  }
}

if (values.help) console.log(usage);
else await main();
