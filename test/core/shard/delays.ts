/** A cluster whose loggers answer after a while, each after its own, or never. */
import type { Uuid } from '../../../src/base/ids.ts';
import type { ShardEffect } from '../../../src/core/shard/events.ts';
import type { Cluster } from './harness.ts';

type Asked = Extract<ShardEffect, { effect: 'append' | 'confirm' | 'probe' }>;

interface Due {
  readonly atMs: number;
  readonly logger: Uuid;
  readonly asked: Asked;
}

export const never = Number.POSITIVE_INFINITY;

export class Delays {
  readonly #cluster: Cluster;
  /** Milliseconds that logger `number` needs for what it is asked. */
  readonly #delayMs: (number: number, asked: Asked['effect']) => number;
  #due: Due[] = [];

  constructor(cluster: Cluster, delayMs: (number: number, asked: Asked['effect']) => number) {
    this.#cluster = cluster;
    this.#delayMs = delayMs;
    cluster.hold = ({ effect }) => {
      if (effect.effect !== 'append' && effect.effect !== 'confirm' && effect.effect !== 'probe') return false;
      for (const logger of effect.effect === 'probe' ? [effect.logger] : effect.loggers) this.#ask(logger, effect);
      return true;
    };
  }

  #ask(logger: Uuid, asked: Asked): void {
    const number = this.#cluster.loggers.findIndex(({ name }) => name === logger);
    const atMs = this.#cluster.nowMs + this.#delayMs(number, asked.effect);
    if (atMs === this.#cluster.nowMs) this.#answer(logger, asked);
    else if (atMs !== never) this.#due.push({ atMs, logger, asked });
  }

  /** Time passes; what is due is answered. */
  pass(durationMs: number): void {
    for (const end = this.#cluster.nowMs + durationMs; this.#cluster.nowMs < end; ) {
      this.#cluster.pass(50);
      this.#cluster.held = [];
      const due = this.#due.filter(({ atMs }) => atMs <= this.#cluster.nowMs);
      this.#due = this.#due.filter(({ atMs }) => atMs > this.#cluster.nowMs);
      for (const { logger, asked } of due) this.#answer(logger, asked);
      this.#cluster.run();
    }
  }

  #answer(logger: Uuid, asked: Asked): void {
    const held = this.#cluster.loggers.find(({ name, isUp }) => name === logger && isUp);
    if (held === undefined) return;
    if (asked.effect === 'probe') {
      const answer = held.isFull ? ({ kind: 'refused', code: 'device-full' } as const) : ({ kind: 'ok' } as const);
      return this.#cluster.event(0, { event: 'probed', logger, answer });
    }
    const { zone } = asked;
    if (asked.effect === 'confirm')
      return this.#cluster.event(0, { event: 'confirmed', logger, zone, number: asked.number });
    const end = held.append(zone, asked.epoch, asked.offset, asked.bytes);
    if (typeof end === 'number') return this.#cluster.event(0, { event: 'appended', logger, zone, end });
    this.#cluster.event(0, { event: 'append-failed', logger, zone, reason: { kind: 'refused', code: end } });
  }
}
