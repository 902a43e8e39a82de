import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LifeResult } from '../../sim/life.ts';
import type { Plan } from '../../sim/plan.ts';
import { drawPlan } from '../../sim/draw-plan.ts';
import { describeReduction, shrink, signatureOf } from '../../sim/shrink.ts';

const drawn = drawPlan(1);
const plan: Plan = {
  ...drawn,
  cluster: { ...drawn.cluster, gateways: 3, loggers: 3, replicas: 3, shards: 4 },
  faults: [
    { kind: 'cut', atMs: 900, from: 'client1', to: 'gateway0' },
    { kind: 'kill', atMs: 1_000, node: 'logger0', how: 'power', downMs: 5 },
    { kind: 'pause', atMs: 1_100, node: 'gateway2', forMs: 5 },
    { kind: 'blackout', atMs: 1_200, nodes: ['logger0', 'logger1', 'logger2'], downMs: 5 },
    { kind: 'clock-jump', atMs: 1_300, node: 'logger2', byMs: 5 },
  ],
};

function lifeOf({ seed }: Plan, reason: string | undefined): LifeResult {
  const verdict =
    reason === undefined ? ({ kind: 'ok' } as const) : ({ kind: 'wrong', reason, stack: undefined } as const);
  return {
    seed,
    verdict,
    hash: '',
    events: 0,
    turns: 0,
    simulatedMs: 0,
    coverage: {},
    faults: {},
    last: [],
    history: '',
  };
}

/** Fails when a logger loses power before a blackout, with 100 operations or more, and only with every other seed. */
async function run(candidate: Plan): Promise<LifeResult> {
  const kinds = candidate.faults.map(({ kind }) => kind);
  const isBroken = kinds.includes('kill') && kinds.indexOf('blackout') > kinds.indexOf('kill');
  if (!isBroken || candidate.workload.operations < 100)
    return lifeOf(candidate, kinds.length === 1 ? 'Violation: another' : undefined);
  return lifeOf(candidate, candidate.seed % 2 === 1 ? `Violation: S5 zone ${candidate.faults.length}` : undefined);
}

test('what the failure does not need is taken away, and nothing else', async () => {
  const said: string[] = [];
  const shrunk = await shrink(plan, await run(plan), { run, say: (text) => said.push(text) });
  assert.deepEqual(
    shrunk.plan.faults.map(({ kind }) => kind),
    ['kill', 'blackout'],
  );
  assert.ok(
    shrunk.plan.workload.operations >= 100 && shrunk.plan.workload.operations < 200,
    `${shrunk.plan.workload.operations} operations`,
  );
  assert.deepEqual(
    [
      shrunk.plan.cluster.gateways,
      shrunk.plan.cluster.loggers,
      shrunk.plan.cluster.replicas,
      shrunk.plan.cluster.shards,
    ],
    [1, 1, 1, 1],
  );
  assert.deepEqual(shrunk.plan.faults[1], { ...plan.faults[3], atMs: shrunk.plan.faults[1]?.atMs, nodes: ['logger0'] });
  assert.equal(signatureOf(await run(shrunk.plan)), signatureOf(shrunk.result));
  assert.ok(said.length > 0, 'it says what it does');
  assert.match(describeReduction(plan, shrunk.plan), /taken away: faults cut, pause, clock-jump/);
});

test('another failure is not the same one, the same at another place is', () => {
  const wrong = (reason: string): string => signatureOf(lifeOf(plan, reason));
  assert.equal(wrong('Violation: S5 put of k1 at zone 12'), wrong('Violation: S5 put of k33 at zone 7'));
  assert.notEqual(wrong('Violation: S5 put'), wrong('Violation: S10 put'));
  assert.notEqual(wrong('Violation: S5 put'), signatureOf(lifeOf(plan, undefined)));
});

test('it ends after so many lives', async () => {
  let lives = 0;
  const counted = (candidate: Plan): Promise<LifeResult> => {
    lives += 1;
    return run(candidate);
  };
  const shrunk = await shrink(plan, await run(plan), { run: counted, say: () => undefined, livesMax: 7 });
  assert.equal(lives, 7);
  assert.equal(shrunk.lives, 7);
});
