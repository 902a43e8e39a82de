/**
 * Looks at what a logger that connects holds, and says when it lacks zones that it is listed for: its folder is older
 * than the cluster's metadata, or its disk lost what it said was stable (S10). Tells it what it missed, too: zones that
 * it still thinks open and that the metadata says are sealed are finished, so that they give back what lies behind their
 * end and are not scanned at the next start.
 */
import type { ShardId, Uuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { ZoneStatus } from '../../codec/logger-protocol.ts';
import type { LoggerLinks } from './logger-links.ts';
import type { MetadataStore } from '../metadata-store.ts';
import { allShards } from '../shards/shard-runner.ts';

/** Zone that a logger should hold up to `length`. */
interface Listed {
  readonly name: string;
  readonly length: number;
}

const nameOf = (shard: number, zone: number): string => `shard ${shard}, zone ${zone}`;

export class Reconciler {
  readonly #store: MetadataStore;
  readonly #loggers: LoggerLinks;
  readonly #log: Log;

  constructor(store: MetadataStore, loggers: LoggerLinks, log: Log) {
    this.#log = log;
    this.#store = store;
    this.#loggers = loggers;
  }

  loggerUp(logger: Uuid): void {
    // Before it is asked: zones that are listed later need not be in its answer.
    const listed = this.#listedFor(logger);
    this.#loggers.of(logger).reportZones((zones) => {
      this.#compare(logger, listed, zones);
      for (const zone of zones) {
        if (zone.state !== 'finished' && zone.shard < this.#store.shardCount) this.#consider(logger, zone);
      }
    });
  }

  #listedFor(logger: Uuid): Listed[] {
    return allShards(this.#store.shardCount).flatMap((shard) =>
      this.#store
        .shard(shard)
        .zones.filter(({ length, replicas }) => length > 0 && replicas.includes(logger))
        .map(({ zone, length }) => ({ name: nameOf(shard, zone), length })),
    );
  }

  #compare(logger: Uuid, listed: readonly Listed[], zones: readonly ZoneStatus[]): void {
    const held = new Map(zones.map(({ shard, zone, length }) => [nameOf(shard, zone), length]));
    const lacking = listed.filter(({ name, length }) => (held.get(name) ?? 0) < length);
    const [first] = lacking;
    if (first === undefined) return;
    const example = `${first.name}: ${held.get(first.name) ?? 0} of ${first.length} bytes`;
    this.#log('error', 'logger lacks zones that it is listed for', { logger, zones: lacking.length, example });
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
