/**
 * Gets the bytes of values for reads: from the cache, or from a replica chosen at random, the next one on failure,
 * damage or delay (replica-search.ts). Never a wrong byte: checksum, place and key are checked (S16). The confirmation
 * of the read goes on meanwhile (S7) and both must be there for the reply.
 *
 * Reads of one record are one search, and what is under way for a connection is bounded (read-budget.ts).
 * Walk: GET 5/5.
 */
import { assert } from '../../base/assert.ts';
import { asBuffer } from '../../base/bytes.ts';
import type { ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { offsetOfLba, zoneOfLba } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import { decodeRecord, recordKind, zoneSeed } from '../../codec/log-format.ts';
import type { ReadAnswer } from '../../codec/logger-protocol.ts';
import type { Lost } from '../../core/shard/events.ts';
import type { ShardMetadata } from '../../core/shard/head/metadata.ts';
import type { ShardRead } from '../../core/shard/requests.ts';
import type { Clock } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import { below } from '../../env/random.ts';
import { RepeatedLine } from '../../env/repeated-line.ts';
import type { LoggerLinks } from '../loggers/logger-links.ts';
import type { LoggerPort } from '../loggers/logger-port.ts';
import type { MetadataStore } from '../metadata-store.ts';
import type { ReadBudget } from './read-budget.ts';
import { ReplicaSearches } from './replica-search.ts';
import type { ValueCache } from './value-cache.ts';

interface ZoneInfo {
  readonly seed: number;
  readonly holders: readonly Uuid[];
}

/** Reads of one record that wait for it. */
interface Search {
  readonly shard: ShardId;
  readonly lba: number;
  readonly recordBytes: number;
  readonly zone: ZoneId;
  readonly info: ZoneInfo;
  readonly reads: ShardRead[];
}

export interface FetcherParts {
  readonly cluster: Uuid;
  readonly zoneSize: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly budget: ReadBudget;
  readonly store: Pick<MetadataStore, 'shard'>;
  readonly loggers: Pick<LoggerLinks, 'isUp' | 'isLost'> & { of(logger: Uuid): Pick<LoggerPort, 'read'> };
  readonly cache: ValueCache;
  /** A logger gave a record that is damaged, or none although it answered. */
  readonly onDamage: (shard: ShardId, zone: ZoneId, logger: Uuid) => void;
}

export class ValueFetcher {
  readonly #parts: FetcherParts;
  /** By shard: what is known of its zones, for one state of the metadata. */
  readonly #zones = new Map<ShardId, { readonly metadata: ShardMetadata; readonly zones: Map<ZoneId, ZoneInfo> }>();

  /** By shard and LBA. */
  readonly #searches: Map<number, Search>[] = [];
  readonly #replicas: ReplicaSearches;
  readonly #troubles: RepeatedLine;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
    this.#replicas = new ReplicaSearches(parts.clock, parts.loggers);
    const { clock, log } = parts;
    const line = { level: 'warn', event: 'reads failed on a replica', periodMs: times.readTroubleEveryMs } as const;
    this.#troubles = new RepeatedLine({ clock, log, ...line });
  }

  /** Completes the read with its value when there is room for it, or fails it when no replica has it intact. */
  fetch(shard: ShardId, read: ShardRead): void {
    const { budget } = this.#parts;
    if (budget.tryBegin(read, read.recordBytes)) this.#begin(shard, read);
    else budget.wait(read, read.recordBytes, () => this.#begin(shard, read));
  }

  close(): void {
    this.#replicas.close();
    this.#troubles.drop();
  }

  #begin(shard: ShardId, read: ShardRead): void {
    if (read.isAnswered) return;
    const cached = this.#parts.cache.get(shard, read.lba);
    if (cached !== undefined) return read.complete(cached);
    const searches = this.#searchesOf(shard);
    const search = searches.get(read.lba);
    if (search !== undefined) search.reads.push(read);
    else this.#search(searches, shard, read);
  }

  #searchesOf(shard: ShardId): Map<number, Search> {
    let searches = this.#searches[shard];
    if (searches === undefined) this.#searches[shard] = searches = new Map<number, Search>();
    return searches;
  }

  #search(searches: Map<number, Search>, shard: ShardId, read: ShardRead): void {
    const { lba, recordBytes } = read;
    const { random, zoneSize, loggers } = this.#parts;
    const zone = zoneOfLba(lba, zoneSize);
    const info = this.#zone(shard, zone);
    const up = info?.holders.filter((logger) => loggers.isUp(logger)) ?? [];
    const away = (info?.holders ?? []).filter((logger) => !loggers.isUp(logger) && !loggers.isLost(logger)).length;
    if (info !== undefined && up.length + away === 0)
      return this.#fail(read, 'damaged', `all replicas of zone ${zone} of shard ${shard} are lost`);
    if (info === undefined || up.length === 0)
      return this.#fail(read, 'unavailable', `no replica of zone ${zone} of shard ${shard} is connected`);
    const search: Search = { shard, lba, recordBytes, zone, info, reads: [read] };
    searches.set(lba, search);
    const first = below(random, up.length);
    const offset = offsetOfLba(lba, zoneSize);
    this.#replicas.begin(
      {
        shard,
        zone,
        offset,
        bytes: recordBytes,
        take: (logger, answer) => {
          const problem = this.#take(search, offset, answer);
          if (problem === undefined) return undefined;
          this.#troubles.add({ shard, zone, offset, logger, problem });
          if (answer.kind !== 'lost') this.#parts.onDamage(shard, zone, logger);
          return problem;
        },
        missing: (silent) => this.#notFound(search, silent + away),
      },
      [...up.slice(first), ...up.slice(0, first)],
    );
  }

  /** Only who answered can be damaged: a replica that could not be asked may well have the record. */
  #notFound({ shard, zone, lba, reads }: Search, silent: number): void {
    this.#searchesOf(shard).delete(lba);
    const where = `no replica of shard ${shard}, zone ${zone} has an intact record at LBA ${lba}`;
    for (const read of reads) {
      if (silent > 0) this.#fail(read, 'unavailable', `${where}, and ${silent} did not answer`);
      else this.#fail(read, 'damaged', where);
    }
  }

  /** Checks what a logger gave and completes the reads with it, or says what is wrong. */
  #take(search: Search, offset: number, answer: ReadAnswer | Lost): string | undefined {
    if (answer.kind !== 'ok') return answer.kind === 'refused' ? answer.code : 'no answer';
    const { shard, lba, recordBytes, info, reads } = search;
    const bytes = asBuffer(answer.value);
    const result = decodeRecord(bytes, 0, info.seed, offset);
    if (result.kind !== 'record') return result.kind === 'damaged' ? result.reason : result.kind;
    const { record } = result;
    if (record.kind !== recordKind.put || record.length !== recordBytes) return 'another record';
    const key = bytes.subarray(record.keyStart, record.keyStart + record.keyLength);
    if (reads.some((read) => Buffer.compare(key, read.key) !== 0)) return 'a record of another key';
    const value = bytes.subarray(record.valueStart, record.valueStart + record.valueLength);
    this.#searchesOf(shard).delete(lba);
    this.#parts.cache.set(shard, lba, value);
    for (const read of reads) read.complete(value);
    return undefined;
  }

  #fail(read: ShardRead, code: 'damaged' | 'unavailable', message: string): void {
    read.fail({ kind: 'failed', code, message, outcome: 'not-applied' });
  }

  #zone(shard: ShardId, zone: ZoneId): ZoneInfo | undefined {
    const metadata = this.#parts.store.shard(shard);
    let known = this.#zones.get(shard);
    if (known?.metadata !== metadata) {
      known = { metadata, zones: new Map() };
      this.#zones.set(shard, known);
    }
    let info = known.zones.get(zone);
    if (info === undefined) {
      info = this.#describe(shard, zone, metadata);
      if (info !== undefined) known.zones.set(zone, info);
    }
    return info;
  }

  #describe(shard: ShardId, zone: ZoneId, metadata: ShardMetadata): ZoneInfo | undefined {
    const { cluster } = this.#parts;
    const open = metadata.head?.openZone;
    if (open?.zone === zone)
      return {
        seed: zoneSeed({ cluster, shard, zone, epoch: open.epoch, instance: open.instance }),
        holders: open.replicas,
      };
    const sealed = metadata.zones.find((candidate) => candidate.zone === zone);
    if (sealed === undefined) return undefined;
    assert(sealed.replicas.length > 0, 'S10 a sealed zone has a holder');
    return {
      seed: zoneSeed({ cluster, shard, zone, epoch: sealed.epoch, instance: sealed.instance }),
      holders: [...sealed.replicas, ...sealed.former],
    };
  }
}
