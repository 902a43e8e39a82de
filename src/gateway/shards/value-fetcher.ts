/**
 * Gets the bytes of values for reads: from the cache, or from a replica chosen at random, the next one on failure or
 * damage. Never a wrong byte: checksum, place and key are checked (S16). The confirmation of the read goes on meanwhile
 * (S7) and both must be there for the reply.
 */
import { assert } from '../../base/assert.ts';
import { asBuffer } from '../../base/bytes.ts';
import type { ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { offsetOfLba, zoneOfLba } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { decodeRecord, recordKind, zoneSeed } from '../../codec/log-format.ts';
import type { ReadAnswer } from '../../codec/logger-protocol.ts';
import type { Lost } from '../../core/shard/events.ts';
import type { ShardMetadata } from '../../core/shard/head/metadata.ts';
import type { ShardRead } from '../../core/shard/requests.ts';
import type { Random } from '../../env/random.ts';
import { below } from '../../env/random.ts';
import type { LoggerLinks } from '../loggers/logger-links.ts';
import type { LoggerPort } from '../loggers/logger-port.ts';
import type { MetadataStore } from '../metadata-store.ts';
import type { ValueCache } from './value-cache.ts';

interface ZoneInfo {
  readonly seed: number;
  readonly holders: readonly Uuid[];
}

/** One value's way from replica to replica. */
interface Search {
  readonly shard: ShardId;
  readonly read: ShardRead;
  readonly zone: ZoneId;
  readonly info: ZoneInfo;
  readonly order: readonly Uuid[];
  /** Holders that were not connected or did not answer. */
  silent: number;
}

export interface FetcherParts {
  readonly cluster: Uuid;
  readonly zoneSize: number;
  readonly random: Random;
  readonly log: Log;
  readonly store: Pick<MetadataStore, 'shard'>;
  readonly loggers: Pick<LoggerLinks, 'isUp'> & { of(logger: Uuid): Pick<LoggerPort, 'read'> };
  readonly cache: ValueCache;
}

export class ValueFetcher {
  readonly #parts: FetcherParts;
  /** By shard: what is known of its zones, for one state of the metadata. */
  readonly #zones = new Map<ShardId, { readonly metadata: ShardMetadata; readonly zones: Map<ZoneId, ZoneInfo> }>();

  constructor(parts: FetcherParts) {
    this.#parts = parts;
  }

  /** Completes the read with its value, or fails it when no replica has it intact. */
  fetch(shard: ShardId, read: ShardRead): void {
    const cached = this.#parts.cache.get(shard, read.lba);
    if (cached !== undefined) {
      read.complete(cached);
      return;
    }
    const zone = zoneOfLba(read.lba, this.#parts.zoneSize);
    const info = this.#zone(shard, zone);
    const up = info?.holders.filter((logger) => this.#parts.loggers.isUp(logger)) ?? [];
    if (info === undefined || up.length === 0) {
      this.#fail(read, 'unavailable', `no replica of zone ${zone} of shard ${shard} is connected`);
      return;
    }
    const first = below(this.#parts.random, up.length);
    this.#ask(
      {
        shard,
        read,
        zone,
        info,
        order: [...up.slice(first), ...up.slice(0, first)],
        silent: info.holders.length - up.length,
      },
      0,
    );
  }

  #ask(search: Search, attempt: number): void {
    const { shard, read, zone, info } = search;
    const logger = search.order[attempt];
    if (logger === undefined) return this.#notFound(search);
    const offset = offsetOfLba(read.lba, this.#parts.zoneSize);
    this.#parts.loggers.of(logger).read(shard, zone, offset, read.recordBytes, (answer) => {
      const problem = this.#take(shard, read, info.seed, offset, answer);
      if (problem === undefined) return;
      if (answer.kind === 'lost') search.silent += 1;
      this.#parts.log('warn', 'read failed on a replica', { shard, zone, offset, logger, problem });
      this.#ask(search, attempt + 1);
    });
  }

  /** Only who answered can be damaged: a replica that could not be asked may well have the record. */
  #notFound({ shard, read, zone, silent }: Search): void {
    const where = `no replica of shard ${shard}, zone ${zone} has an intact record at LBA ${read.lba}`;
    if (silent > 0) this.#fail(read, 'unavailable', `${where}, and ${silent} did not answer`);
    else this.#fail(read, 'damaged', where);
  }

  /** Checks what a logger gave and completes the read with it, or says what is wrong. */
  #take(shard: ShardId, read: ShardRead, seed: number, offset: number, answer: ReadAnswer | Lost): string | undefined {
    if (answer.kind !== 'ok') return answer.kind === 'refused' ? answer.code : 'no answer';
    const bytes = asBuffer(answer.value);
    const result = decodeRecord(bytes, 0, seed, offset);
    if (result.kind !== 'record') return result.kind === 'damaged' ? result.reason : result.kind;
    const { record } = result;
    if (record.kind !== recordKind.put || record.length !== read.recordBytes) return 'another record';
    if (Buffer.compare(bytes.subarray(record.keyStart, record.keyStart + record.keyLength), read.key) !== 0)
      return 'a record of another key';
    const value = bytes.subarray(record.valueStart, record.valueStart + record.valueLength);
    this.#parts.cache.set(shard, read.lba, value);
    read.complete(value);
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
