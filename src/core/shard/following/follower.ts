/**
 * A standby of a shard: applies what the owner tells in log order and reads from the log what it missed (S14). Nobody
 * waits for it.
 */
import { assert } from '../../../base/assert.ts';
import type { Millis, ZoneId } from '../../../base/ids.ts';
import { limits } from '../../../base/limits.ts';
import { times } from '../../../base/times.ts';
import type { DecodedRecord } from '../../../codec/log-format.ts';
import { asBuffer } from '../../../base/bytes.ts';
import type { ShardState } from './apply.ts';
import { advance, applyDecoded, eachRecord, isApplicable } from './apply.ts';
import type { CatchUp, LogRead, ShardEffect } from '../events.ts';
import type { ReadBatch, ReadTail, Segment } from './log-reader.ts';
import { LogReader } from './log-reader.ts';
import type { ShardLimits } from '../limits.ts';
import type { Loggers } from '../loggers.ts';
import type { ShardMetadata } from '../head/metadata.ts';

/** What one message that waits for metadata is reckoned at beside its records. */
const earlyBytesEach = 200;

export class ShardFollower {
  readonly #state: ShardState;
  readonly #earlyBytesMax: number;
  readonly #reader: LogReader;
  #metadata: ShardMetadata | undefined;
  /** Committed as its owner said: read up to here when it wasn't told batch by batch. */
  #target: { readonly zone: ZoneId; readonly end: number } | undefined;
  /** Told before the metadata that opened their zone. */
  #early: CatchUp[] = [];
  #earlyBytes = 0;
  #retryAtMs = 0;
  #tail: ReadTail | undefined;

  constructor(state: ShardState, loggers: Loggers, effects: ShardEffect[], bounds: ShardLimits) {
    this.#state = state;
    this.#earlyBytesMax = bounds.earlyBytesMax;
    this.#reader = new LogReader(
      'heal',
      state,
      loggers,
      effects,
      (batch) => this.#apply(batch),
      // The watermark comes to the end also when no batch brought it there.
      ({ zone, to }) => advance(state, zone, to, state.shardTimeMs),
      bounds.logChunkBytes,
    );
  }

  /** Nothing that is known to be committed is missing: all sealed zones are applied. */
  get isCurrent(): boolean {
    return this.#metadata !== undefined && this.#missing().length === 0;
  }

  /** How many bytes of committed log are known and not applied. */
  get lag(): number {
    return this.#missing().reduce((sum, segment) => sum + segment.to - segment.from, 0);
  }

  metadata(metadata: ShardMetadata): void {
    // Read before what the watch has told since.
    if (metadata.headRevision < (this.#metadata?.headRevision ?? 0)) return;
    this.#metadata = metadata;
    const early = this.#early;
    this.#early = [];
    this.#earlyBytes = 0;
    for (const event of early) this.catchUp(event);
    this.#heal();
  }

  /**
   * A stretch that a take-over has read and checked: applied when metadata that comes later says that the zone was
   * sealed at its end, in its place in the log. A zone is written by one epoch, each offset once (S2), so that it is
   * what any holder would give.
   */
  offer(tail: ReadTail): void {
    this.#tail = tail;
  }

  catchUp(event: CatchUp): void {
    const { position } = this.#state;
    if (event.zone < position.zone || (event.zone === position.zone && event.end <= position.offset)) return;
    if (!this.#isKnown(event)) return this.#keepEarly(event);
    if (this.#follows(event) && this.#applyHeads(event)) return;
    const { zone, end } = event;
    const isNewer = this.#target === undefined || zone > this.#target.zone;
    if (isNewer || (zone === this.#target?.zone && end > this.#target.end)) this.#target = { zone, end };
    this.#heal();
  }

  /**
   * Whether the metadata knows the zone, by this writer and not shorter. What comes before the metadata that opened its
   * zone waits for it, as far as there is room: a zone that a peer made up would carry the watermark past the log.
   */
  #isKnown({ zone, epoch, end }: CatchUp): boolean {
    const { head, zones } = this.#metadata ?? { head: undefined, zones: [] };
    if (head !== undefined && zone === head.openZone.zone)
      return epoch === head.openZone.epoch && end <= this.#state.zoneSize;
    return zones.some((sealed) => sealed.zone === zone && sealed.epoch === epoch && end <= sealed.length);
  }

  #keepEarly(event: CatchUp): void {
    const bytes = event.heads.length + earlyBytesEach;
    if (event.zone <= (this.#metadata?.head?.openZone.zone ?? 0) || this.#earlyBytes + bytes > this.#earlyBytesMax)
      return;
    this.#early.push(event);
    this.#earlyBytes += bytes;
  }

  /** Whether the batch begins exactly where the watermark is. */
  #follows(event: CatchUp): boolean {
    if (this.#reader.state === 'reading' || this.#reader.state === 'stuck') return false;
    const { zone, offset } = this.#state.position;
    if (zone === event.zone && offset === event.offset) return true;
    if (event.previousZone === -1 || (zone === event.zone && offset > 0)) return false;
    return zone > event.previousZone || (zone === event.previousZone && offset >= event.previousLength);
  }

  /**
   * All of them or none: what a peer sends is decoded before any of it is applied, and what makes no sense is read from
   * the log instead.
   */
  #applyHeads(event: CatchUp): boolean {
    const bytes = asBuffer(event.heads);
    const records: DecodedRecord[] = [];
    const offsets: number[] = [];
    let sound = event.shardTimeMs >= this.#state.shardTimeMs && event.shardTimeMs < 2 ** 48;
    let end = event.recordsStart;
    // Heads have no checksums: what a peer sends is checked by the connection and by `isApplicable`.
    const bad = eachRecord(bytes, 0, bytes.length, event.recordsStart, 0, true, (record, offset) => {
      sound &&= isApplicable(this.#state, event.zone, offset, bytes, record);
      records.push(record);
      offsets.push(offset);
      end = offset + record.length;
    });
    // A batch holds records, and ends with them but for padding.
    const isWhole = records.length > 0 && end <= event.end && event.end - end < limits.alignmentBytesMax;
    if (bad !== undefined || !sound || !isWhole) return false;
    for (const [at, record] of records.entries())
      applyDecoded(this.#state, event.zone, offsets[at] ?? 0, bytes, record);
    advance(this.#state, event.zone, event.end, event.shardTimeMs);
    return true;
  }

  #apply(batch: ReadBatch): void {
    const { header, bytes, start } = batch;
    const from = start + header.headerLength;
    const offset = header.offset + header.headerLength;
    const bad = eachRecord(bytes, from, from + header.recordsLength, offset, batch.seed, false, (record, at) =>
      applyDecoded(this.#state, batch.zone, at, bytes, record),
    );
    assert(bad === undefined, `a batch with good checksums holds good records: ${bad?.reason}`);
    advance(this.#state, batch.zone, header.offset + header.totalLength, header.shardTimeMs);
  }

  /** What is committed, known, and not applied. */
  #missing(): Segment[] {
    const { zone: at, offset } = this.#state.position;
    const segments: Segment[] = [];
    let lastSealed = 0;
    for (const { zone, epoch, instance, length, replicas, former } of this.#metadata?.zones ?? []) {
      lastSealed = Math.max(lastSealed, zone);
      if (zone < at) continue;
      segments.push({
        zone,
        epoch,
        instance,
        from: zone === at ? offset : 0,
        to: length,
        holders: [...replicas, ...former],
      });
    }
    // Zones may be told before the head that opened the next one, which then still shows one of them as open (the watch
    // carries the newest state of a key only, in steps): a sealed zone is read once, to its sealed length.
    const open = this.#metadata?.head?.openZone;
    if (open !== undefined && open.zone > lastSealed && this.#target?.zone === open.zone && open.zone >= at) {
      segments.push({
        zone: open.zone,
        epoch: open.epoch,
        instance: open.instance,
        from: open.zone === at ? offset : 0,
        to: this.#target.end,
        holders: open.replicas,
      });
    }
    return segments.filter((segment) => segment.from < segment.to);
  }

  #heal(): void {
    if (this.#reader.state === 'reading' || this.#reader.state === 'stuck') return;
    let missing = this.#missing();
    if (missing[0] !== undefined && this.#applyTail(missing[0])) missing = this.#missing();
    if (missing.length > 0) this.#reader.start(missing);
  }

  /** True when the segment was applied from what a take-over has read. */
  #applyTail({ zone, from, to }: Segment): boolean {
    const tail = this.#tail;
    if (tail === undefined || tail.zone !== zone) return false;
    this.#tail = undefined;
    if (tail.from !== from || tail.to !== to) return false;
    for (const batch of tail.batches) this.#apply(batch);
    advance(this.#state, zone, to, this.#state.shardTimeMs);
    return true;
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined): void {
    this.#reader.answer(request, bytes);
    if (this.#reader.state === 'done') this.#heal();
  }

  tick(nowMs: Millis): void {
    if (this.#reader.state !== 'stuck' || nowMs < this.#retryAtMs) return;
    this.#retryAtMs = nowMs + times.healRetryMs;
    // The zones' lists may have changed since: begin again from the watermark. What the owner said may have been wrong:
    // it says it anew once a second.
    this.#target = undefined;
    this.#reader.stop();
    this.#heal();
  }
}
