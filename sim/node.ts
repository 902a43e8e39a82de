/** A machine of the simulated cluster with the node on it: its disk outlives its processes. */
import type { SimulatedDisk } from '../src/env/simulated/files.ts';
import type { GatewayNode } from '../src/gateway/gateway.ts';
import type { LoggerNode } from '../src/logger/logger.ts';
import type { Fault } from './budget.ts';
import type { SimulatedProcess } from './world.ts';

export type NodeKind = 'gateway' | 'logger';

export class SimulatedNode {
  readonly kind: NodeKind;
  readonly id: number;
  readonly host: string;
  readonly disk: SimulatedDisk;
  starts = 0;
  process: SimulatedProcess | undefined;
  /** There once it has started. */
  gateway: GatewayNode | undefined;
  logger: LoggerNode | undefined;
  /** Not to be started before this. */
  downUntilMs = 0;
  /** Dies when this has counted down. */
  doom:
    | (Pick<Extract<Fault, { kind: 'kill-at' }>, 'site' | 'how' | 'downMs' | 'others'> & { left: number })
    | undefined;
  /** What happens when a sync of it has failed. */
  failure: Extract<Fault, { kind: 'fail-sync' }> | undefined;
  /** Appends come late as soon as it is up. */
  owesLateAppends = false;

  constructor(kind: NodeKind, id: number, host: string, disk: SimulatedDisk) {
    this.kind = kind;
    this.id = id;
    this.host = host;
    this.disk = disk;
  }

  get isUp(): boolean {
    return this.gateway !== undefined || this.logger !== undefined;
  }
}
