/**
 * Reads committed stretches of a shard's log, batch by batch, with checksums, from whichever holder has a good copy
 * (S9, S14). Pure: asks by `read-log` effects, one at a time.
 */
import { assert } from '../../../base/assert.ts';
import type { Uuid, ZoneId } from '../../../base/ids.ts';
import { limits } from '../../../base/limits.ts';
import type { BatchHeader } from '../../../codec/log-batch.ts';
import type { Writer, ZonePlace } from '../../../codec/log-format.ts';
import { asBuffer } from '../../../base/bytes.ts';
import { checkBatchBody, decodeBatchHeader } from '../../../codec/log-batch.ts';
import { decodeZoneHeader, samePlace, zoneSeed } from '../../../codec/log-format.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { LogRead, ReaderName, ShardEffect, ShardIdentity } from '../events.ts';
import { shardLimits } from '../limits.ts';
import type { Loggers } from '../loggers.ts';

/** [from, to) of a zone; both are batch boundaries (or 0). */
export interface Segment extends Writer {
  readonly zone: ZoneId;
  readonly from: number;
  readonly to: number;
  readonly holders: readonly Uuid[];
}

/** A batch that was read and checked: header at `start` of `bytes`. */
export interface ReadBatch {
  readonly zone: ZoneId;
  readonly seed: number;
  readonly header: BatchHeader;
  readonly bytes: Buffer;
  readonly start: number;
  /** Bytes of the zone header, before `start`, when it is the zone's first batch; else 0. */
  readonly lead: number;
}

/** All batches of [from, to) of a zone, in order. */
export interface ReadTail {
  readonly zone: ZoneId;
  readonly from: number;
  readonly to: number;
  readonly batches: ReadBatch[];
}

const crossing = 'a batch crosses the sealed length';

export type ReaderState = 'idle' | 'reading' | 'stuck' | 'done';

export class LogReader {
  readonly #name: ReaderName;
  readonly #identity: ShardIdentity;
  readonly #loggers: Loggers;
  readonly #effects: ShardEffect[];
  readonly #visit: (batch: ReadBatch) => void;
  readonly #onEnd: (segment: Segment) => void;
  readonly #chunkBytes: number;
  readonly #isPaced: boolean;
  #segments: Segment[] = [];
  #at = 0;
  /** Place of the first segment, and the seed of its checksums. */
  #place: (ZonePlace & { readonly seed: number }) | undefined;
  #wanted: number;
  #request: LogRead | undefined;
  #number = 0;
  /** Holders that failed at the present position. */
  #failed = new Set<Uuid>();
  #state: ReaderState = 'idle';

  /**
   * `onEnd`: all of the segment was read, which may hold no batch at all: a zone header alone. `isPaced`: each read
   * waits for `goOn`.
   */
  constructor(
    name: ReaderName,
    identity: ShardIdentity,
    loggers: Loggers,
    effects: ShardEffect[],
    visit: (batch: ReadBatch) => void,
    onEnd: (segment: Segment) => void,
    chunkBytes = shardLimits.logChunkBytes,
    isPaced = false,
  ) {
    this.#chunkBytes = chunkBytes;
    this.#isPaced = isPaced;
    this.#wanted = chunkBytes;
    this.#name = name;
    this.#identity = identity;
    this.#loggers = loggers;
    this.#effects = effects;
    this.#visit = visit;
    this.#onEnd = onEnd;
  }

  get state(): ReaderState {
    return this.#state;
  }

  /** Holders that gave nothing or nothing good at the position where the reader is. */
  get failed(): ReadonlySet<Uuid> {
    return this.#failed;
  }

  /** Up to here all is read and good. */
  get position(): number {
    return this.#at;
  }

  /** Bytes that were asked for and are not there. */
  get askedBytes(): number {
    return this.#request?.length ?? 0;
  }

  /** REQUIRES: not reading. */
  start(segments: readonly Segment[]): void {
    assert(this.#state !== 'reading', 'one stretch is read at a time');
    this.#segments = segments.filter((segment) => segment.from < segment.to);
    this.#enter();
    this.#next();
  }

  /** A paced reader asks for the next piece, unless one is on its way. */
  goOn(): void {
    if (this.#state === 'reading' && this.#request === undefined) this.#ask();
  }

  /** Tries all holders again. */
  retry(): void {
    if (this.#state !== 'stuck') return;
    this.#failed.clear();
    this.#ask();
  }

  /** Forgets what is under way. */
  stop(): void {
    this.#segments = [];
    this.#request = undefined;
    this.#state = 'idle';
  }

  /** `refused`: why there are no bytes, when the logger answered. */
  answer(request: LogRead, bytes: Uint8Array | undefined, refused?: LoggerRefusalCode): void {
    // A late answer belongs to an earlier stretch, or to a reader that is no more.
    if (this.#request === undefined || request !== this.#request) return;
    this.#request = undefined;
    const segment = this.#segments[0];
    assert(segment !== undefined, 'what was asked for is still wanted');
    const problem =
      bytes === undefined
        ? (refused ?? 'no answer')
        : bytes.length < request.length
          ? 'too few bytes'
          : this.#parse(segment, asBuffer(bytes));
    if (problem !== undefined) {
      this.#failed.add(request.logger);
      const { shard } = this.#identity;
      this.#effects.push({
        effect: 'note',
        level: 'warn',
        text: 'log not read',
        fields: { shard, zone: segment.zone, offset: this.#at, logger: request.logger, problem },
      });
    }
    if (this.#at >= segment.to) {
      this.#segments.shift();
      this.#onEnd(segment);
      this.#enter();
    }
    this.#next();
  }

  #next(): void {
    if (!this.#isPaced) return this.#ask();
    this.#state = this.#segments.length === 0 ? 'done' : 'reading';
  }

  #enter(): void {
    const segment = this.#segments[0];
    this.#failed.clear();
    this.#wanted = this.#chunkBytes;
    if (segment === undefined) return;
    this.#at = segment.from;
    const { cluster, shard } = this.#identity;
    const { zone, epoch, instance } = segment;
    const place = { cluster, shard, zone, epoch, instance };
    this.#place = { ...place, seed: zoneSeed(place) };
  }

  #ask(): void {
    const segment = this.#segments[0];
    if (segment === undefined) {
      this.#state = 'done';
      return;
    }
    const logger = segment.holders.find((holder) => this.#loggers.isUp(holder) && !this.#failed.has(holder));
    if (logger === undefined) {
      this.#state = 'stuck';
      return;
    }
    this.#state = 'reading';
    const length = Math.min(this.#wanted, segment.to - this.#at, limits.readBytesMax);
    this.#request = {
      zone: segment.zone,
      epoch: segment.epoch,
      offset: this.#at,
      length,
      logger,
      reader: this.#name,
      number: ++this.#number,
    };
    this.#effects.push({ effect: 'read-log', request: this.#request });
  }

  /**
   * Visits the batches that lie wholly in `bytes`, which begins at the position; moves it. Gives what is wrong, if
   * anything.
   */
  #parse(segment: Segment, bytes: Buffer): string | undefined {
    const place = this.#place;
    assert(place !== undefined, 'a segment was entered');
    let start = 0;
    let lead = 0;
    let at = this.#at;
    if (at === 0) {
      const header = decodeZoneHeader(bytes);
      if (header.kind === 'short') return this.#more(segment, bytes.length, header.needed);
      if (header.kind !== 'zone') return `zone header: ${header.kind === 'damaged' ? header.reason : header.kind}`;
      if (!samePlace(header.header, place)) return 'zone header: of another zone';
      start = lead = at = header.length;
    }
    while (at < segment.to) {
      const result = decodeBatchHeader(bytes, start, at, place, place.seed);
      // The zone header is read again with the batch that it leads (S19).
      const had = bytes.length - start + lead;
      if (result.kind === 'short') return this.#more(segment, had, lead + result.needed);
      if (result.kind !== 'batch') return result.kind === 'damaged' ? result.reason : result.kind;
      const { header } = result;
      if (start + header.totalLength > bytes.length) return this.#more(segment, had, lead + header.totalLength);
      if (at + header.totalLength > segment.to) return crossing;
      if (checkBatchBody(bytes, start, header, place.seed) !== 'good') return 'batch: wrong checksum of a block';
      this.#visit({ zone: segment.zone, seed: place.seed, header, bytes, start, lead });
      lead = 0;
      start += header.totalLength;
      this.#at = at += header.totalLength;
      this.#failed.clear();
      this.#wanted = this.#chunkBytes;
    }
    // The zone may end with its header.
    this.#at = at;
    return undefined;
  }

  /** The next read begins at the present position; it is longer when even one batch did not fit. */
  #more(segment: Segment, had: number, needed: number): string | undefined {
    if (this.#at + needed > segment.to) return crossing;
    if (had >= this.#wanted || needed > this.#chunkBytes) this.#wanted = Math.max(this.#chunkBytes, needed);
    return needed > limits.readBytesMax ? `a batch of ${needed} bytes` : undefined;
  }
}
