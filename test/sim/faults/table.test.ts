import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { budget } from '../../../sim/budget.ts';
import { drawPlan, themes, withSettings } from '../../../sim/draw-plan.ts';
import { drawFault } from '../../../sim/faults/draw.ts';
import type { FaultKind } from '../../../sim/faults/table.ts';
import { faultTable } from '../../../sim/faults/table.ts';
import { runLife } from '../../../sim/life.ts';
import type { Fault, Plan } from '../../../sim/plan.ts';
import { withoutNode } from '../../../sim/shrink.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';

const cast = { gateways: ['gateway0', 'gateway1'], loggers: ['logger0', 'logger1'], clients: ['client0'] };
const kinds = Object.keys(faultTable) as FaultKind[];

function draws(kind: FaultKind): readonly Fault[] {
  const random = new SimulatedRandom(kind);
  return Array.from({ length: 50 }, (_, atMs) => drawFault(random, cast, kind, atMs));
}

describe('every kind of fault', () => {
  for (const kind of kinds) {
    test(`${kind}: is drawn as itself, as plain data, within the budget`, () => {
      for (const [atMs, fault] of draws(kind).entries()) {
        assert.equal(fault.kind, kind);
        assert.equal(fault.atMs, atMs);
        assert.deepEqual(JSON.parse(JSON.stringify(fault)), fault);
        if ('downMs' in fault) assert.ok(fault.downMs <= budget.downMsMax, `${fault.downMs} ms down`);
        if ('forMs' in fault) assert.ok(fault.forMs <= budget.lastingMsMax + 200, `lasts ${fault.forMs} ms`);
      }
    });

    test(`${kind}: names no host that a smaller cluster lacks`, () => {
      const plan: Plan = { ...drawPlan(1), faults: draws(kind) };
      for (const gone of [...cast.gateways, ...cast.loggers, ...cast.clients])
        assert.doesNotMatch(JSON.stringify(withoutNode(plan, gone).faults), new RegExp(`"${gone}"`));
    });

    test(`${kind}: a life of nothing else ends well, healed in the middle of it`, async () => {
      const calm = { ...drawPlan(2), cluster: { ...drawPlan(2).cluster, gateways: 2, loggers: 2, replicas: 2 } };
      const plan: Plan = {
        ...calm,
        workload: { ...calm.workload, clients: 1, operations: 60, durationMs: 600 },
        faults: draws(kind)
          .slice(0, 4)
          .map((fault, index) => ({ ...fault, atMs: 100 + 150 * index })),
      };
      const { verdict, faults } = await runLife(withSettings(plan));
      assert.equal(verdict.kind, 'ok', verdict.kind === 'ok' ? '' : verdict.reason);
      assert.ok((faults[kind] ?? 0) > 0);
    });
  }
});

test('every theme is drawn, under a name of its own, with faults in the order of time', () => {
  const plans = Array.from({ length: 100 }, (_, index) => drawPlan(index + 1));
  assert.deepEqual([...new Set(plans.map(({ theme }) => theme))].sort(), themes.map(({ theme }) => theme.name).sort());
  for (const { faults } of plans)
    assert.deepEqual(
      [...faults].sort((a, b) => a.atMs - b.atMs),
      faults,
    );
});
