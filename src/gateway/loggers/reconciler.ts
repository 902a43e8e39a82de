/**
 * Tells a logger that connects what it missed: zones that it still thinks open and that the metadata says are sealed
 * are finished, so that they give back what lies behind their end and are not scanned at the next start.
 */
import type { ShardId, Uuid } from '../../base/ids.ts';
import type { ZoneStatus } from '../../codec/logger-protocol.ts';
import type { LoggerLinks } from './logger-links.ts';
import type { MetadataStore } from '../metadata-store.ts';

export class Reconciler {
  readonly #store: MetadataStore;
  readonly #loggers: LoggerLinks;

  constructor(store: MetadataStore, loggers: LoggerLinks) {
    this.#store = store;
    this.#loggers = loggers;
  }

  loggerUp(logger: Uuid): void {
    this.#loggers.of(logger).reportZones((zones) => {
      for (const zone of zones) {
        if (zone.state !== 'finished' && zone.shard < this.#store.shardCount) this.#consider(logger, zone);
      }
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
