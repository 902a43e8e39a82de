/** A machine of the simulated cluster with the node on it: its disk outlives its processes. */
import { assert } from '../src/base/assert.ts';
import type { SimulatedDisk } from '../src/env/simulated/files.ts';
import type { GatewayNode } from '../src/gateway/options.ts';
import type { LoggerNode } from '../src/logger/logger.ts';
import type { SimulatedProcess } from './world.ts';

export type NodeKind = 'gateway' | 'logger';

export class SimulatedNode {
  readonly kind: NodeKind;
  readonly host: string;
  /** Number under which it runs, and disk: members swap places. */
  #id: number;
  #disk: SimulatedDisk;
  /** True for one that stands in for another, and is started once. */
  readonly isReplacement: boolean;
  starts = 0;
  process: SimulatedProcess | undefined;
  /** Set once it has started. */
  gateway: GatewayNode | undefined;
  logger: LoggerNode | undefined;
  /** It ended for good. */
  isGone = false;
  /** Time before which it is not to be started. */
  downUntilMs = 0;

  constructor(kind: NodeKind, id: number, host: string, disk: SimulatedDisk, isReplacement: boolean) {
    this.kind = kind;
    this.#id = id;
    this.host = host;
    this.#disk = disk;
    this.isReplacement = isReplacement;
  }

  get id(): number {
    return this.#id;
  }

  get disk(): SimulatedDisk {
    return this.#disk;
  }

  /** Swaps disks, with `places` also numbers. REQUIRES: no process runs on either. */
  exchange(other: SimulatedNode, what: 'disks' | 'places'): void {
    assert(this.process === undefined && other.process === undefined, 'members swap places while they are down');
    [this.#disk, other.#disk] = [other.#disk, this.#disk];
    if (what === 'places') [this.#id, other.#id] = [other.#id, this.#id];
  }

  get isUp(): boolean {
    return this.gateway !== undefined || this.logger !== undefined;
  }
}
