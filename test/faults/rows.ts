/**
 * Rows of the promise table: what is done to a cluster of real processes (three gateways, three loggers; nobody but the
 * row starts again what dies) while clients work.
 */
import type { ErrorCode } from '../../src/base/errors.ts';
import type { ConfigFile } from '../../src/cli/config.ts';
import type { Need, Stage } from './stage.ts';

export interface Row {
  readonly name: string;
  readonly does: string;
  /** Shards whose gaps are measured: those of the owner of shard 0, or all. */
  readonly concerns: 'owner' | 'all';
  readonly needs?: readonly Need[];
  /** Settings of the cluster, where the defaults would not show what the row is for. */
  readonly settings?: Partial<ConfigFile>;
  /** Errors that clients may see beside those that any fault explains. */
  readonly explains?: readonly ErrorCode[];
  /** Kind of processes that alone it hits: it can be done at once with one that hits the other kind. */
  readonly hits?: 'gateways' | 'loggers';
  /** All that was done is taken back in the end: then all zones must have all their copies again. */
  readonly isHealed?: boolean;
  fault(stage: Stage): Promise<void>;
}

export const others = (number: number): readonly [number, number] =>
  number === 0 ? [1, 2] : number === 1 ? [0, 2] : [0, 1];

/** Rows that need no more than signals. */
export const processRows: readonly Row[] = [
  {
    name: 'owner-killed',
    does: 'kill -9 of a gateway that owns',
    concerns: 'owner',
    hits: 'gateways',
    fault: async (stage) => stage.nodes.kill('gateway', stage.owner),
  },
  {
    name: 'one-gateway-left',
    does: 'kill -9 of all gateways but one, at once',
    concerns: 'all',
    hits: 'gateways',
    fault: async (stage) => {
      const [, kept] = others(stage.owner);
      for (const gateway of others(kept)) stage.signal('gateway', gateway, 'SIGKILL');
    },
  },
  {
    name: 'one-logger-killed',
    does: 'kill -9 of one of three loggers',
    concerns: 'all',
    hits: 'loggers',
    fault: async (stage) => stage.nodes.kill('logger', stage.victim),
  },
  {
    name: 'two-loggers-killed',
    does: 'kill -9 of two of three loggers, at once',
    concerns: 'all',
    hits: 'loggers',
    fault: async (stage) => {
      for (const logger of others(stage.victim)) stage.signal('logger', logger, 'SIGKILL');
    },
  },
  {
    name: 'two-and-two-killed',
    does: 'kill -9 of two gateways and two loggers, at once',
    concerns: 'all',
    fault: async (stage) => {
      for (const logger of others(stage.victim)) stage.signal('logger', logger, 'SIGKILL');
      for (const gateway of [stage.owner, others(stage.owner)[0]]) stage.signal('gateway', gateway, 'SIGKILL');
    },
  },
  {
    name: 'owner-stopped',
    does: 'SIGSTOP of a gateway that owns for 10 s, then SIGCONT; it is asked while it stands still',
    concerns: 'owner',
    isHealed: true,
    hits: 'gateways',
    fault: async (stage) => {
      stage.signal('gateway', stage.owner, 'SIGSTOP');
      await stage.pause(10_000);
      // Asked of the old owner, in its old belief, after others acknowledged writes.
      const answers = stage.askOwner();
      await stage.pause(200);
      stage.signal('gateway', stage.owner, 'SIGCONT');
      await answers;
    },
  },
  {
    name: 'logger-stopped',
    does: 'SIGSTOP of one of three loggers for 5 s, then SIGCONT',
    concerns: 'all',
    isHealed: true,
    hits: 'loggers',
    fault: async (stage) => {
      stage.signal('logger', stage.victim, 'SIGSTOP');
      await stage.pause(5_000);
      stage.signal('logger', stage.victim, 'SIGCONT');
    },
  },
  {
    name: 'everything-restarted',
    does: 'kill -9 of everything at once, and a restart',
    concerns: 'all',
    isHealed: true,
    fault: async (stage) => {
      await stage.nodes.killAll();
      await stage.nodes.startAll();
    },
  },
];
