import type { Clock } from './clock.ts';
import type { Files } from './files.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';

/** The world a node lives in: real, or the simulator's. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly network: Network;
}
