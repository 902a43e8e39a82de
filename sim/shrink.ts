/** Makes a failing plan smaller while it goes on to fail in the same way: fewer faults, a shorter workload, fewer clients. */
import type { Verdict } from './life.ts';
import type { LifeResult } from './life.ts';
import { runLife } from './life.ts';
import type { Plan } from './plan.ts';

/** Lives tried at most. */
const triesMax = 150;

export async function shrink(
  plan: Plan,
  verdict: Verdict,
  say: (text: string) => void,
): Promise<{ readonly plan: Plan; readonly result: LifeResult }> {
  let best = plan;
  let bestResult = await runLife(plan);
  let tries = 1;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const candidate of candidates(best)) {
      if (tries >= triesMax) return { plan: best, result: bestResult };
      tries += 1;
      const result = await runLife(candidate);
      if (result.verdict.kind !== verdict.kind) continue;
      say(
        `  fails as well with ${candidate.faults.length} faults, ${candidate.workload.operations} operations, ${candidate.workload.clients} clients`,
      );
      best = candidate;
      bestResult = result;
      isSmaller = true;
      break;
    }
  }
  return { plan: best, result: bestResult };
}

/** Smaller plans, the boldest first. */
function* candidates(plan: Plan): Generator<Plan> {
  const { faults, workload } = plan;
  if (faults.length > 1) {
    const half = Math.floor(faults.length / 2);
    yield { ...plan, faults: faults.slice(0, half) };
    yield { ...plan, faults: faults.slice(half) };
  }
  for (const [index] of faults.entries()) yield { ...plan, faults: faults.toSpliced(index, 1) };
  if (workload.operations > 20) yield { ...plan, workload: { ...workload, operations: Math.floor(workload.operations / 2) } };
  if (workload.clients > 1) yield { ...plan, workload: { ...workload, clients: workload.clients - 1 } };
  if (workload.workersPerClient > 1)
    yield { ...plan, workload: { ...workload, workersPerClient: Math.ceil(workload.workersPerClient / 2) } };
  if (workload.keys > 1) yield { ...plan, workload: { ...workload, keys: Math.ceil(workload.keys / 3) } };
  for (const kind of Object.keys(workload.weights) as (keyof typeof workload.weights)[]) {
    if (workload.weights[kind] > 0) yield { ...plan, workload: { ...workload, weights: { ...workload.weights, [kind]: 0 } } };
  }
}
