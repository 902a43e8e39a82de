/**
 * A cluster of simulated processes: the product's own gateways and loggers, each alone on its host, with a disk that
 * outlives it. Nodes that end, by a fault or by themselves, are started again as a supervisor does it.
 *
 * Owns: nodes with their processes and disks, the network, the coordinator. Does not own: what goes wrong (faults/ acts
 * through the interface Stage), who calls (workload.ts), what is checked (inspection.ts and the traces).
 */
import { KvError } from '../src/base/errors.ts';
import type { ClusterRecord } from '../src/coordinator/cluster-record.ts';
import { joinCluster } from '../src/coordinator/cluster-record.ts';
import { CoordinatorError } from '../src/coordinator/coordinator.ts';
import type { Fate, MemoryRequest } from '../src/coordinator/memory/memory.ts';
import { MemoryCoordinator } from '../src/coordinator/memory/memory.ts';
import type { LoggerTrace } from '../src/core/logger/trace.ts';
import type { ShardTrace } from '../src/core/shard/trace.ts';
import { SimulatedClock } from '../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../src/env/simulated/files.ts';
import { SimulatedNetwork } from '../src/env/simulated/network.ts';
import { SimulatedRandom } from '../src/env/simulated/random.ts';
import type { GatewayNode } from '../src/gateway/options.ts';
import { startGateway } from '../src/gateway/gateway.ts';
import type { LoggerNode } from '../src/logger/logger.ts';
import { startLogger } from '../src/logger/logger.ts';
import type { Coverage } from './coverage.ts';
import type { HowKilled, OtherCluster, Stage } from './faults/actor.ts';
import { FaultActors } from './faults/actors.ts';
import { ForeignCluster } from './foreign-cluster.ts';
import { clientHost, gatewayHost, loggerHost, rawHost } from './hosts.ts';
import { gatewayOptions, loggerOptions, ports } from './node-options.ts';
import type { NodeKind } from './node.ts';
import { SimulatedNode } from './node.ts';
import type { Plan } from './plan.ts';
import type { Reversals } from './reversals.ts';
import { loggerTraces, shardTraces } from './traces.ts';
import type { Transcript } from './transcript.ts';
import type { ClockFault } from './world.ts';
import { SimulatedProcess } from './world.ts';

/** Time after which a supervisor starts again what ended. */
const restartMs = 100;
/** Time that a request to the coordinator takes one way at most, and news of a change, in good weather. */
const coordinatorDelayMsMax = 2;
const newsDelayMsMax = 20;

export interface ClusterParts {
  readonly plan: Plan;
  readonly transcript: (now: () => number) => Transcript;
  readonly coverage: Coverage;
  readonly reversals: Reversals;
  /** Traces of all gateways and all loggers. */
  readonly traces: { readonly shards: readonly ShardTrace[]; readonly loggers: readonly LoggerTrace[] };
  /** Called with what kept a node from starting when no fault explains it. */
  readonly onFailure: (error: unknown) => void;
}

export class SimulatedCluster implements Stage {
  readonly plan: Plan;
  readonly clock = new SimulatedClock();
  readonly network: SimulatedNetwork;
  readonly coordinator: MemoryCoordinator;
  readonly nodes: readonly SimulatedNode[];
  readonly transcript: Transcript;
  readonly coverage: Coverage;
  readonly reversals: Reversals;
  readonly random: SimulatedRandom;
  readonly faults: FaultActors;
  readonly #coordinatorRandom: SimulatedRandom;
  readonly #traces: { readonly shard: ShardTrace; readonly logger: LoggerTrace };
  readonly #onFailure: (error: unknown) => void;
  /** Gateways that were started in the place of others, while those may go on. */
  readonly #replacements: SimulatedNode[] = [];
  #record: ClusterRecord | undefined;
  #healing = false;

  constructor({ plan, transcript, coverage, reversals, traces, onFailure }: ClusterParts) {
    this.plan = plan;
    this.reversals = reversals;
    this.coverage = coverage;
    this.#onFailure = onFailure;
    this.transcript = transcript(() => this.clock.now());
    this.random = new SimulatedRandom(plan.seed).fork('life');
    this.#coordinatorRandom = this.random.fork('coordinator');
    const { delayMinMs, delayMaxMs, splitProbability, joinProbability } = plan.world;
    const network = { delayMinMs, delayMaxMs, splitProbability, joinProbability };
    this.network = new SimulatedNetwork(this.clock, this.random.fork('network'), network);
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
    this.faults = new FaultActors(this);
    this.#traces = {
      shard: shardTraces([...traces.shards, ...this.faults.traces]),
      logger: loggerTraces(traces.loggers),
    };
  }

  /** Record of the cluster, once it has started. */
  get record(): ClusterRecord {
    if (this.#record === undefined) throw new Error('the cluster has a record');
    return this.#record;
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

  /** But for those that are gone for good. */
  get allUp(): boolean {
    return this.nodes.every((node) => node.isUp || node.isGone);
  }

  get wantedReplicas(): number {
    return this.plan.cluster.replicas;
  }

  get planned(): ReadonlySet<string> {
    return new Set(this.plan.faults.map(({ kind }) => kind));
  }

  get everyNode(): readonly SimulatedNode[] {
    return [...this.nodes, ...this.#replacements];
  }

  get hosts(): readonly string[] {
    return [
      ...this.everyNode.map(({ host }) => host),
      ...Array.from({ length: this.plan.workload.clients }, (_, id) => clientHost(id)),
      ...Array.from({ length: this.plan.raw?.clients ?? 0 }, (_, id) => rawHost(id)),
    ];
  }

  node(host: string): SimulatedNode {
    const node = this.nodes.find((candidate) => candidate.host === host);
    if (node === undefined) throw new Error(`there is no node ${host}`);
    return node;
  }

  #node(kind: NodeKind, id: number, host: string, isReplacement = false): SimulatedNode {
    const disk = new SimulatedDisk({ random: this.random.fork(`disk ${host}`), clock: this.clock });
    const node = new SimulatedNode(kind, id, host, disk, isReplacement);
    this.resetDisk(node);
    return node;
  }

  resetDisk({ disk }: SimulatedNode): void {
    const { syncDelayMs, syncDelaySpreadMs, readDelayMs } = this.plan.world;
    Object.assign(disk.faults, { syncDelayMs, syncDelaySpreadMs, readDelayMs, failSyncs: 0 });
  }

  // --- life and death ------------------------------------------------------------------------------------------------

  async start(): Promise<void> {
    const { shards, zoneSize } = this.plan.cluster;
    this.#record = await joinCluster(this.coordinator.client('bootstrap'), this.random.fork('bootstrap'), {
      shardCount: shards,
      zoneSize,
    });
    for (const node of this.nodes) this.startNode(node);
  }

  /** Starts the node's process, unless it runs or is to be down. */
  startNode(node: SimulatedNode): void {
    if (node.isGone || (node.isReplacement && node.starts > 0)) return;
    if (node.process !== undefined || this.clock.now() < node.downUntilMs) return;
    node.starts += 1;
    const process = this.#nodeProcess(node);
    node.process = process;
    this.transcript.note(node.host, 'starts', { start: node.starts });
    const started = node.kind === 'gateway' ? this.#startGateway(node, process) : this.#startLogger(node, process);
    started.then(
      () => this.transcript.note(node.host, 'is up'),
      (error: unknown) => this.#startFailed(node, process, error),
    );
  }

  #nodeProcess(node: SimulatedNode): SimulatedProcess {
    const index = node.kind === 'gateway' ? node.id : this.plan.cluster.gateways + node.id;
    const { clockRates, wallOffsetsMs } = this.plan.world;
    const clockFault = { rate: clockRates[index] ?? 1, wallOffsetMs: wallOffsetsMs[index] ?? 0 };
    return new SimulatedProcess({
      ...this.#processParts(node.host, node.starts, node.disk, clockFault),
      onTransact: () => this.faults.reached(node, 'transact'),
      onWrite: () => this.faults.reached(node, 'write'),
      onSync: () => this.faults.reached(node, 'sync'),
      onSyncFailed: () => this.faults.syncFailed(node),
    });
  }

  /** A process of a client, on a host of its own, with a good clock. */
  clientProcess(id: number, host = clientHost(id)): SimulatedProcess {
    const disk = new SimulatedDisk({ random: this.random, clock: this.clock });
    return new SimulatedProcess(this.#processParts(host, 0, disk, { rate: 1, wallOffsetMs: 0 }));
  }

  #processParts(host: string, start: number, disk: SimulatedDisk, clockFault: ClockFault) {
    const { clock, network, coordinator } = this;
    return { host, clock, network, coordinator, disk, clockFault, random: this.random.fork(`${host} ${start}`) };
  }

  async #startGateway(node: SimulatedNode, process: SimulatedProcess): Promise<void> {
    const gateway = await startGateway(gatewayOptions(this.plan.cluster, this.record, node), {
      ...worldOf(process),
      log: this.transcript.log(node.host),
      trace: this.#traces.shard,
    });
    if (!process.isAlive) return;
    node.gateway = gateway;
    this.faults.started(node);
  }

  async #startLogger(node: SimulatedNode, process: SimulatedProcess): Promise<void> {
    const logger = await startLogger(loggerOptions(this.plan.cluster, this.record, node, this.#healing), {
      ...worldOf(process),
      log: this.transcript.log(node.host),
      trace: this.#traces.logger,
    });
    if (!process.isAlive) return;
    node.logger = logger;
    this.faults.started(node);
    // S17: the process comes back by restart.
    logger.onFailed(() => {
      if (process.isAlive) this.#restartLater(node, process);
    });
  }

  #startFailed(node: SimulatedNode, process: SimulatedProcess, error: unknown): void {
    if (!process.isAlive) return;
    this.coverage.count('start failed');
    this.transcript.note(node.host, 'did not start', { error: error instanceof Error ? error.message : String(error) });
    const isFull = this.planned.has('full-disk') || this.planned.has('scarce-space') || this.#hasSmallDevices;
    const explained =
      error instanceof CoordinatorError ||
      (error instanceof KvError &&
        (error.code === 'device-failed' ||
          error.code === 'coordinator-unavailable' ||
          // Metadata that cannot be read now; the operator looks at the disk and tries again.
          (error.code === 'data-damaged' && this.planned.has('failing-disk')) ||
          // A new device, and metadata that need another extent of a full file system, wait for space.
          (error.code === 'disk-full' && isFull)));
    if (explained) this.#restartLater(node, process);
    else this.#onFailure(error);
  }

  /** Ends and starts the node in a turn of its own: the process is not ended while it calls. */
  #restartLater(node: SimulatedNode, process: SimulatedProcess): void {
    this.clock.after(0, () => this.kill(node, 'process', restartMs, process));
  }

  /** Ends the node's process, if it is still `process`, and starts it again after `downMs`. */
  kill(node: SimulatedNode, how: HowKilled, downMs: number, process = node.process): void {
    node.downUntilMs = Math.max(node.downUntilMs, this.clock.now() + (this.#healing ? restartMs : downMs));
    if (process !== undefined && node.process === process) {
      this.transcript.note(node.host, how === 'power' ? 'loses power' : 'is killed', { downMs });
      process.kill(how);
      node.process = undefined;
      node.gateway = undefined;
      node.logger = undefined;
      this.faults.killed(node);
    } else if (how === 'power' && process === undefined) {
      // The process was gone already, what it had written was not.
      node.disk.crash();
    }
    this.clock.after(node.downUntilMs - this.clock.now(), () => this.startNode(node));
  }

  newReplacement({ id, host }: SimulatedNode): SimulatedNode {
    return this.#node('gateway', id, `${host}r${this.#replacements.length}`, true);
  }

  startReplacement(replacement: SimulatedNode): void {
    this.startNode(replacement);
    this.#replacements.push(replacement);
  }

  newOtherCluster(): OtherCluster {
    const other = new ForeignCluster(this, this.plan.cluster);
    other.start().catch(this.#onFailure);
    return other;
  }

  // --- the coordinator -----------------------------------------------------------------------------------------------

  #fate(request: MemoryRequest): Fate {
    const random = this.#coordinatorRandom;
    const delayMs = (): number => random.fraction() * coordinatorDelayMsMax;
    return (
      this.faults.fate(request, random, delayMs) ?? {
        kind: 'sent',
        requestDelayMs: delayMs(),
        answerDelayMs: delayMs(),
      }
    );
  }

  #newsDelayMs(client: string): number {
    return Math.max(this.#coordinatorRandom.fraction() * newsDelayMsMax, this.faults.newsDelayMs(client));
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  later(forMs: number, callback: () => void): void {
    this.clock.after(forMs, () => {
      if (!this.#healing) callback();
    });
  }

  /** Everything works again, and what is down comes up. */
  heal(): void {
    this.transcript.note('sim', 'everything is healed');
    this.#healing = true;
    this.faults.heal();
    for (const node of this.nodes) {
      this.faults.healNode(node);
      // A device grows when it is opened.
      if (node.kind === 'logger' && this.#hasSmallDevices) this.kill(node, 'process', 1);
      node.downUntilMs = Math.min(node.downUntilMs, this.clock.now());
      this.startNode(node);
    }
    this.network.heal();
  }

  get #hasSmallDevices(): boolean {
    return this.plan.cluster.knobs?.deviceBytes !== undefined;
  }

  /** An orderly end. */
  async close(): Promise<void> {
    for (const { gateway } of this.nodes) await gateway?.close();
    for (const { logger } of this.nodes) await logger?.close();
    for (const { process } of this.nodes) await process?.coordinator.close();
  }
}

function worldOf({ clock, random, files, network, coordinator }: SimulatedProcess) {
  return { clock, random, files, network, coordinator };
}
