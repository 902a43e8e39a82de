/** Entry point of the SDK: builds the real world and connects in it. */
import { RealClock } from '../env/real/clock.ts';
import { RealNetwork } from '../env/real/network.ts';
import { ProcessHold } from '../env/real/process-hold.ts';
import { RealRandom } from '../env/real/random.ts';
import { endpointsOf, settingsOf } from './arguments.ts';
import { Client } from './client.ts';
import { Dispatcher } from './dispatcher.ts';
import type { ProcessHold as Hold } from './lifetime.ts';
import type { LinkWorld } from './link.ts';
import type { ClientOptions } from './types.ts';

/**
 * Connects to a cluster through the client ports of any of its gateways (`'host:port'`, several in an array or
 * separated by commas), and learns of the others. Resolves when the first one has answered.
 * @throws KvError `bad-argument`, `address-invalid`; `unavailable` when no gateway answers within `connectTimeoutMs`;
 * `protocol-version`, `wrong-cluster` when all refuse.
 */
export function connect(endpoints: string | readonly string[], options: ClientOptions = {}): Promise<Client> {
  const world = { clock: new RealClock(), random: new RealRandom(), network: new RealNetwork() };
  return connectWith(world, new ProcessHold(), endpoints, options);
}

/** The same in any world. @internal */
export async function connectWith(
  world: LinkWorld,
  processHold: Hold,
  endpoints: string | readonly string[],
  options: ClientOptions,
): Promise<Client> {
  const settings = settingsOf(options);
  const addresses = endpointsOf(endpoints);
  const dispatcher = new Dispatcher(world, addresses, settings, processHold);
  await dispatcher.open(addresses);
  return new Client(dispatcher, settings);
}
