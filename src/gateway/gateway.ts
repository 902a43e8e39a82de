/**
 * A gateway: takes PUT, GET and DEL from clients, owns shards and stands by for others. This file only puts the parts
 * together, in the order of their dependencies; what they do stands in theirs. ARCHITECTURE.md walks a PUT through
 * them.
 */
import { instanceId } from '../base/ids.ts';
import type { InstanceId, ShardId, Uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { clusterSettings } from '../base/settings.ts';
import type { GatewayStatus } from '../codec/node-status.ts';
import { registerGateway } from '../coordinator/members.ts';
import { noStandings } from '../coordinator/standings.ts';
import { homeShards } from '../core/ownership/ownership.ts';
import { shardDefaults } from '../core/shard/events.ts';
import type { Owner } from '../core/shard/head/metadata.ts';
import { asKvError } from '../env/as-kv-error.ts';
import { lockFolder } from '../env/folder-lock.ts';
import type { Address } from '../env/network.ts';
import { randomHex } from '../env/random.ts';
import { Listening, RpcDoor } from '../rpc/listen.ts';
import { serverOptions } from '../rpc/options.ts';
import { ClientDoor } from './doors/client-door.ts';
import type { GatewayDoor } from './doors/door.ts';
import { Greeting, type GreetingParts } from './doors/greeting.ts';
import { PeerDoor, type PeerDoorParts } from './doors/peer-door.ts';
import { Requests } from './doors/requests.ts';
import { Sessions } from './doors/sessions.ts';
import { TestbedDoor } from './doors/testbed-door.ts';
import { gatewayIdentity } from './identity.ts';
import { gatewayLimits } from './limits.ts';
import { LoggerLinks } from './loggers/logger-links.ts';
import { LeasedIds } from './leased-ids.ts';
import { Reconciler } from './loggers/reconciler.ts';
import { Silence } from './loggers/silence.ts';
import { MetadataStore } from './metadata-store.ts';
import { ClientIds, Numbering } from './numbering.ts';
import type { GatewayNode, GatewayOptions, GatewayWorld } from './options.ts';
import { Heartbeats } from './peers/heartbeats.ts';
import { PeerLinks } from './peers/peer-links.ts';
import { Router } from './router.ts';
import { Claims, type ClaimsParts } from './shards/claims.ts';
import { ReadBudget } from './shards/read-budget.ts';
import { ShardLoader } from './shards/shard-loader.ts';
import { allShards, type RunnerListener, ShardRunner } from './shards/shard-runner.ts';
import { Snapshots } from './shards/snapshots.ts';
import { ValueCache } from './shards/value-cache.ts';
import { type FetcherParts, ValueFetcher } from './shards/value-fetcher.ts';
import { gatewayStatus } from './status.ts';

/** Share of `loggerTimeoutMs`: in it, loggers that work are pinged. */
const silenceShare = 0.75;

/** The parts behind the doors. */
interface Inside {
  readonly self: Owner;
  readonly store: MetadataStore;
  readonly peers: PeerLinks;
  readonly loggers: LoggerLinks;
  readonly cache: ValueCache;
  readonly budget: ReadBudget;
  readonly values: ValueFetcher;
  readonly runner: ShardRunner;
  readonly snapshots: Snapshots;
  readonly loader: ShardLoader;
  readonly router: Router;
  readonly reconciler: Reconciler;
  readonly heartbeats: Heartbeats;
  readonly silence: Silence;
  readonly claims: Claims;
  /** Shards that are at home here. */
  readonly home: readonly ShardId[];
}

/**
 * Starts a gateway. It serves its shards when their take-over is done, a moment later; requests wait for that.
 * @throws KvError `folder-in-use`, `wrong-cluster`, `newer-format`, `data-damaged`, `port-in-use`, `address-invalid`,
 * `permission-denied`, `disk-full`, `device-failed`, `bad-argument`. @throws CoordinatorError
 */
export async function startGateway(options: GatewayOptions, world: GatewayWorld): Promise<GatewayNode> {
  const lock = await lockFolder(world.files, options.folder);
  try {
    const node = await gatewayIdentity(world.files, options.folder, options.cluster.cluster, world.random);
    const self = { gateway: options.id, node, instance: instanceId(randomHex(world.random, 8)) };
    return await open(options, world, putTogether(options, world, self), () => lock.release());
  } catch (error) {
    await lock.release();
    throw asKvError(error, options.folder) ?? error;
  }
}

function putTogether(options: GatewayOptions, world: GatewayWorld, self: Owner): Inside {
  const { id, gatewayCount, cluster, folder, snapshotEveryBytes, replicas, minReplicas, loggerTimeoutMs } = options;
  const {
    loggerSlowMs = shardDefaults.loggerSlowMs,
    firstHandWaitMs = shardDefaults.firstHandWaitMs,
    repairDelayMs = shardDefaults.repairDelayMs,
    repairBytesPerSecond = shardDefaults.repairBytesPerSecond,
    scrubBytesPerSecond = shardDefaults.scrubBytesPerSecond,
    scrubEveryMs = shardDefaults.scrubEveryMs,
  } = options;
  const { clock, coordinator, log, random } = world;
  const { cluster: name, shardCount, zoneSize } = cluster;
  const { limits: bounds = gatewayLimits } = options;
  const snapshots = new Snapshots({ folder, cluster, snapshotEveryBytes, limits: bounds }, world);
  const store = new MetadataStore(coordinator, shardCount, { clock, log });
  const identity = { cluster: name, ...self };
  const peers = new PeerLinks(world, log, identity, bounds.catchUp);
  const cache = new ValueCache(options.valueCacheBytes);
  const loggers = new LoggerLinks(world, {
    progressTimeoutMs: 2 * loggerTimeoutMs,
    probeBytes: Math.min(zoneSize, limits.probeBytes),
    self: identity,
    outbox: bounds.outbox,
  });
  const budget = new ReadBudget(clock, bounds.reads);
  const onDamage: FetcherParts['onDamage'] = (shard, zone, logger) =>
    runner.dispatch(shard, { event: 'copy-suspect', logger, zone });
  const reading = { cluster: name, zoneSize, clock, random, log, budget, store, loggers, cache };
  const values = new ValueFetcher({ ...reading, onDamage });
  const runner: ShardRunner = new ShardRunner(shardCount, {
    clock,
    log,
    coordinator,
    store,
    loggers,
    peers,
    values,
    trace: world.trace,
  });
  const repair = { repairDelayMs, repairBytesPerSecond, scrubBytesPerSecond, scrubEveryMs };
  const copies = { replicas, minReplicas, ...repair };
  const given = { limits: bounds.shard, zoneSize, loggerTimeoutMs, loggerSlowMs, firstHandWaitMs, ...copies };
  const settings = { ...shardDefaults, metadataSource: coordinator.source, ...given, ...options.shardSettings };
  const loader = new ShardLoader({ clock, store, loggers, runner, snapshots, self, settings });
  const router = new Router({ runner, store, peers, budget, self: id, clock, limits: bounds });
  const reconciler = new Reconciler(
    store,
    loggers,
    { clock, log },
    (shard) => runner.shard(shard)?.role === 'owner',
    (logger, shard, zone) => runner.dispatch(shard, { event: 'copy-lacking', logger, zone }),
  );
  const heartbeats = new Heartbeats({
    world,
    log,
    self: identity,
    suspicion: suspicionOf(options),
    reports: () => claims.reports,
    onNews: () => claims.consider(),
  });
  const ask: ClaimsParts['ask'] = (gateway, wish) => peers.ask(gateway, wish);
  const silence = new Silence(silenceShare * loggerTimeoutMs);
  const isCutOff = (): boolean => silence.isCutOff;
  const members = { peers: () => heartbeats.peers, gatewayCount, firstHandWaitMs, ask, isCutOff };
  const claims: Claims = new Claims({ clock, log, self, minReplicas, store, loggers, runner, ...members });
  const expected = Array.from({ length: gatewayCount }, (_, number) => number);
  const home = homeShards(expected, id, allShards(shardCount));
  const ownership = { heartbeats, claims, loader, reconciler, silence, home };
  return { self, store, peers, loggers, cache, budget, values, runner, snapshots, router, ...ownership };
}

function suspicionOf({
  suspicionLeastMs: leastMs = clusterSettings.suspicionLeastMs.default,
  suspicionMostMs: mostMs = clusterSettings.suspicionMostMs.default,
}: GatewayOptions): { readonly leastMs: number; readonly mostMs: number } {
  return { leastMs, mostMs };
}

/**
 * Shards that are at home here, ports, members; then their take-over, and behind it the shards of others. Closes
 * everything when it does not get through.
 */
async function open(
  options: GatewayOptions,
  world: GatewayWorld,
  inside: Inside,
  release: () => Promise<void>,
): Promise<GatewayNode> {
  const { self, store, runner, loader, claims, home } = inside;
  const gateway = new Gateway(options, world, inside, release);
  wire(world, inside);
  try {
    await loader.loadHome(home);
    await gateway.listen();
    const { clientAddress, peerAddress } = gateway;
    await registerGateway(world.coordinator, options.id, {
      uuid: self.node,
      instance: self.instance,
      peerAddress,
      clientAddress,
    });
    await store.open({
      onShard: (shard) => gateway.shardChanged(shard),
      onMembers: () => gateway.membersChanged(),
    });
    gateway.membersChanged();
    for (const shard of allShards(runner.shardCount)) gateway.shardChanged(shard);
    loader.open();
    claims.open();
    return gateway;
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

/** Who is told of what. */
function wire({ clock, log }: GatewayWorld, inside: Inside): void {
  const { loggers, runner, loader, reconciler, router, heartbeats, silence } = inside;
  const onRole = (): void => {
    loader.roleChanged();
    reconciler.ownersChanged();
  };
  const isRouted: RunnerListener['isRouted'] = (request, failure) => router.takesBack(request, failure);
  const onTick: RunnerListener['onTick'] = (nextMs) => {
    silence.look(clock.now(), loggers.pulses);
    heartbeats.tick(nextMs);
  };
  runner.start({ onRole, isRouted, onTick });
  loggers.start({
    dispatch: (shard, event) => runner.dispatch(shard, event),
    loggerUp: (connected) => {
      const { logger } = connected;
      log('info', 'logger connected', { logger });
      runner.dispatchAll({ event: 'logger-up', ...connected });
      reconciler.loggerUp(logger);
    },
    loggerDown: (logger) => runner.dispatchAll({ event: 'logger-down', logger }),
  });
}

class Gateway implements GatewayNode {
  readonly #options: GatewayOptions;
  readonly #world: GatewayWorld;
  readonly #inside: Inside;
  readonly #listening: Listening;
  readonly #release: () => Promise<void>;
  readonly #doors: GatewayDoor[] = [];
  /** Owners of shards, as the last change said. */
  readonly #owners = new Map<ShardId, number>();
  #standings = noStandings;
  #peerAddress: Address;
  #clientAddress: Address;
  #closing: Promise<void> | undefined;

  constructor(options: GatewayOptions, world: GatewayWorld, inside: Inside, release: () => Promise<void>) {
    this.#options = options;
    this.#world = world;
    this.#inside = inside;
    this.#release = release;
    this.#listening = new Listening(world);
    this.#peerAddress = options.peerAddress;
    this.#clientAddress = options.clientAddress;
  }

  get uuid(): Uuid {
    return this.#inside.self.node;
  }

  get instance(): InstanceId {
    return this.#inside.self.instance;
  }

  get peerAddress(): Address {
    return this.#peerAddress;
  }

  get clientAddress(): Address {
    return this.#clientAddress;
  }

  /** Opens the ports. */
  async listen(): Promise<void> {
    const { router, runner, store, self, heartbeats, claims } = this.#inside;
    const { id, cluster, peerAddress, clientAddress } = this.#options;
    const { limits: bounds = gatewayLimits } = this.#options;
    const clientIds = new ClientIds(this.#world.coordinator, bounds.clientIdsLeased);
    const clientWindow = bounds.once.window;
    const numbering = new Numbering(await clientIds.take(), clientIds, runner.shardCount, clientWindow);
    const leased = new LeasedIds(this.#world.coordinator, store, bounds.held);
    const map = () => store.map;
    const place = { cluster: cluster.cluster, gateway: id, node: self.node, instance: self.instance };
    const suspect: GreetingParts['suspect'] = (shard, zone, logger) => {
      if (runner.shard(shard)?.role !== 'owner') return false;
      runner.dispatch(shard, { event: 'copy-suspect', logger, zone });
      return true;
    };
    const status = (): GatewayStatus => this.status();
    const greeting = new Greeting({ ...place, clientIds, clientWindow, map, store, suspect, status });
    const own = { sessions: new Sessions(map), requests: new Requests(router, numbering, leased, false) };
    const identity = { cluster: cluster.cluster, ...self };
    const onHeartbeat: PeerDoorParts['onHeartbeat'] = (peer, reports) => {
      heartbeats.heard(peer, reports);
      return claims.reports;
    };
    const onHandOver: PeerDoorParts['onHandOver'] = (peer, wish) => claims.asked(peer, wish);
    const peers = { ...own, greeting, runner, store, self: identity };
    this.#peerAddress = await this.#open('peers', peerAddress, new PeerDoor({ ...peers, onHeartbeat, onHandOver }));
    const all = { sessions: new Sessions(map), requests: new Requests(router, numbering, leased, true) };
    const testbed = new TestbedDoor(router, numbering);
    this.#clientAddress = await this.#open('clients', clientAddress, new ClientDoor({ ...all, greeting, testbed }));
  }

  #open(name: 'clients' | 'peers', address: Address, door: GatewayDoor): Promise<Address> {
    this.#doors.push(door);
    const guests = name === 'clients' ? 'clients' : 'members';
    const { connections } = this.#options.limits ?? gatewayLimits;
    return this.#listening.listen(address, new RpcDoor(name, door, this.#world, serverOptions(connections), guests));
  }

  membersChanged(): void {
    const { loggers, peers, heartbeats, store, runner } = this.#inside;
    const { standings } = store;
    // Before links end by it: nobody waits for a logger that is lost to be back.
    if (standings !== this.#standings) runner.dispatchAll({ event: 'standings', standings });
    this.#standings = standings;
    runner.dispatchAll({ event: 'members', loggers: store.loggerUuids });
    loggers.update(store.loggers, standings.lost);
    peers.update(store.gateways);
    heartbeats.update(store.gateways);
    this.#mapChanged();
  }

  shardChanged(shard: ShardId): void {
    const { runner, store, heartbeats, peers } = this.#inside;
    runner.dispatch(shard, { event: 'metadata', metadata: store.shard(shard), loaded: false });
    const [before, owner] = [this.#owners.get(shard), store.ownerOf(shard)];
    this.#owners.set(shard, owner);
    if (before !== undefined && before !== owner && heartbeats.peers.get(before)?.verdict === 'silent')
      peers.renew(before, `gateway ${owner} owns its shards now`);
    this.#mapChanged();
  }

  #mapChanged(): void {
    for (const door of this.#doors) door.mapChanged();
  }

  status(): GatewayStatus {
    const { id, cluster } = this.#options;
    const connections = this.#doors.reduce((sum, door) => sum + door.connections, 0);
    const nowMs = this.#world.clock.now();
    return gatewayStatus({ id, node: this, cluster, connections, nowMs, ...this.#inside });
  }

  async leave(): Promise<void> {
    const { claims, heartbeats, router } = this.#inside;
    const left = claims.leave(() => router.held > 0);
    heartbeats.tell();
    await left;
  }

  move(shard: ShardId): void {
    const { claims } = this.#inside;
    claims.wish(shard);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { router, reconciler, budget, values, runner, store, loggers, peers, loader, snapshots } = this.#inside;
    this.#inside.claims.close();
    this.#inside.heartbeats.close();
    await this.#listening.close();
    router.close();
    reconciler.close();
    for (const door of this.#doors) door.close();
    runner.close();
    budget.close();
    values.close();
    store.close();
    loggers.close();
    peers.close();
    await loader.close();
    await snapshots.close();
    await this.#release();
  }
}
