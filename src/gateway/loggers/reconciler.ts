/**
 * Tells loggers what they missed: zones that they still think open and that the metadata says are sealed are finished,
 * so that they give back what lies behind their end and are not scanned at the next start. Only a shard's owner does
 * so: its claim has shown that the metadata did not go back (S20).
 */
import type { ShardId, Uuid } from '../../base/ids.ts';
import { times } from '../../base/times.ts';
import type { ZoneStatus } from '../../codec/logger-protocol.ts';
import type { Clock, Timer } from '../../env/clock.ts';
import type { LoggerLinks } from './logger-links.ts';
import type { MetadataStore } from '../metadata-store.ts';

export class Reconciler {
  readonly #store: MetadataStore;
  readonly #loggers: LoggerLinks;
  readonly #clock: Clock;
  readonly #owns: (shard: ShardId) => boolean;
  #timer: Timer | undefined;

  constructor(store: MetadataStore, loggers: LoggerLinks, clock: Clock, owns: (shard: ShardId) => boolean) {
    this.#store = store;
    this.#loggers = loggers;
    this.#clock = clock;
    this.#owns = owns;
  }

  close(): void {
    this.#timer?.cancel();
  }

  /** Shards that were gained together are looked at together. */
  ownersChanged(): void {
    this.#timer ??= this.#clock.after(times.reconcileDelayMs, () => {
      this.#timer = undefined;
      this.#loggers.forEachUp(({ logger }) => this.loggerUp(logger));
    });
  }

  loggerUp(logger: Uuid): void {
    this.#loggers.of(logger).reportZones((zones) => {
      for (const zone of zones)
        if (zone.state !== 'finished' && zone.shard < this.#store.shardCount && this.#owns(zone.shard))
          this.#consider(logger, zone);
    });
  }

  #consider(logger: Uuid, status: ZoneStatus): void {
    const length = this.#sealedLength(status.shard, status);
    if (length !== undefined) this.#loggers.of(logger).finish(status.shard, status.zone, length);
  }

  /** Undefined: still open, or not known here; 0: it ended before anything in it was committed. */
  #sealedLength(shard: ShardId, status: ZoneStatus): number | undefined {
    const { head, zones } = this.#store.shard(shard);
    if (head === undefined || status.zone >= head.openZone.zone) return undefined;
    const sealed = zones.find((zone) => zone.zone === status.zone);
    // Not on the list: it was closed empty (cleaning does not exist yet, so nothing else drops a zone).
    return sealed?.length ?? 0;
  }
}
