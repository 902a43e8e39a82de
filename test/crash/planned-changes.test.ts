/** What an operator does with loggers of real processes, by the command, while clients write and read. */
import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { fill, Load } from '../../bench/lib/outage.ts';
import { freeBasePort, RealCluster } from '../../bench/lib/real-cluster.ts';
import { connect } from '../../src/client/index.ts';
import { runCommand } from '../cli/fake-io.ts';

const keys = Array.from({ length: 40 }, (_, index) => `key${index}`);

const statusShape = z.looseObject({
  loggers: z.array(z.looseObject({ standing: z.string().optional(), listedZones: z.int().optional() })),
  shards: z.array(z.looseObject({ replicas: z.array(z.string()), lackingCopies: z.int(), sealedZones: z.int() })),
});
type Status = z.infer<typeof statusShape>;

class Operator {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async say(...words: readonly string[]): Promise<void> {
    const { code, err } = await this.#run('logger', ...words);
    assert.equal(code, 0, err);
  }

  async status(): Promise<Status> {
    return statusShape.parse(JSON.parse((await this.#run('status', '--json')).out));
  }

  /** Looks until it is so. */
  async sees(what: string, isSo: (status: Status) => boolean): Promise<void> {
    let status = await this.status();
    for (let look = 0; look < 300 && !isSo(status); look += 1) {
      await sleep(200);
      status = await this.status();
    }
    assert.ok(isSo(status), `${what}: ${JSON.stringify(status)}`);
  }

  #run(...argv: readonly string[]): ReturnType<typeof runCommand> {
    return runCommand(this.#dir, [...argv, '--config', join(this.#dir, 'data', 'cluster.json')]);
  }
}

const listed = ({ loggers }: Status, number: number): number => loggers[number]?.listedZones ?? -1;
const lacking = ({ shards }: Status): number => shards.reduce((sum, { lackingCopies }) => sum + lackingCopies, 0);

async function startCluster(context: TestContext, dir: string, ...upArguments: string[]): Promise<RealCluster> {
  const basePort = await freeBasePort(3, 4);
  const cluster = await RealCluster.start({ dir: join(dir, 'data'), basePort, upArguments });
  context.after(() => cluster.kill());
  return cluster;
}

test(
  'a fourth logger takes new zones, one drains under load and is removed, one is killed and declared lost: no call ' +
    'fails, nothing is lost, and the others hold everything',
  { timeout: 240_000 },
  async (context) => {
    const dir = await mkdtemp(join(tmpdir(), 'kv-filelog-planned-'));
    context.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
    const operator = new Operator(dir);
    const first = await startCluster(context, dir, '--loggers', '3', '--replicas', '2', '--zone-size', '262144');
    {
      await using client = await connect(first.endpoints);
      await fill(client, keys.length);
      for (const key of keys) await client.put(`large-${key}`, Buffer.alloc(60_000, key));
    }
    await first.stop();

    const base = Number(first.endpoints[0]?.split(':').at(-1));
    const cluster = await RealCluster.start({
      dir: join(dir, 'data'),
      basePort: base,
      upArguments: ['--loggers', '4', '--no-restart'],
    });
    context.after(() => cluster.kill());
    await using client = await connect(cluster.endpoints);
    const load = new Load(client, keys, 4);
    load.count();
    for (const key of keys) await client.put(`more-${key}`, Buffer.alloc(60_000, key));
    await operator.sees('the new logger has zones', (status) => listed(status, 3) > 0);

    await operator.say('drain', '0');
    await operator.sees('logger 0 has drained', (status) => listed(status, 0) === 0 && lacking(status) === 0);
    await kill(cluster, 'logger 0');
    await rm(join(dir, 'data', 'logger-0'), { recursive: true });
    await operator.say('lost', '0');

    await kill(cluster, 'logger 1');
    await sleep(500);
    await operator.say('lost', '1');
    await operator.sees('all is at the two that are left', (status) => {
      return (
        lacking(status) === 0 && listed(status, 1) === 0 && status.shards.every((one) => one.replicas.length === 2)
      );
    });
    await load.stop();
    assert.deepEqual([load.errors, await load.lost()], [[], []]);
    for (const name of ['large', 'more'])
      for (const key of keys)
        assert.equal(Buffer.alloc(60_000, key).compare((await client.get(`${name}-${key}`))?.value ?? Buffer.of()), 0);
  },
);

async function kill(cluster: RealCluster, name: string): Promise<void> {
  process.kill(cluster.processes.get(name) ?? 0, 'SIGKILL');
  for (let look = 0; look < 100 && cluster.processes.has(name); look += 1) await sleep(50);
}
