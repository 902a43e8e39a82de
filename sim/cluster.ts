/**
 * A cluster of simulated processes: the product's own gateways and loggers, each alone on its host, with a disk that
 * outlives it. Nodes that end, by a fault or by themselves, are started again as a supervisor does it.
 */
import { KvError } from '../src/base/errors.ts';
import { CoordinatorError } from '../src/coordinator/coordinator.ts';
import type { ClusterRecord } from '../src/coordinator/cluster-record.ts';
import { joinCluster } from '../src/coordinator/cluster-record.ts';
import type { Fate, MemoryRequest } from '../src/coordinator/memory/memory.ts';
import { MemoryCoordinator } from '../src/coordinator/memory/memory.ts';
import { SimulatedClock } from '../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../src/env/simulated/files.ts';
import { SimulatedNetwork } from '../src/env/simulated/network.ts';
import { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { GatewayNode } from '../src/gateway/gateway.ts';
import { startGateway } from '../src/gateway/gateway.ts';
import type { LoggerNode } from '../src/logger/logger.ts';
import { startLogger } from '../src/logger/logger.ts';
import type { Fault } from './budget.ts';
import type { Coverage } from './coverage.ts';
import { clientHost, gatewayHost, loggerHost } from './hosts.ts';
import { LateAppends } from './late-appends.ts';
import type { NodeKind } from './node.ts';
import { SimulatedNode } from './node.ts';
import type { Plan } from './plan.ts';
import type { Transcript } from './transcript.ts';
import { SimulatedProcess } from './world.ts';

/** A supervisor starts what ended again after this. */
const restartMs = 100;
const ports = { client: 7_001, peer: 7_002, read: 7_003, write: 7_004 } as const;

/** How requests to the coordinator fare now. */
type CoordinatorWeather = Extract<Fault, { kind: 'coordinator' }>;

export class SimulatedCluster {
  readonly plan: Plan;
  readonly clock = new SimulatedClock();
  readonly network: SimulatedNetwork;
  readonly coordinator: MemoryCoordinator;
  readonly nodes: readonly SimulatedNode[];
  /** Gateways that were started in the place of others, while those may go on. */
  readonly replacements: SimulatedNode[] = [];
  readonly transcript: Transcript;
  readonly coverage: Coverage;
  /** There when some of the plan's appends come late. */
  readonly lateAppends: LateAppends | undefined;
  record: ClusterRecord | undefined;
  #lateProcesses = 0;
  readonly #random: SimulatedRandom;
  readonly #coordinatorRandom: SimulatedRandom;
  #weather: CoordinatorWeather | undefined;
  /** By host: the coordinator tells it late. */
  readonly #late = new Map<string, { readonly untilMs: number; readonly answerMs: number }>();
  #healing = false;
  readonly #onFailure: (error: unknown) => void;

  /** `onFailure`: of a node that did not start for a reason that no fault explains. */
  constructor(
    plan: Plan,
    transcript: (now: () => number) => Transcript,
    coverage: Coverage,
    onFailure: (error: unknown) => void,
  ) {
    this.plan = plan;
    this.coverage = coverage;
    this.lateAppends = plan.faults.some(({ kind }) => kind === 'late-appends') ? new LateAppends() : undefined;
    this.#onFailure = onFailure;
    this.transcript = transcript(() => this.clock.now());
    this.#random = new SimulatedRandom(plan.seed).fork('life');
    this.#coordinatorRandom = this.#random.fork('coordinator');
    const { delayMinMs, delayMaxMs, splitProbability, joinProbability } = plan.world;
    this.network = new SimulatedNetwork(this.clock, this.#random.fork('network'), {
      delayMinMs,
      delayMaxMs,
      splitProbability,
      joinProbability,
    });
    this.coordinator = new MemoryCoordinator({
      clock: this.clock,
      fate: (request) => this.#fate(request),
      watchDelayMs: (client) => (client === 'check' ? 0 : this.#newsDelayMs(client)),
    });
    const { gateways, loggers } = plan.cluster;
    this.nodes = [
      ...Array.from({ length: loggers }, (_, id) => this.#node('logger', id, loggerHost(id))),
      ...Array.from({ length: gateways }, (_, id) => this.#node('gateway', id, gatewayHost(id))),
    ];
  }

  #node(kind: NodeKind, id: number, host: string): SimulatedNode {
    const node = new SimulatedNode(
      kind,
      id,
      host,
      new SimulatedDisk({ random: this.#random.fork(`disk ${host}`), clock: this.clock }),
    );
    this.#normalDisk(node);
    return node;
  }

  #normalDisk({ disk }: SimulatedNode): void {
    const { syncDelayMs, syncDelaySpreadMs, readDelayMs } = this.plan.world;
    Object.assign(disk.faults, { syncDelayMs, syncDelaySpreadMs, readDelayMs, failSyncs: 0 });
  }

  get endpoints(): readonly string[] {
    return Array.from({ length: this.plan.cluster.gateways }, (_, id) => `${gatewayHost(id)}:${ports.client}`);
  }

  get gateways(): readonly GatewayNode[] {
    return this.nodes.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]));
  }

  get loggers(): readonly LoggerNode[] {
    return this.nodes.flatMap(({ logger }) => (logger === undefined ? [] : [logger]));
  }

  get allUp(): boolean {
    return this.nodes.every((node) => node.isUp);
  }

  async start(): Promise<void> {
    const { shards, zoneSize } = this.plan.cluster;
    this.record = await joinCluster(this.coordinator.client('bootstrap'), this.#random.fork('bootstrap'), {
      shardCount: shards,
      zoneSize,
    });
    for (const node of this.nodes) this.startNode(node);
  }

  /** A process of a client, on a host of its own. */
  clientProcess(id: number, name = clientHost(id)): SimulatedProcess {
    return this.#process(
      name,
      new SimulatedDisk({ random: this.#random, clock: this.clock }),
      { rate: 1, wallOffsetMs: 0 },
      0,
    );
  }

  #process(
    host: string,
    disk: SimulatedDisk,
    clockFault: { readonly rate: number; readonly wallOffsetMs: number },
    start: number,
    node?: SimulatedNode,
  ): SimulatedProcess {
    const common = { host, clock: this.clock, network: this.network, coordinator: this.coordinator, disk, clockFault };
    const random = this.#random.fork(`${host} ${start}`);
    if (node === undefined) return new SimulatedProcess({ ...common, random });
    return new SimulatedProcess({
      ...common,
      random,
      onTransact: () => this.#reached(node, 'transact'),
      onSync: () => this.#reached(node, 'sync'),
      onSyncFailed: () => this.#syncFailed(node),
    });
  }

  // --- life and death
  // ------------------------------------------------------------------------------------------------------

  startNode(node: SimulatedNode): void {
    if (this.replacements.includes(node) && node.starts > 0) return;
    if (node.process !== undefined || this.clock.now() < node.downUntilMs) return;
    node.starts += 1;
    const index = node.kind === 'gateway' ? node.id : this.plan.cluster.gateways + node.id;
    const { clockRates, wallOffsetsMs } = this.plan.world;
    const clockFault = { rate: clockRates[index] ?? 1, wallOffsetMs: wallOffsetsMs[index] ?? 0 };
    const process = this.#process(node.host, node.disk, clockFault, node.starts, node);
    node.process = process;
    this.transcript.note(node.host, 'starts', { start: node.starts });
    const started = node.kind === 'gateway' ? this.#startGateway(node, process) : this.#startLogger(node, process);
    started.then(
      () => this.transcript.note(node.host, 'is up'),
      (error: unknown) => this.#startFailed(node, process, error),
    );
  }

  async #startGateway(node: SimulatedNode, process: SimulatedProcess): Promise<void> {
    const { cluster } = this.plan;
    const record = this.record;
    if (record === undefined) throw new Error('the cluster has a record');
    const gateway = await startGateway(
      {
        id: node.id,
        gatewayCount: cluster.gateways,
        folder: '/data',
        cluster: record,
        clientAddress: `${node.host}:${ports.client}`,
        peerAddress: `${node.host}:${ports.peer}`,
        replicas: cluster.replicas,
        minReplicas: cluster.minReplicas,
        valueCacheBytes: cluster.valueCacheBytes,
        snapshotEveryBytes: cluster.snapshotEveryBytes,
        loggerTimeoutMs: cluster.loggerTimeoutMs,
        shardSettings: {
          sealWaitMs: cluster.sealWaitMs,
          coldSealWaitMs: cluster.coldSealWaitMs,
          regrowDelayMs: cluster.regrowDelayMs,
          batchesInFlightMax: cluster.batchesInFlightMax,
          batchBytesTarget: cluster.batchBytesTarget,
        },
      },
      { ...worldOf(process), log: this.transcript.log(node.host) },
    );
    if (process.isAlive) node.gateway = gateway;
  }

  async #startLogger(node: SimulatedNode, process: SimulatedProcess): Promise<void> {
    const { cluster } = this.plan;
    const record = this.record;
    if (record === undefined) throw new Error('the cluster has a record');
    const logger = await startLogger(
      {
        id: node.id,
        folder: '/data',
        cluster: record.cluster,
        zoneSize: record.zoneSize,
        readAddress: `${node.host}:${ports.read}`,
        writeAddress: `${node.host}:${ports.write}`,
        device: {
          capacityBytes: deviceBytes,
          alignment: cluster.alignment,
          extentBytes: cluster.extentBytes,
          prefillBytes: cluster.prefillBytes,
        },
      },
      { ...worldOf(process), log: this.transcript.log(node.host) },
    );
    if (!process.isAlive) return;
    node.logger = logger;
    if (node.owesLateAppends) this.#resendAppends(node);
    // S17: the process comes back by restart.
    logger.onFailed(() => {
      if (process.isAlive) this.clock.after(0, () => this.kill(node, 'process', restartMs, process));
    });
  }

  #startFailed(node: SimulatedNode, process: SimulatedProcess, error: unknown): void {
    if (!process.isAlive) return;
    this.coverage.count('start failed');
    this.transcript.note(node.host, 'did not start', { error: error instanceof Error ? error.message : String(error) });
    const explained =
      error instanceof CoordinatorError ||
      (error instanceof KvError && (error.code === 'device-failed' || error.code === 'coordinator-unavailable'));
    if (!explained) {
      this.#onFailure(error);
      return;
    }
    this.clock.after(0, () => this.kill(node, 'process', restartMs, process));
  }

  /** Ends the node's process, if it is still `process`, and starts it again after `downMs`. */
  kill(node: SimulatedNode, how: 'process' | 'power', downMs: number, process = node.process): void {
    node.downUntilMs = Math.max(node.downUntilMs, this.clock.now() + (this.#healing ? restartMs : downMs));
    if (process !== undefined && node.process === process) {
      this.transcript.note(node.host, how === 'power' ? 'loses power' : 'is killed', { downMs });
      process.kill(how);
      node.process = undefined;
      node.gateway = undefined;
      node.logger = undefined;
      node.doom = undefined;
    } else if (how === 'power' && process === undefined) {
      // Its process was gone already, what it had written was not.
      node.disk.crash();
    }
    this.clock.after(node.downUntilMs - this.clock.now(), () => this.startNode(node));
  }

  #reached(node: SimulatedNode, site: 'transact' | 'sync'): void {
    const { doom } = node;
    if (doom === undefined || doom.site !== site) return;
    doom.left -= 1;
    if (doom.left > 0) return;
    node.doom = undefined;
    // After this turn, or a little later: before the answer, or behind it.
    this.clock.after(this.#random.fraction() * 2, () => {
      if (this.#healing) return;
      this.kill(node, doom.how, doom.downMs);
      for (const other of doom.others) if (other !== node.host) this.kill(this.#named(other), 'power', doom.downMs);
    });
  }

  #syncFailed(node: SimulatedNode): void {
    const failure = node.failure;
    node.failure = undefined;
    if (failure?.then === undefined) return;
    const { nodes, how, afterMs } = failure.then;
    this.#later(afterMs, () => {
      for (const name of nodes) this.kill(this.#named(name), how, failure.downMs);
    });
  }

  #resendAppends(node: SimulatedNode): void {
    node.owesLateAppends = node.logger === undefined;
    if (node.logger === undefined) return;
    this.coverage.count('late appends');
    this.#lateProcesses += 1;
    this.lateAppends?.resend(node.logger, this.clientProcess(0, `late${this.#lateProcesses}`));
  }

  // --- faults
  // --------------------------------------------------------------------------------------------------------------

  inject(fault: Fault): void {
    const { kind, atMs: _atMs, ...fields } = fault;
    this.transcript.note(
      'fault',
      kind,
      Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)])),
    );
    switch (fault.kind) {
      case 'kill':
        return this.kill(this.#named(fault.node), fault.how, fault.downMs);
      case 'blackout':
        for (const name of fault.nodes) this.kill(this.#named(name), 'power', fault.downMs);
        return;
      case 'kill-at':
        this.#named(fault.node).doom = {
          site: fault.site,
          left: fault.count,
          how: fault.how,
          downMs: fault.downMs,
          others: fault.others,
        };
        return;
      case 'pause':
        return this.#pause(this.#named(fault.node), fault.forMs);
      case 'cut':
        this.network.cut(fault.from, fault.to);
        return;
      case 'block':
        this.network.block(fault.from, fault.to);
        return this.#later(fault.forMs, () => this.network.unblock(fault.from, fault.to));
      case 'partition':
        this.network.partition(fault.from, fault.to);
        return this.#later(fault.forMs, () => this.network.heal(fault.from, fault.to));
      case 'isolate':
        return this.#isolate(fault.node, fault.forMs);
      case 'refuse':
        this.network.refuse(fault.node);
        this.network.cut(fault.node);
        return this.#later(fault.forMs, () => this.network.refuse(fault.node, false));
      case 'slow-syncs':
      case 'hang-syncs':
      case 'fail-sync':
        return this.#diskFault(this.#named(fault.node), fault);
      case 'late-appends':
        return this.#resendAppends(this.#named(fault.node));
      case 'coordinator':
        this.#weather = fault;
        return this.#later(fault.forMs, () => {
          if (this.#weather === fault) this.#weather = undefined;
        });
      case 'coordinator-cut':
        this.coordinator.cut(fault.node);
        return this.#later(fault.forMs, () => this.coordinator.heal(fault.node));
      case 'coordinator-late':
        this.#late.set(fault.node, { untilMs: this.clock.now() + fault.forMs, answerMs: fault.answerMs });
        return;
      case 'replace':
        return this.#replace(this.#named(fault.node), fault);
      case 'clock-jump': {
        const process = this.#named(fault.node).process;
        if (process !== undefined) process.clock.wallOffsetMs += fault.byMs;
      }
    }
  }

  #later(forMs: number, callback: () => void): void {
    this.clock.after(forMs, () => {
      if (!this.#healing) callback();
    });
  }

  #named(host: string): SimulatedNode {
    const node = this.nodes.find((candidate) => candidate.host === host);
    if (node === undefined) throw new Error(`there is no node ${host}`);
    return node;
  }

  #replace(node: SimulatedNode, { old, unreached, forMs }: Extract<Fault, { kind: 'replace' }>): void {
    const other = this.#node('gateway', node.id, `${node.host}r${this.replacements.length}`);
    if (old === 'paused') this.#pause(node, forMs);
    if (old === 'stunned') this.#pause(node, forMs * 0.7);
    if (old === 'isolated') this.#isolate(node.host, forMs);
    if (old === 'uninformed' || old === 'stunned') {
      this.coordinator.cut(node.host);
      this.#later(forMs, () => this.coordinator.heal(node.host));
    }
    for (const logger of unreached) {
      this.network.partition(other.host, logger);
      this.#later(forMs, () => this.network.heal(other.host, logger));
    }
    this.startNode(other);
    this.replacements.push(other);
    this.#later(forMs, () => {
      this.kill(node, 'process', 1);
      this.#later(forMs, () => this.kill(other, 'process', 1));
    });
  }

  #pause(node: SimulatedNode, forMs: number): void {
    const { process } = node;
    if (process === undefined || process.gate.isPaused) return;
    process.gate.pause();
    this.#later(forMs, () => process.gate.resume());
  }

  #isolate(node: string, forMs: number): void {
    const others = [
      ...[...this.nodes, ...this.replacements].map(({ host }) => host),
      ...Array.from({ length: this.plan.workload.clients }, (_, id) => clientHost(id)),
    ].filter((host) => host !== node);
    for (const other of others) this.network.partition(node, other);
    this.coordinator.cut(node);
    this.#later(forMs, () => {
      for (const other of others) this.network.heal(node, other);
      this.coordinator.heal(node);
    });
  }

  #diskFault(node: SimulatedNode, fault: Extract<Fault, { kind: 'slow-syncs' | 'hang-syncs' | 'fail-sync' }>): void {
    const { faults } = node.disk;
    if (fault.kind === 'fail-sync') {
      faults.failSyncs = 1;
      node.failure = fault;
    } else if (fault.kind === 'slow-syncs') {
      faults.syncDelayMs = fault.delayMs;
      this.#later(fault.forMs, () => this.#normalDisk(node));
    } else {
      node.disk.holdSyncs();
      this.#later(fault.forMs, () => node.disk.releaseSyncs());
    }
  }

  #newsDelayMs(client: string): number {
    return Math.max(this.#coordinatorRandom.fraction() * 20, (this.#late.get(client)?.untilMs ?? 0) - this.clock.now());
  }

  #fate({ client, kind }: MemoryRequest): Fate {
    const random = this.#coordinatorRandom;
    const delay = (): number => random.fraction() * 2;
    const late = this.#late.get(client);
    if (late !== undefined && kind !== 'transact' && this.clock.now() < late.untilMs)
      return { kind: 'sent', requestDelayMs: delay(), answerDelayMs: late.answerMs };
    const weather = client.startsWith('check') || client === 'bootstrap' ? undefined : this.#weather;
    if (weather === undefined) return { kind: 'sent', requestDelayMs: delay(), answerDelayMs: delay() };
    const slow = (): number => delay() + random.fraction() * weather.delayMs;
    const toNextMs = (delayMs: number): number =>
      weather.everyMs === 0 ? delayMs : delayMs + weather.everyMs - ((this.clock.now() + delayMs) % weather.everyMs);
    const requestDelayMs = random.chance(weather.requestLost) ? 'lost' : toNextMs(slow());
    const answerDelayMs = random.chance(weather.answerLost) ? 'lost' : slow();
    if (kind === 'transact' && (requestDelayMs === 'lost' || answerDelayMs === 'lost'))
      this.coverage.count('coordinator unknown');
    return { kind: 'sent', requestDelayMs, answerDelayMs, timeoutMs: weather.timeoutMs };
  }

  // --- the end
  // -------------------------------------------------------------------------------------------------------------

  /** Everything works again, and what is down comes up. */
  heal(): void {
    this.transcript.note('sim', 'everything is healed');
    this.#healing = true;
    this.#weather = undefined;
    this.#late.clear();
    for (const other of this.replacements) {
      this.kill(other, 'process', 1);
      // The members' list names the other one: whom it replaced starts anew and enters itself.
      this.kill(this.#named(gatewayHost(other.id)), 'process', 1);
    }
    for (const node of this.nodes) {
      node.doom = undefined;
      node.failure = undefined;
      node.owesLateAppends = false;
      this.#normalDisk(node);
      node.disk.releaseSyncs();
      node.process?.gate.resume();
      this.coordinator.heal(node.host);
      this.network.refuse(node.host, false);
      node.downUntilMs = Math.min(node.downUntilMs, this.clock.now());
      this.startNode(node);
    }
    this.network.heal();
  }

  /** An orderly end. */
  async close(): Promise<void> {
    for (const { gateway } of this.nodes) await gateway?.close();
    for (const { logger } of this.nodes) await logger?.close();
    for (const { process } of this.nodes) await process?.coordinator.close();
  }
}

/**
 * More than lives write (10.5 MiB at most in 200 of them); a larger one has more zones and a larger map, which every
 * start reads.
 */
const deviceBytes = 48 * 1024 * 1024;

function worldOf({ clock, random, files, network, coordinator }: SimulatedProcess) {
  return { clock, random, files, network, coordinator };
}
