/**
 * A gateway: takes PUT, GET and DEL from clients, owns shards and stands by for others. This file only puts the parts
 * together; what they do stands in theirs. ARCHITECTURE.md walks a PUT through them.
 */
import type { InstanceId, ShardId, Uuid } from '../base/ids.ts';
import { instanceId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { times } from '../base/times.ts';
import type { GatewayStatus } from '../codec/node-status.ts';
import type { ClusterRecord } from '../coordinator/cluster-record.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { registerGateway } from '../coordinator/members.ts';
import { balancedOwners } from '../core/rendezvous.ts';
import type { ShardSettings } from '../core/shard/events.ts';
import { shardDefaults } from '../core/shard/events.ts';
import type { Owner } from '../core/shard/head/metadata.ts';
import { Shard } from '../core/shard/shard.ts';
import { asKvError } from '../env/as-kv-error.ts';
import type { ShardTrace } from '../core/shard/trace.ts';
import type { Timer } from '../env/clock.ts';
import type { Environment } from '../env/environment.ts';
import { lockFolder } from '../env/folder-lock.ts';
import type { Address } from '../env/network.ts';
import { randomHex } from '../env/random.ts';
import { Listening, RpcDoor } from '../rpc/listen.ts';
import { serverOptions } from '../rpc/options.ts';
import { ClientDoor } from './client-door.ts';
import { gatewayIdentity } from './identity.ts';
import { LoggerLinks } from './logger-links.ts';
import { MetadataStore } from './metadata-store.ts';
import { ClientIds, Numbering } from './numbering.ts';
import { PeerLinks } from './peer-links.ts';
import { Reconciler } from './reconciler.ts';
import { Router } from './router.ts';
import { allShards, ShardRunner } from './shard-runner.ts';
import { Snapshots } from './snapshots.ts';
import { gatewayStatus } from './status.ts';
import { TestbedDoor } from './testbed-door.ts';
import { ValueCache } from './value-cache.ts';
import { ValueFetcher } from './value-fetcher.ts';

export interface GatewayOptions {
  /** Number in the configuration, from 0. */
  readonly id: number;
  /** Gateways in the configuration: shards are spread over them. */
  readonly gatewayCount: number;
  readonly folder: string;
  readonly cluster: ClusterRecord;
  readonly clientAddress: Address;
  readonly peerAddress: Address;
  /** Replicas wanted for each zone; fewer when fewer loggers live, down to `minReplicas`. */
  readonly replicas: number;
  readonly minReplicas: number;
  /** 0: no value cache. */
  readonly valueCacheBytes: number;
  /**
   * A snapshot of a shard's index is taken when so many bytes of log have been applied, earlier when the index is
   * smaller.
   */
  readonly snapshotEveryBytes: number;
  readonly loggerTimeoutMs: number;
  readonly shardSettings?: Partial<ShardSettings>;
}

export interface GatewayNode {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
  readonly clientAddress: Address;
  readonly peerAddress: Address;
  status(): GatewayStatus;
  /** Stops serving, writes snapshots, lets go of everything. Idempotent. */
  close(): Promise<void>;
}

export type GatewayWorld = Environment & {
  readonly coordinator: Coordinator;
  readonly log: Log;
  /** Sees every step of every shard; nobody does by default. */
  readonly trace?: ShardTrace;
};

/**
 * Starts a gateway. It serves its shards when their take-over is done, a moment later; requests wait for that.
 * @throws KvError `folder-in-use`, `wrong-cluster`, `newer-format`, `data-damaged`, `port-in-use`, `address-invalid`,
 * `permission-denied`, `disk-full`, `device-failed`, `bad-argument`. @throws CoordinatorError
 */
export async function startGateway(options: GatewayOptions, world: GatewayWorld): Promise<GatewayNode> {
  const lock = await lockFolder(world.files, options.folder);
  try {
    return await Gateway.start(options, world, () => lock.release());
  } catch (error) {
    await lock.release();
    throw asKvError(error, options.folder) ?? error;
  }
}

class Gateway implements GatewayNode {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
  readonly #options: GatewayOptions;
  readonly #world: GatewayWorld;
  readonly #store: MetadataStore;
  readonly #runner: ShardRunner;
  readonly #loggers: LoggerLinks;
  readonly #peers: PeerLinks;
  readonly #snapshots: Snapshots;
  readonly #reconciler: Reconciler;
  readonly #cache: ValueCache;
  readonly #listening: Listening;
  /** Addresses of the peer and the client port, in this order, once they are open. */
  readonly #addresses: Address[] = [];
  readonly #doors: ClientDoor[] = [];
  readonly #release: () => Promise<void>;
  readonly #self: Owner;
  #router: Router | undefined;
  /** The own shards are being taken, or were. */
  #hasClaimed = false;
  #standbyTimer: Timer | undefined;
  #standbys: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  static async start(options: GatewayOptions, world: GatewayWorld, release: () => Promise<void>): Promise<Gateway> {
    const node = await gatewayIdentity(world.files, options.folder, options.cluster.cluster, world.random);
    const instance = instanceId(randomHex(world.random, 8));
    const gateway = new Gateway(options, world, { gateway: options.id, node, instance }, release);
    try {
      await gateway.#open();
    } catch (error) {
      await gateway.close();
      throw error;
    }
    return gateway;
  }

  private constructor(options: GatewayOptions, world: GatewayWorld, self: Owner, release: () => Promise<void>) {
    const { cluster, zoneSize, shardCount } = options.cluster;
    const { log } = world;
    this.uuid = self.node;
    this.instance = self.instance;
    this.#options = options;
    this.#world = world;
    this.#release = release;
    this.#self = self;
    this.#listening = new Listening(world);
    this.#snapshots = new Snapshots(options, world);
    this.#store = new MetadataStore(world.coordinator, shardCount);
    this.#peers = new PeerLinks(world, log, options.id);
    this.#cache = new ValueCache(options.valueCacheBytes);
    this.#loggers = new LoggerLinks({
      world,
      log,
      progressTimeoutMs: 2 * options.loggerTimeoutMs,
      dispatch: (shard, event) => this.#runner.dispatch(shard, event),
      onUp: (logger, alignment) => this.#loggerUp(logger, alignment),
      onDown: (logger) => this.#runner.dispatchAll({ event: 'logger-down', logger }),
    });
    const values = new ValueFetcher({
      cluster,
      zoneSize,
      random: world.random,
      log,
      store: this.#store,
      loggers: this.#loggers,
      cache: this.#cache,
    });
    this.#reconciler = new Reconciler(this.#store, this.#loggers);
    this.#runner = new ShardRunner(shardCount, {
      clock: world.clock,
      log,
      coordinator: world.coordinator,
      store: this.#store,
      loggers: this.#loggers,
      peers: this.#peers,
      values,
      onRole: () => this.#loadStandbysWhenServing(),
      trace: world.trace,
    });
  }

  /**
   * The shards that are this gateway's, members, ports, doors; then their take-over, and behind it the shards of
   * others.
   */
  async #open(): Promise<void> {
    const { world, options } = { world: this.#world, options: this.#options };
    const own = ownShards(options);
    for (const shard of own) await this.#loadShard(shard);
    const clientIds = new ClientIds(world.coordinator);
    const router = new Router({
      runner: this.#runner,
      store: this.#store,
      peers: this.#peers,
      self: options.id,
      clock: world.clock,
    });
    this.#router = router;
    const parts = {
      cluster: options.cluster.cluster,
      gateway: options.id,
      node: this.uuid,
      instance: this.instance,
      router,
      runner: this.#runner,
      numbering: new Numbering(await clientIds.take()),
      clientIds,
      map: () => this.#store.map,
      status: () => this.status(),
    };
    const testbed = new TestbedDoor(router, parts.numbering);
    await this.#listen('peers', options.peerAddress, new ClientDoor({ ...parts, testbed, isPeer: true }));
    await this.#listen('clients', options.clientAddress, new ClientDoor({ ...parts, testbed, isPeer: false }));
    await registerGateway(world.coordinator, options.id, {
      uuid: this.uuid,
      instance: this.instance,
      peerAddress: this.peerAddress,
      clientAddress: this.clientAddress,
    });
    await this.#store.open({ onShard: (shard) => this.#shardChanged(shard), onMembers: () => this.#membersChanged() });
    this.#membersChanged();
    for (const shard of allShards(options.cluster.shardCount)) this.#shardChanged(shard);
    // S2: also those that it owned before it restarted are claimed anew.
    for (const shard of own) this.#runner.dispatch(shard, { event: 'claim', nowMs: world.clock.now() });
    this.#hasClaimed = true;
    this.#standbyTimer = world.clock.after(times.standbysWaitMs, () => this.#loadStandbys());
    this.#loadStandbysWhenServing();
  }

  async #loadShard(shard: ShardId): Promise<void> {
    const { cluster, replicas, minReplicas, loggerTimeoutMs, shardSettings } = this.#options;
    const state = await this.#snapshots.load(shard);
    if (this.#closing !== undefined) return;
    const settings: ShardSettings = {
      ...shardDefaults,
      zoneSize: cluster.zoneSize,
      replicas,
      minReplicas,
      loggerTimeoutMs,
      ...shardSettings,
    };
    const machine = new Shard(state, this.#self, settings, this.#world.clock.now());
    this.#runner.add(machine);
    this.#snapshots.add(machine);
  }

  /** The shards of others are loaded behind the take-over of the own ones, which clients wait for. */
  #loadStandbysWhenServing(): void {
    const taking = this.#runner.shards.some((shard) => shard.role === 'taking');
    if (this.#hasClaimed && !taking) this.#loadStandbys();
  }

  #loadStandbys(): void {
    if (this.#standbys !== undefined || this.#closing !== undefined) return;
    this.#standbyTimer?.cancel();
    this.#standbys = this.#loadOthers();
  }

  async #loadOthers(): Promise<void> {
    for (const shard of allShards(this.#options.cluster.shardCount)) {
      if (this.#runner.shard(shard) !== undefined || this.#closing !== undefined) continue;
      await this.#loadShard(shard);
      this.#loggers.forEachUp((logger, alignment) =>
        this.#runner.dispatch(shard, { event: 'logger-up', logger, alignment }),
      );
      this.#shardChanged(shard);
    }
  }

  async #listen(name: string, address: Address, door: ClientDoor): Promise<void> {
    this.#doors.push(door);
    this.#addresses.push(await this.#listening.listen(address, new RpcDoor(name, door, this.#world, serverOptions())));
  }

  get peerAddress(): Address {
    return this.#addresses[0] ?? this.#options.peerAddress;
  }

  get clientAddress(): Address {
    return this.#addresses[1] ?? this.#options.clientAddress;
  }

  #loggerUp(logger: Uuid, alignment: number): void {
    this.#world.log('info', 'logger connected', { logger });
    this.#runner.dispatchAll({ event: 'logger-up', logger, alignment });
    this.#reconciler.loggerUp(logger);
  }

  #membersChanged(): void {
    this.#loggers.update(this.#store.loggers);
    this.#peers.update(this.#store.gateways);
    this.#mapChanged();
  }

  #shardChanged(shard: ShardId): void {
    this.#runner.dispatch(shard, { event: 'metadata', metadata: this.#store.shard(shard), loaded: false });
    this.#mapChanged();
  }

  #mapChanged(): void {
    for (const door of this.#doors) door.mapChanged();
  }

  status(): GatewayStatus {
    return gatewayStatus({
      id: this.#options.id,
      node: this,
      cluster: this.#options.cluster,
      runner: this.#runner,
      store: this.#store,
      loggers: this.#loggers,
      peers: this.#peers,
      cache: this.#cache,
      connections: this.#doors.reduce((sum, door) => sum + door.connections, 0),
      snapshots: this.#snapshots,
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#listening.close();
    this.#router?.close();
    for (const door of this.#doors) door.close();
    this.#runner.close();
    this.#store.close();
    this.#loggers.close();
    this.#peers.close();
    this.#standbyTimer?.cancel();
    await this.#standbys;
    await this.#snapshots.close();
    await this.#release();
  }
}

/** Those that rendezvous hashing gives to this gateway. */
function ownShards({ id, gatewayCount, cluster }: GatewayOptions): ShardId[] {
  const gateways = Array.from({ length: gatewayCount }, (_, number) => String(number));
  const shards = allShards(cluster.shardCount);
  const owners = balancedOwners(shards.map(String), gateways);
  return shards.filter((shard) => owners.get(String(shard)) === String(id));
}
