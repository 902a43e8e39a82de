/** The real world, whole: what entry points hand to nodes and clients. */
import type { Environment } from '../environment.ts';
import { RealClock } from './clock.ts';
import { realFiles } from './files.ts';
import { RealNetwork } from './network.ts';
import { RealRandom } from './random.ts';

export function realEnvironment(): Environment {
  return { clock: new RealClock(), random: new RealRandom(), files: realFiles(), network: new RealNetwork() };
}
