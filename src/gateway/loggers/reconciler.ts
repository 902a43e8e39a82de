/**
 * Looks at what loggers hold, for the shards that are owned here: only an owner's claim has shown that the metadata did
 * not go back (S20). It says when a logger lacks zones that it is listed for (S10): its folder is older than the
 * cluster, or its disk lost what it said was stable; repair takes it off the list. And it tells loggers what they
 * missed: zones that they still think open and that the metadata says are sealed are finished, so that they give back
 * what lies behind their end and are not scanned at the next start.
 */
import type { ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type { ZoneStatus } from '../../codec/logger-protocol.ts';
import type { Clock, Timer } from '../../env/clock.ts';
import type { LoggerLinks } from './logger-links.ts';
import type { MetadataStore } from '../metadata-store.ts';
import { allShards } from '../shards/shard-runner.ts';

/** Zone that a logger should hold up to `length`. */
interface Listed {
  readonly name: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly length: number;
}

const nameOf = (shard: number, zone: number): string => `shard ${shard}, zone ${zone}`;

export class Reconciler {
  readonly #store: MetadataStore;
  readonly #loggers: LoggerLinks;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #owns: (shard: ShardId) => boolean;
  readonly #onLacking: (logger: Uuid, shard: ShardId, zone: ZoneId) => void;
  #timer: Timer | undefined;

  constructor(
    store: MetadataStore,
    loggers: LoggerLinks,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    owns: (shard: ShardId) => boolean,
    onLacking: (logger: Uuid, shard: ShardId, zone: ZoneId) => void,
  ) {
    this.#log = log;
    this.#store = store;
    this.#loggers = loggers;
    this.#clock = clock;
    this.#owns = owns;
    this.#onLacking = onLacking;
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
    // Before it is asked: zones that are listed later need not be in its answer.
    const listed = this.#listedFor(logger);
    this.#loggers.of(logger).reportZones((zones) => {
      this.#compare(logger, listed, zones);
      for (const zone of zones)
        if (zone.state !== 'finished' && zone.shard < this.#store.shardCount && this.#owns(zone.shard))
          this.#consider(logger, zone);
    });
  }

  #listedFor(logger: Uuid): Listed[] {
    const owned = allShards(this.#store.shardCount).filter((shard) => this.#owns(shard));
    return owned.flatMap((shard) =>
      this.#store
        .shard(shard)
        .zones.filter(({ length, replicas }) => length > 0 && replicas.includes(logger))
        .map(({ zone, length }) => ({ name: nameOf(shard, zone), shard, zone, length })),
    );
  }

  #compare(logger: Uuid, listed: readonly Listed[], zones: readonly ZoneStatus[]): void {
    const held = new Map(zones.map(({ shard, zone, length }) => [nameOf(shard, zone), length]));
    const lacking = listed.filter(({ name, length }) => (held.get(name) ?? 0) < length);
    const [first] = lacking;
    if (first === undefined) return;
    const example = `${first.name}: ${held.get(first.name) ?? 0} of ${first.length} bytes`;
    this.#log('error', 'logger lacks zones that it is listed for', { logger, zones: lacking.length, example });
    for (const { shard, zone } of lacking) this.#onLacking(logger, shard, zone);
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
