/**
 * Appends that reach a logger late, or once more, over a connection of their own: what their owner sent, as it sent it,
 * at a moment when the owner has gone on, the logger has restarted or another epoch has sealed. Loggers must be safe
 * under it (S3, S4, S11); the product's own gateways, which leave a zone as soon as they lose a replica of it, never do
 * it.
 */
import type { ShardId, Uuid, ZoneId } from '../../src/base/ids.ts';
import type { AppendItem } from '../../src/codec/logger-protocol.ts';
import type { ShardEffect } from '../../src/core/shard/events.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { LoggerNode } from '../../src/logger/logger.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import { LoggerClient } from '../../src/rpc/logger-client.ts';
import { clientOptions } from '../../src/rpc/options.ts';
import type { SimulatedNode } from '../node.ts';
import type { SimulatedProcess } from '../world.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';

/**
 * The last appends that were sent to the logger arrive once more, or late: now, or when it is up again; and with them
 * the first one of each zone that was opened there, be it long ago: its zone may have ended, or was dropped (S4).
 */
export interface LateAppendsPlan {
  readonly kind: 'late-appends';
  readonly atMs: number;
  readonly node: string;
}

/** Appends that are kept of each logger. */
const keptMax = 8;
const openingsMax = 24;
/** A connection that has brought no answer by then brings none. */
const patienceMs = 1_000;

class LateAppends implements FaultActor<LateAppendsPlan> {
  readonly #stage: Stage;
  /** Appends that were sent last, by logger. */
  readonly #kept = new Map<Uuid, AppendItem[]>();
  /** First appends of zones, by logger. */
  readonly #openings = new Map<Uuid, AppendItem[]>();
  /** Loggers that get appends as soon as they are up. */
  readonly #owed = new Set<SimulatedNode>();
  readonly trace: ShardTrace | undefined;
  #processes = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    // Copies of all that is sent, only for who wants them.
    this.trace = stage.planned.has('late-appends') ? this.#keep() : undefined;
  }

  inject({ node }: LateAppendsPlan): void {
    this.#resend(this.#stage.node(node));
  }

  started(node: SimulatedNode): void {
    if (this.#owed.has(node)) this.#resend(node);
  }

  heal(): void {
    this.#owed.clear();
  }

  #resend(node: SimulatedNode): void {
    if (node.logger === undefined) {
      this.#owed.add(node);
      return;
    }
    this.#owed.delete(node);
    this.#stage.coverage.count('late appends');
    this.#processes += 1;
    this.#send(node.logger, this.#stage.clientProcess(0, `late${this.#processes}`));
  }

  #keep(): ShardTrace {
    return {
      before: ({ state }, event) => {
        const code = event.event === 'append-failed' && event.reason.kind === 'refused' ? event.reason.code : undefined;
        if (event.event === 'append-failed' && (code === 'device-full' || code === 'not-at-write-pointer'))
          this.#arrived(event.logger, state.shard, event.zone);
      },
      after: ({ state }, _event, effects) => {
        for (const effect of effects) if (effect.effect === 'append') this.#sent(state.shard, effect);
      },
    };
  }

  /** What found no space has arrived, and is withdrawn: no copy of it is on its way. */
  #arrived(logger: Uuid, shard: ShardId, zone: ZoneId): void {
    for (const items of [this.#kept, this.#openings])
      items.set(
        logger,
        (items.get(logger) ?? []).filter((item) => item.shard !== shard || item.zone !== zone),
      );
  }

  #sent(
    shard: ShardId,
    { zone, epoch, instance, offset, bytes, loggers }: Extract<ShardEffect, { effect: 'append' }>,
  ): void {
    const item: AppendItem = { shard, zone, epoch, instance, offset, bytes: bytes.slice() };
    for (const logger of loggers) {
      if (offset === 0) keep(this.#openings, logger, item, openingsMax);
      else keep(this.#kept, logger, item, keptMax);
    }
  }

  /** Sends the last ones to `logger` again, in their old order, from `process`, which ends with it. */
  #send(logger: LoggerNode, process: SimulatedProcess): void {
    const items = [...(this.#openings.get(logger.uuid) ?? []), ...(this.#kept.get(logger.uuid) ?? [])];
    let isOver = items.length === 0;
    const end = (): void => {
      isOver = true;
      // A turn later: the connection is not cut while it calls.
      process.clock.after(0, () => process.kill('process'));
    };
    if (isOver) return end();
    process.clock.after(patienceMs, end);
    openChannel(process.network.connect(logger.writeAddress), process.clock, clientOptions(), {
      onOpen: (write) => new LoggerClient(logger.uuid, { read: undefined, write }).append(items, end),
      onClose: () => {
        if (!isOver) end();
      },
      onRequest: () => undefined,
      onNotice: () => undefined,
      onDrain: () => undefined,
    });
  }
}

function keep(items: Map<Uuid, AppendItem[]>, logger: Uuid, item: AppendItem, most: number): void {
  let kept = items.get(logger);
  if (kept === undefined) items.set(logger, (kept = []));
  kept.push(item);
  if (kept.length > most) kept.shift();
}

export const lateAppends: FaultRow<LateAppendsPlan> = {
  actor: LateAppends,
  draw: (_random, { atMs, logger }) => ({ kind: 'late-appends', atMs, node: logger }),
};
