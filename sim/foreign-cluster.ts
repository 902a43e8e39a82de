/**
 * Another cluster on the same network, with a coordinator of its own: a gateway and a logger at hosts of their own, and
 * one more of each, which moves into an address of the cluster that is tested and out again. A client writes to it and
 * reads what it wrote; its values have names of their own, so that whatever crosses is seen, here and there (S16).
 */
import type { ClusterRecord } from '../src/coordinator/cluster-record.ts';
import { joinCluster } from '../src/coordinator/cluster-record.ts';
import { MemoryCoordinator } from '../src/coordinator/memory/memory.ts';
import { condition } from '../src/codec/client-requests.ts';
import { KvError } from '../src/base/errors.ts';
import { pause } from '../src/env/clock.ts';
import { below } from '../src/env/random.ts';
import { SimulatedDisk } from '../src/env/simulated/files.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import { startGateway } from '../src/gateway/gateway.ts';
import { startLogger } from '../src/logger/logger.ts';
import { Violation } from './check/violation.ts';
import type { OtherCluster, Stage } from './faults/actor.ts';
import { gatewayOptions, loggerOptions, ports } from './node-options.ts';
import type { NodeKind } from './node.ts';
import { SimulatedNode } from './node.ts';
import type { ClusterPlan } from './plan.ts';
import type { RawGateway } from './raw-gateway.ts';
import { connectRaw } from './raw-gateway.ts';
import { decodeValue, encodeValue } from './values.ts';
import { SimulatedProcess } from './world.ts';

/** Hosts of its own, and the number of the member that moves about. */
const gatewayHome = 'foreign-gateway';
const loggerHome = 'foreign-logger';
const clientHome = 'foreign-client';
const movingNumber = 1;

const callEveryMs = 40;
const patienceMs = 2_000;
const keyCount = 8;
/** Beginning of the names of its values. */
const namePrefix = 'foreign';

export class ForeignCluster implements OtherCluster {
  readonly #stage: Stage;
  readonly #random: SimulatedRandom;
  readonly #coordinator: MemoryCoordinator;
  readonly #plan: ClusterPlan;
  readonly #moving = new Map<NodeKind, SimulatedNode>();
  readonly #processes: SimulatedProcess[] = [];
  #record: ClusterRecord | undefined;
  #isOver = false;
  #names = 0;

  constructor(stage: Stage, plan: ClusterPlan) {
    this.#stage = stage;
    this.#random = stage.random.fork('foreign');
    this.#coordinator = new MemoryCoordinator({ clock: stage.clock });
    this.#plan = { ...plan, gateways: 2, loggers: 2, replicas: 2, minReplicas: 1, shards: 2 };
    for (const kind of ['gateway', 'logger'] as const) this.#moving.set(kind, this.#node(kind, movingNumber, ''));
  }

  /** Its own members start, and its client calls. */
  async start(): Promise<void> {
    const client = this.#coordinator.client('bootstrap');
    const { shards, zoneSize } = this.#plan;
    this.#record = await joinCluster(client, this.#random, { shardCount: shards, zoneSize });
    await client.close();
    if (this.#isOver) return;
    this.#startNode(this.#node('logger', 0, loggerHome), loggerHome);
    this.#startNode(this.#node('gateway', 0, gatewayHome), gatewayHome);
    await this.#callOn(
      this.#process(clientHome, new SimulatedDisk({ random: this.#random, clock: this.#stage.clock })),
    );
  }

  moveTo(host: string, kind: NodeKind): (() => void) | undefined {
    const node = this.#moving.get(kind);
    if (this.#record === undefined || this.#isOver || node === undefined || node.process !== undefined)
      return undefined;
    const process = this.#startNode(node, host);
    return () => {
      if (!process.isAlive) return;
      process.kill('process');
      node.process = undefined;
    };
  }

  end(): void {
    this.#isOver = true;
    for (const process of this.#processes) if (process.isAlive) process.kill('process');
  }

  #node(kind: NodeKind, id: number, host: string): SimulatedNode {
    const disk = new SimulatedDisk({ random: this.#random.fork(`${kind} ${id}`), clock: this.#stage.clock });
    return new SimulatedNode(kind, id, host, disk, false);
  }

  #process(host: string, disk: SimulatedDisk): SimulatedProcess {
    const { clock, network } = this.#stage;
    const random = this.#random.fork(`${host} ${this.#processes.length}`);
    const coordinator = this.#coordinator;
    const clockFault = { rate: 1, wallOffsetMs: 0 };
    const process = new SimulatedProcess({ host, clock, network, coordinator, disk, clockFault, random });
    this.#processes.push(process);
    return process;
  }

  #startNode(node: SimulatedNode, host: string): SimulatedProcess {
    const { transcript } = this.#stage;
    const process = this.#process(host, node.disk);
    node.process = process;
    const { clock, random, files, network, coordinator } = process;
    const world = { clock, random, files, network, coordinator, log: transcript.log(`foreign ${host}`) };
    const record = this.#record;
    if (record === undefined) throw new Error('the foreign cluster has a record');
    const at = { id: node.id, host };
    const started =
      node.kind === 'gateway'
        ? startGateway(gatewayOptions(this.#plan, record, at), world)
        : startLogger(loggerOptions(this.#plan, record, at), world);
    started.catch((error: unknown) => {
      if (process.isAlive && !(error instanceof KvError)) throw error;
      transcript.note(`foreign ${host}`, 'did not start', { error: String(error) });
    });
    return process;
  }

  // --- its client ----------------------------------------------------------------------------------------------------

  async #callOn(process: SimulatedProcess): Promise<void> {
    let gateway: RawGateway | undefined;
    while (!this.#isOver) {
      await pause(process.clock, callEveryMs);
      try {
        if (gateway?.isOpen !== true)
          gateway = await connectRaw(process, `${gatewayHome}:${ports.client}`, patienceMs, false);
        await this.#call(gateway);
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
      }
    }
  }

  async #call(gateway: RawGateway): Promise<void> {
    const key = String(below(this.#random, keyCount));
    if (below(this.#random, 2) === 0) {
      const value = encodeValue(`${namePrefix}${this.#names++}`, 100);
      await gateway.put(key, value, { condition: condition.none, client: 0, number: 0, firstIncomplete: 0 });
      this.#stage.coverage.count('write of another cluster');
      return;
    }
    const found = await gateway.get(key, false);
    const name = found === undefined ? namePrefix : (decodeValue(found.value) ?? 'bytes that nobody wrote');
    if (!name.startsWith(namePrefix)) throw new Violation(`S16 ${name} of ${key} stands in another cluster`);
  }
}
