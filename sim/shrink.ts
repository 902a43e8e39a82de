/**
 * Makes a failing plan smaller while it goes on to fail in the same way: fewer faults, a shorter workload, a smaller
 * cluster, a plainer world.
 *
 * What happens in a life hangs on everything in it: with one fault less another message is late. So a smaller plan that
 * does not fail is tried with a few other seeds, and the plan that is left stands for itself: it is run from a file
 * (`--plan`), not drawn from its seed.
 */
import type { FaultRow } from './faults/actor.ts';
import { faultTable } from './faults/table.ts';
import type { LifeResult } from './life.ts';
import type { Fault, OperationKind, Plan, WorkloadPlan } from './plan.ts';
import { clientHost, gatewayHost, loggerHost } from './hosts.ts';

export interface ShrinkOptions {
  readonly run: (plan: Plan) => Promise<LifeResult>;
  /** Called with a line for each step. */
  readonly say: (text: string) => void;
  /** Lives that are run, at most. */
  readonly livesMax?: number;
}

export interface Shrunk {
  readonly plan: Plan;
  readonly result: LifeResult;
  readonly lives: number;
}

const livesMaxDefault = 400;
/** Seeds that each smaller plan is tried with. */
const seedsMax = 3;

/** REQUIRES: `failure` is what a run of `plan` gave, and no success. */
export async function shrink(
  plan: Plan,
  failure: LifeResult,
  { run, say, livesMax = livesMaxDefault }: ShrinkOptions,
): Promise<Shrunk> {
  const wanted = signatureOf(failure);
  let best: { readonly plan: Plan; readonly result: LifeResult } = { plan, result: failure };
  let lives = 0;
  const fails = async (candidate: Plan): Promise<boolean> => {
    for (let other = 0; other < seedsMax && lives < livesMax; other += 1) {
      const seeded = other === 0 ? candidate : { ...candidate, seed: candidate.seed + other };
      const result = await run(seeded);
      lives += 1;
      if (signatureOf(result) !== wanted) continue;
      best = { plan: seeded, result };
      return true;
    }
    return false;
  };
  for (let isSmaller = true; isSmaller && lives < livesMax; ) {
    isSmaller = false;
    for (const reduction of reductions) {
      for (const edit of reduction(best.plan)) {
        const candidate = edit(best.plan);
        if (candidate === undefined || !(await fails(candidate))) continue;
        say(`  life ${lives}: fails as well with ${describeSize(best.plan)}`);
        isSmaller = true;
      }
    }
  }
  return { ...best, lives };
}

/** Two failures are the same when only numbers and names differ in what is said of them, but not the rule. */
export function signatureOf({ verdict }: Pick<LifeResult, 'verdict'>): string {
  if (verdict.kind === 'ok') return 'ok';
  const words = verdict.reason
    .replace(/\b[0-9a-f]{8,}\b/g, '#')
    .replace(/\bS[0-9]+|[0-9]+/g, (found) => (found.startsWith('S') ? found : '#'));
  return `${verdict.kind}: ${words.slice(0, 40)}`;
}

/** Makes a plan smaller. Undefined: it is as small as that already. */
type Edit = (plan: Plan) => Plan | undefined;

/** Edits for a plan like this one, the boldest first. Each is made to what the ones before it have left. */
const reductions: readonly ((plan: Plan) => Iterable<Edit>)[] = [
  fewerFaults,
  () => [earlierFaults, withoutRaw],
  () => [shorterWorkload(0.25), shorterWorkload(0.5), shorterWorkload(0.75)],
  () => [oneShard, fewerGateways, fewerLoggers, fewerClients, fewerWorkers],
  () => [fewerKeys, shorterValues],
  ({ workload }) => kindsOf(workload).map(withoutCalls),
  () => [wholeMessages, rightClocks],
  ({ cluster }) => Object.keys(cluster.knobs ?? {}).map(withoutKnob),
];

/** Takes stretches of the faults away, first all of them, in the end each alone. */
function* fewerFaults({ faults }: Plan): Generator<Edit> {
  for (let size = faults.length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < faults.length; from += size) {
      const taken = new Set(faults.slice(from, from + size));
      yield (plan) => {
        const kept = plan.faults.filter((fault) => !taken.has(fault));
        return kept.length === plan.faults.length ? undefined : { ...plan, faults: kept };
      };
    }
  }
}

/** Faults that come sooner: what happens before the first one is mostly of no importance. */
function earlierFaults(plan: Plan): Plan | undefined {
  const byMs = Math.floor((plan.faults[0]?.atMs ?? 0) / 2);
  return byMs < 50
    ? undefined
    : { ...plan, faults: plan.faults.map((fault) => ({ ...fault, atMs: fault.atMs - byMs })) };
}

function withoutRaw({ raw, ...plan }: Plan): Plan | undefined {
  return raw === undefined ? undefined : plan;
}

/** Fewer operations at the same pace. */
function shorterWorkload(part: number): Edit {
  return (plan) => {
    const { workload } = plan;
    const operations = Math.floor(workload.operations * part);
    return operations < 5
      ? undefined
      : { ...plan, workload: { ...workload, operations, durationMs: Math.ceil(workload.durationMs * part) } };
  };
}

function oneShard(plan: Plan): Plan | undefined {
  return plan.cluster.shards === 1 ? undefined : { ...plan, cluster: { ...plan.cluster, shards: 1 } };
}

function fewerGateways(plan: Plan): Plan | undefined {
  const gateways = plan.cluster.gateways - 1;
  return gateways === 0
    ? undefined
    : withoutNode({ ...plan, cluster: { ...plan.cluster, gateways } }, gatewayHost(gateways));
}

function fewerLoggers(plan: Plan): Plan | undefined {
  const { cluster } = plan;
  const loggers = cluster.loggers - 1;
  if (loggers === 0) return undefined;
  const replicas = Math.min(cluster.replicas, loggers);
  const smaller = { ...cluster, loggers, replicas, minReplicas: Math.min(cluster.minReplicas, replicas) };
  return withoutNode({ ...plan, cluster: smaller }, loggerHost(loggers));
}

function fewerClients(plan: Plan): Plan | undefined {
  const clients = plan.workload.clients - 1;
  return clients === 0
    ? undefined
    : withoutNode({ ...plan, workload: { ...plan.workload, clients } }, clientHost(clients));
}

function fewerWorkers(plan: Plan): Plan | undefined {
  const { workload } = plan;
  if (workload.workersPerClient === 1) return undefined;
  return { ...plan, workload: { ...workload, workersPerClient: Math.ceil(workload.workersPerClient / 2) } };
}

function fewerKeys(plan: Plan): Plan | undefined {
  const { workload } = plan;
  if (workload.keys === 1) return undefined;
  const keys = Math.ceil(workload.keys / 3);
  return { ...plan, workload: { ...workload, keys, hotKeys: Math.min(workload.hotKeys, keys) } };
}

function shorterValues(plan: Plan): Plan | undefined {
  const { workload } = plan;
  return workload.valueBytesMax < 80
    ? undefined
    : { ...plan, workload: { ...workload, valueBytesMax: Math.ceil(workload.valueBytesMax / 4) } };
}

function withoutCalls(kind: OperationKind): Edit {
  return (plan) => {
    const { workload } = plan;
    return kindsOf(workload).length === 1
      ? undefined
      : { ...plan, workload: { ...workload, weights: { ...workload.weights, [kind]: 0 } } };
  };
}

function wholeMessages(plan: Plan): Plan | undefined {
  const { world } = plan;
  return world.splitProbability + world.joinProbability === 0
    ? undefined
    : { ...plan, world: { ...world, splitProbability: 0, joinProbability: 0 } };
}

function rightClocks(plan: Plan): Plan | undefined {
  const { clockRates, wallOffsetsMs } = plan.world;
  if (clockRates.every((rate) => rate === 1) && wallOffsetsMs.every((offset) => offset === 0)) return undefined;
  return {
    ...plan,
    world: { ...plan.world, clockRates: clockRates.map(() => 1), wallOffsetsMs: wallOffsetsMs.map(() => 0) },
  };
}

/** The limit at its default. */
function withoutKnob(gone: string): Edit {
  return (plan) => {
    const kept = Object.entries(plan.cluster.knobs ?? {}).filter(([name]) => name !== gone);
    return { ...plan, cluster: { ...plan.cluster, knobs: Object.fromEntries(kept) } };
  };
}

/** The plan without faults of a node that is not there. */
export function withoutNode(plan: Plan, gone: string): Plan {
  return { ...plan, faults: plan.faults.flatMap((fault) => faultWithout(fault, gone)) };
}

function faultWithout(fault: Fault, gone: string): Fault[] {
  if ('node' in fault && fault.node === gone) return [];
  if ('from' in fault && (fault.from === gone || fault.to === gone)) return [];
  const row: FaultRow<Fault> = faultTable[fault.kind];
  return [row.without?.(fault, gone) ?? fault];
}

function kindsOf(workload: WorkloadPlan): OperationKind[] {
  return (Object.keys(workload.weights) as OperationKind[]).filter((kind) => workload.weights[kind] > 0);
}

function describeSize({ faults, cluster, workload }: Plan): string {
  return (
    `${faults.length} faults, ${workload.operations} operations of ${kindsOf(workload).length} kinds on ${workload.keys} keys ` +
    `by ${workload.clients} x ${workload.workersPerClient}; ${cluster.gateways} gateways, ${cluster.loggers} loggers, ${cluster.shards} shards`
  );
}

/** Sizes of the plan before and after, for people. */
export function describeReduction(before: Plan, after: Plan): string {
  const taken = [...before.faults];
  for (const { kind } of after.faults) {
    const at = taken.findIndex((fault) => fault.kind === kind);
    taken.splice(at, 1);
  }
  const calls = kindsOf(before.workload).filter((kind) => after.workload.weights[kind] === 0);
  return [
    `from  ${describeSize(before)}`,
    `to    ${describeSize(after)}`,
    `taken away: faults ${taken.map(({ kind }) => kind).join(', ') || 'none'}; calls ${calls.join(', ') || 'none'}`,
  ].join('\n');
}
