/** Entry point of the SDK: builds the real world and connects in it. */
import { times } from '../base/times.ts';
import type { Environment } from '../env/environment.ts';
import { RealClock } from '../env/real/clock.ts';
import { RealNetwork } from '../env/real/network.ts';
import { ProcessHold } from '../env/real/process-hold.ts';
import { RealRandom } from '../env/real/random.ts';
import { openChannel } from '../rpc/channel.ts';
import { clientOptions } from '../rpc/options.ts';
import { endpointsOf, settingsOf } from './arguments.ts';
import { Client } from './client.ts';
import { Dispatcher } from './dispatcher.ts';
import type { ProcessHold as Hold } from './dispatcher.ts';
import type { ClientOptions } from './types.ts';

/** A gateway that is silent for this long while requests wait is left: they go to another one within their time. */
const channelOptions = clientOptions({ progressTimeoutMs: times.gatewayProgressMs });

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
  world: Pick<Environment, 'clock' | 'random' | 'network'>,
  processHold: Hold,
  endpoints: string | readonly string[],
  options: ClientOptions,
): Promise<Client> {
  const settings = settingsOf(options);
  const addresses = endpointsOf(endpoints);
  const { clock, random, network } = world;
  const dispatcher = new Dispatcher(
    {
      clock,
      random,
      openChannel: (address, handler) => openChannel(network.connect(address), clock, channelOptions, handler),
    },
    addresses,
    settings,
    processHold,
  );
  await dispatcher.open(addresses);
  return new Client(dispatcher, settings);
}
