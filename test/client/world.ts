/** A simulated world with fake gateways and a client in it. */
import { strict as assert } from 'node:assert';
import { KvError } from '../../src/base/errors.ts';
import type { Client } from '../../src/client/client.ts';
import { connectWith } from '../../src/client/connect.ts';
import type { ClientOptions } from '../../src/client/types.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { FakeCluster } from './fake-gateway.ts';
import { MemoryNetwork } from './memory-network.ts';

export class World {
  readonly clock = new SimulatedClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly cluster: FakeCluster;
  /** Holds of the process less releases: 0 when nothing is under way. */
  holds = 0;

  constructor(gatewayCount = 3, shards = 3) {
    this.cluster = new FakeCluster(this.network, this.clock, gatewayCount, shards);
  }

  static async started(gatewayCount?: number, shards?: number): Promise<World> {
    const world = new World(gatewayCount, shards);
    await world.cluster.start();
    return world;
  }

  connect(options: ClientOptions = {}, endpoints?: string | readonly string[]): Promise<Client> {
    return this.run(this.connecting(options, endpoints));
  }

  /** Begins to connect; the test runs the world. */
  connecting(
    options: ClientOptions = {},
    endpoints: string | readonly string[] = this.cluster.gateways.map((gateway) => gateway.address),
  ): Promise<Client> {
    const hold = { hold: () => void this.holds++, release: () => void this.holds-- };
    const { clock, network } = this;
    return connectWith({ clock, network, random: new SimulatedRandom(1) }, hold, endpoints, options);
  }

  /** Connected, and all links are up. */
  async client(options: ClientOptions = {}): Promise<Client> {
    const client = await this.connect(options);
    await this.clock.runUntil(this.clock.now() + 10);
    return client;
  }

  /** Runs the world until the promise settles. @throws what it rejects with */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    await this.clock.runUntil(() => settled, 100_000);
    assert.ok(settled, 'every promise settles');
    return promise;
  }

  /** The KvError that the promise rejects with. */
  failure(promise: Promise<unknown>): Promise<KvError> {
    return this.run(this.failing(promise));
  }

  /** The same, for when the test runs the world: only one at a time may. */
  async failing(promise: Promise<unknown>): Promise<KvError> {
    try {
      await promise;
    } catch (error) {
      assert.ok(error instanceof KvError, String(error));
      return error;
    }
    return assert.fail('it was expected to fail');
  }

  advance(milliseconds: number): Promise<boolean> {
    return this.clock.runUntil(this.clock.now() + milliseconds);
  }
}
