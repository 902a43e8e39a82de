/** S10: bits that flip in zones that nobody reads, under real processes: `verify`, and the scrub. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { connect } from '../../src/client/index.ts';
import { startCluster } from '../../src/server/index.ts';
import { flipBits } from '../support/flip-bits.ts';
import { runCommand, type CommandResult } from './fake-io.ts';
import { startUp, writeCluster } from './up-process.ts';

const small = { zoneSize: 1024 * 1024, device: { capacityBytes: 64 * 1024 * 1024 } };

interface Rotten {
  readonly run: (...argv: readonly string[]) => Promise<CommandResult>;
  /** Zones of logger 1 with a wrong bit, as `shard/zone`. */
  readonly zones: ReadonlySet<string>;
}

const copyShape = z.looseObject({ shard: z.int(), zone: z.int(), number: z.int() });
const verifiedShape = z.looseObject({
  damaged: z.array(copyShape.extend({ offset: z.int(), problem: z.string() })),
  unreached: z.array(z.unknown()),
  repaired: z.array(copyShape.extend({ outcome: z.string() })).optional(),
});
const zonesShape = z.looseObject({
  zones: z.array(z.looseObject({ logger: z.int(), shard: z.int(), zone: z.int(), state: z.string() })),
});
const statusShape = z.looseObject({
  shards: z.array(z.looseObject({ scrub: z.looseObject({ damaged: z.int(), passes: z.int() }) })),
});

/** A cluster in which a bit has flipped in each ended zone of logger 1. */
async function rottenCluster(context: TestContext, settings: Readonly<Record<string, number>>): Promise<Rotten> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  const dir = path.join(folder, 'data');
  await writeCluster(dir, 1, 3, { zoneSize: 1024 * 1024, ...settings });
  const up = startUp(dir);
  context.after(() => up.stop());
  const { endpoints = [] } = await up.event(({ event }) => event === 'ready');
  {
    await using client = await connect(endpoints, { timeoutMs: 30_000 });
    for (let key = 0; key < 30; key++) await client.put(`key${key}`, Buffer.alloc(100_000, key));
  }
  const run = (...argv: readonly string[]) => runCommand(dir, [...argv, '--config', path.join(dir, 'cluster.json')]);
  const listed = zonesShape.parse(JSON.parse((await run('zones', '--json')).out)).zones;
  const ended = listed.filter(({ logger, state }) => logger === 1 && state === 'finished');
  const names = new Set(ended.map(({ shard, zone }) => `${shard}/${zone}`));
  const zones = await flipBits(path.join(dir, 'logger-1', 'device'), names);
  assert.ok(zones.size >= 2, `${zones.size} zones have wrong bits`);
  return { run, zones };
}

const namesOf = (copies: readonly z.infer<typeof copyShape>[]): Set<string> =>
  new Set(copies.map(({ shard, zone }) => `${shard}/${zone}`));

test(
  'S10 verify names each damaged copy and where; with --repair it is made anew',
  { timeout: 180_000 },
  async (context) => {
    const { run, zones } = await rottenCluster(context, { scrubBytesPerSecond: 0 });
    const found = await run('verify');
    assert.equal(found.code, exitCodes.wrong, found.err);
    assert.match(
      found.out,
      /logger +shard +zone +good up to +of +what is wrong there\n +1 +0 +\d+ +\d+ +\d+ +batch: wrong/,
    );
    assert.match(found.out, /copies are sound \(.*\); `.*verify --repair` has damaged ones made anew/);

    const { damaged, unreached } = verifiedShape.parse(JSON.parse((await run('verify', '--json')).out));
    assert.deepEqual(namesOf(damaged), zones);
    assert.ok(damaged.every(({ number }) => number === 1));
    assert.equal(unreached.length, 0);

    const repaired = await run('verify', '--repair', '--json', '--wait', '60000');
    assert.equal(repaired.code, exitCodes.ok, repaired.out + repaired.err);
    const said = verifiedShape.parse(JSON.parse(repaired.out)).repaired ?? [];
    assert.deepEqual(namesOf(said), zones);
    assert.ok(
      said.every(({ outcome }) => outcome === 'replaced'),
      repaired.out,
    );

    const clean = await run('verify');
    assert.equal(clean.code, exitCodes.ok, clean.out + clean.err);
    assert.match(clean.out, /all \d+ copies of \d+ zones are sound/);
  },
);

test('S10 the scrub finds and repairs damage that no read meets', { timeout: 180_000 }, async (context) => {
  const { run, zones } = await rottenCluster(context, { scrubBytesPerSecond: 64 * 1024 * 1024, scrubEveryMs: 1_000 });
  for (let round = 0; round < 600; round++) {
    const { shards } = statusShape.parse(JSON.parse((await run('status', '--json')).out));
    if (shards.some(({ scrub }) => scrub.damaged >= zones.size && scrub.passes > 0)) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  let last = await run('verify');
  for (let round = 0; round < 100 && last.code !== exitCodes.ok; round++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    last = await run('verify');
  }
  assert.equal(last.code, exitCodes.ok, last.out + last.err);
  assert.match((await run('status')).out, /scrubbed[\s\S]* ago, \d+ found damaged/);
});

test('verify says which copies could not be read, and why', { timeout: 60_000 }, async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  await using cluster = await startCluster({ folder: path.join(folder, 'data'), loggers: 2, ...small });
  await using client = await connect(cluster.endpoints);
  await client.put('key', 'value');
  const variables = { KV_FILELOG_ENDPOINTS: cluster.endpoints.join(',') };
  const whole = await runCommand(folder, ['verify'], { variables });
  assert.equal(whole.code, exitCodes.ok, whole.err);
  assert.match(whole.out, /all 2 copies of one zone are sound/, 'the open zone, as far as it is committed');
  await cluster.loggers[1]?.close();
  const { code, out } = await runCommand(folder, ['verify'], { variables });
  assert.equal(code, exitCodes.failed);
  assert.match(out, /\d cop(y|ies) of logger 1 could not be read: .*refused/);
});

test('verify checks its options', async () => {
  for (const option of [
    ['--rate', '1'],
    ['--rate', 'much'],
    ['--wait', '0'],
  ]) {
    const refused = await runCommand(tmpdir(), ['verify', ...option]);
    assert.equal(refused.code, exitCodes.usage);
    assert.match(refused.err, /Allowed: an integer from/);
  }
});
