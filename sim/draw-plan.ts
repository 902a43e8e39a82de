/** The plan of a seed: which theme, and what is drawn for it. */
import { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { FaultRow } from './faults/actor.ts';
import { drawFaults } from './faults/draw.ts';
import { faultTable } from './faults/table.ts';
import { clientHost, gatewayHost, loggerHost } from './hosts.ts';
import { drawKnobs } from './knobs.ts';
import { pick } from './pick.ts';
import type { Fault, Plan, Theme } from './plan.ts';
import { drawRaw } from './raw-plan.ts';
import { anything, drawCluster, drawWorkload, drawWorld } from './themes/anything.ts';
import { blackout } from './themes/blackout.ts';
import { planned } from './themes/planned.ts';
import { rivals } from './themes/rivals.ts';
import { storage } from './themes/storage.ts';
import { successors } from './themes/successors.ts';

/** Themes; of the sum of all `lives` so many are of each. */
export const themes: readonly { readonly theme: Theme; readonly lives: number }[] = [
  { theme: anything, lives: 8 },
  { theme: rivals, lives: 4 },
  { theme: storage, lives: 7 },
  { theme: blackout, lives: 2 },
  { theme: planned, lives: 4 },
  { theme: successors, lives: 2 },
];

/** Time after the workload should have ended, within which faults may begin. */
const faultsAfterMs = 500;

export function drawPlan(seed: number): Plan {
  const random = new SimulatedRandom(seed).fork('plan');
  const theme = drawTheme(random);
  const parts = theme.draw(random.fork(theme.name));
  const knobs = drawKnobs(random.fork('knobs'));
  const cluster = { ...drawCluster(random.fork('cluster')), knobs, ...parts.cluster };
  const world = { ...drawWorld(random.fork('world'), cluster), ...parts.world };
  const workload = { ...drawWorkload(random.fork('workload'), cluster), ...parts.workload };
  const cast = {
    gateways: names(cluster.gateways, gatewayHost),
    loggers: names(cluster.loggers, loggerHost),
    clients: names(workload.clients, clientHost),
  };
  const draw = theme.drawFaults ?? drawFaults;
  const faults = parts.faults ?? draw(random.fork('faults'), cast, workload.durationMs + faultsAfterMs);
  const raw = drawRaw(random.fork('raw'));
  return withSettings({ seed, theme: theme.name, cluster, world, workload, raw, faults });
}

/** The plan with the settings without which its faults could not be survived. */
export function withSettings(plan: Plan): Plan {
  const rows: readonly FaultRow<Fault>[] = plan.faults.map(({ kind }) => faultTable[kind]);
  return { ...plan, cluster: rows.reduce((cluster, { settings }) => ({ ...cluster, ...settings }), plan.cluster) };
}

function drawTheme(random: SimulatedRandom): Theme {
  return pick(
    random,
    themes.flatMap(({ theme, lives }) => Array.from({ length: lives }, () => theme)),
  );
}

function names(count: number, name: (id: number) => string): string[] {
  return Array.from({ length: count }, (_, id) => name(id));
}
