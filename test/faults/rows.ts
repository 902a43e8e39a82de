/**
 * Rows of the promise table: what is done to a cluster of real processes (three gateways, three loggers, nobody starts
 * again what dies) while clients work.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export type NodeKind = 'gateway' | 'logger';

/** Cluster as a row sees it. */
export interface Stage {
  /** Gateway that owns shard 0. */
  readonly owner: number;
  /** Sends a signal to a process, by its id. */
  signal(kind: NodeKind, number: number, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** Kills all at once. */
  killAll(): Promise<void>;
  /** Starts all in the same folder and at the same ports. */
  start(): Promise<void>;
  /** Reads every key at once through the owner alone; settles when it has answered. */
  askOwner(): Promise<void>;
}

export interface Row {
  readonly name: string;
  readonly does: string;
  /** Shards whose gaps are measured: those of the owner of shard 0, or all. */
  readonly concerns: 'owner' | 'all';
  fault(stage: Stage): Promise<void>;
}

const others = (number: number): readonly number[] => [0, 1, 2].filter((other) => other !== number);

export const rows: readonly Row[] = [
  {
    name: 'owner-killed',
    does: 'kill -9 of a gateway that owns',
    concerns: 'owner',
    fault: async (stage) => stage.signal('gateway', stage.owner, 'SIGKILL'),
  },
  {
    name: 'one-gateway-left',
    does: 'kill -9 of all gateways but one, at once',
    concerns: 'all',
    fault: async (stage) => {
      const [, kept] = others(stage.owner);
      for (const gateway of others(kept ?? 0)) stage.signal('gateway', gateway, 'SIGKILL');
    },
  },
  {
    name: 'one-logger-killed',
    does: 'kill -9 of one of three loggers',
    concerns: 'all',
    fault: async (stage) => stage.signal('logger', 1, 'SIGKILL'),
  },
  {
    name: 'two-loggers-killed',
    does: 'kill -9 of two of three loggers, at once',
    concerns: 'all',
    fault: async (stage) => {
      for (const logger of [0, 2]) stage.signal('logger', logger, 'SIGKILL');
    },
  },
  {
    name: 'two-and-two-killed',
    does: 'kill -9 of two gateways and two loggers, at once',
    concerns: 'all',
    fault: async (stage) => {
      for (const logger of [0, 1]) stage.signal('logger', logger, 'SIGKILL');
      for (const gateway of [stage.owner, others(stage.owner)[0] ?? 0]) stage.signal('gateway', gateway, 'SIGKILL');
    },
  },
  {
    name: 'owner-stopped',
    does: 'SIGSTOP of a gateway that owns for 10 s, then SIGCONT; it is asked while it stands still',
    concerns: 'owner',
    fault: async (stage) => {
      stage.signal('gateway', stage.owner, 'SIGSTOP');
      await sleep(10_000);
      // Asked of the old owner, in its old belief, after others acknowledged writes.
      const answers = stage.askOwner();
      await sleep(200);
      stage.signal('gateway', stage.owner, 'SIGCONT');
      await answers;
    },
  },
  {
    name: 'logger-stopped',
    does: 'SIGSTOP of one of three loggers for 5 s, then SIGCONT',
    concerns: 'all',
    fault: async (stage) => {
      stage.signal('logger', 1, 'SIGSTOP');
      await sleep(5_000);
      stage.signal('logger', 1, 'SIGCONT');
    },
  },
  {
    name: 'everything-restarted',
    does: 'kill -9 of everything at once, and a restart',
    concerns: 'all',
    fault: async (stage) => {
      await stage.killAll();
      await stage.start();
    },
  },
];
