/**
 * Requests that reach another logger than they name: the one that has the address now. Whatever it holds and whatever
 * it is asked, it refuses (S16): it acknowledges nothing and gives no bytes.
 */
import type { Uuid } from '../../src/base/ids.ts';
import type { AppendItem } from '../../src/codec/logger-protocol.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { LoggerNode } from '../../src/logger/logger.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { LoggerClient } from '../../src/rpc/logger-client.ts';
import { clientOptions } from '../../src/rpc/options.ts';
import { Violation } from '../check/violation.ts';
import { pick } from '../pick.ts';
import type { SimulatedProcess } from '../world.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

export interface StrayRequestsPlan {
  readonly kind: 'stray-requests';
  readonly atMs: number;
  /** Logger that the requests name, and the one that they reach; the same one twice: nothing happens. */
  readonly from: string;
  readonly to: string;
}

/** Appends that are kept of each logger. */
const keptMax = 4;
/** Time after which a connection is given up. */
const patienceMs = 1_000;

class StrayRequests implements FaultActor<StrayRequestsPlan> {
  readonly #stage: Stage;
  /** Appends that were sent last, by logger. */
  readonly #kept = new Map<Uuid, AppendItem[]>();
  readonly trace: ShardTrace | undefined;
  #processes = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.trace = stage.planned.has('stray-requests') ? this.#keep() : undefined;
  }

  #keep(): ShardTrace {
    return {
      before: () => undefined,
      after: ({ state }, _event, effects) => {
        for (const effect of effects) {
          if (effect.effect !== 'append') continue;
          const { zone, epoch, instance, offset, bytes, loggers } = effect;
          const item: AppendItem = { shard: state.shard, zone, epoch, instance, offset, bytes: bytes.slice() };
          for (const logger of loggers)
            this.#kept.set(logger, [...(this.#kept.get(logger) ?? []), item].slice(-keptMax));
        }
      },
    };
  }

  inject({ from, to }: StrayRequestsPlan): void {
    const [named, reached] = [this.#stage.node(from).logger, this.#stage.node(to).logger];
    if (named === undefined || reached === undefined || named === reached) return;
    const items = this.#kept.get(named.uuid) ?? [];
    if (items.length === 0) return;
    this.#processes += 1;
    this.#send(named.uuid, items, reached, this.#stage.clientProcess(0, `stray${this.#processes}`));
  }

  /** Sends appends, and reads of what they wrote, from `process`, which ends with it. */
  #send(named: Uuid, items: readonly AppendItem[], reached: LoggerNode, process: SimulatedProcess): void {
    process.clock.after(patienceMs, () => process.kill('process'));
    const refused = (what: string, kind: string): void => {
      if (kind === 'ok') throw new Violation(`S16 a logger took ${what} that names logger ${named}`);
      this.#stage.coverage.count('request for another logger refused');
    };
    connect(process, reached.writeAddress, (write) =>
      new LoggerClient(named, { read: undefined, write }).append(items, ({ kind }) => refused('an append', kind)),
    );
    connect(process, reached.readAddress, (read) => {
      const ranges = items.map(({ shard, zone, offset, bytes }) => ({ shard, zone, offset, length: bytes.length }));
      new LoggerClient(named, { read, write: undefined }).read(ranges, ({ kind }) => refused('a read', kind));
    });
  }
}

function connect(process: SimulatedProcess, address: string, onOpen: (channel: RpcChannel) => void): void {
  openChannel(process.network.connect(address), process.clock, clientOptions(), {
    onOpen,
    onClose: () => undefined,
    onRequest: () => undefined,
    onNotice: () => undefined,
    onDrain: () => undefined,
  });
}

export const strayRequests: FaultRow<StrayRequestsPlan> = {
  actor: StrayRequests,
  draw(random, { cast, atMs, logger }) {
    const others = cast.loggers.filter((host) => host !== logger);
    return { kind: 'stray-requests', atMs, from: logger, to: others.length === 0 ? logger : pick(random, others) };
  },
};
