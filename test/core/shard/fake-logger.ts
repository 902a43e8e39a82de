/** A logger in memory that does what docs/design.md asks of real ones (S3, S4, S11, S19, S20), synced at once. */
import assert from 'node:assert/strict';
import type { Epoch, InstanceId, Uuid, ZoneId } from '../../../src/base/ids.ts';
import { instanceId } from '../../../src/base/ids.ts';
import type { CutRecords } from '../../../src/codec/cut-records.ts';
import { checkBatchBody, decodeBatchHeader } from '../../../src/codec/log-batch.ts';
import type { Writer } from '../../../src/codec/log-format.ts';
import { decodeZoneHeader, zoneSeed } from '../../../src/codec/log-format.ts';
import type { LoggerRefusalCode, ShardKnowledge } from '../../../src/codec/logger-protocol.ts';
import { refusal } from '../../../src/codec/logger-protocol.ts';
import type { ShardEffect } from '../../../src/core/shard/events.ts';
import type { SealResult } from '../../../src/codec/logger-seals.ts';
import { cutRecordsOf } from '../../../src/core/logger/cut-scan.ts';

interface Zone extends Writer {
  bytes: Buffer;
  restarted: boolean;
  /** It knows its end, and is not scanned any more. */
  finished?: boolean;
  /** Copies of it that were made here in place of others. */
  replacements?: number;
}

type CopyOrder = Pick<
  Extract<ShardEffect, { effect: 'copy' }>,
  'by' | 'writer' | 'offset' | 'bytes' | 'length' | 'replaces'
>;

/** Owner whose name no test cares about. */
export const anyInstance = instanceId('f'.repeat(16));

export class FakeLogger {
  readonly name: Uuid;
  readonly zones = new Map<ZoneId, Zone>();
  fence: Writer | undefined;
  isUp = true;
  isFull = false;
  /** ... but new zones get what is kept for deletes. */
  hasRoomForZones = false;
  #starts = 0;

  constructor(name: Uuid) {
    this.name = name;
  }

  get process(): InstanceId {
    return instanceId(`${this.#starts}${this.name.slice(-15)}`);
  }

  /** Epoch of the fence; 0: none. */
  get fencedBy(): number {
    return this.fence?.epoch ?? 0;
  }

  /** S4: of a later epoch, or of another process of the same. */
  isFenced({ epoch: of, instance }: Writer): boolean {
    return (
      this.fence !== undefined &&
      (of < this.fence.epoch || (of === this.fence.epoch && instance !== this.fence.instance))
    );
  }

  append(
    zone: ZoneId,
    owner: Epoch,
    offset: number,
    bytes: Uint8Array,
    instance = this.zones.get(zone)?.instance ?? anyInstance,
  ): number | LoggerRefusalCode {
    if (this.isFenced({ epoch: owner, instance })) return 'fenced';
    if (offset !== 0 && !this.zones.has(zone)) return 'unknown-zone';
    if (this.isFull && !(this.hasRoomForZones && offset === 0)) return 'device-full';
    const held = this.zones.get(zone) ?? { epoch: owner, instance, bytes: Buffer.alloc(0), restarted: false };
    if (held.restarted) return 'restarted';
    if (held.epoch !== owner || held.instance !== instance) return 'other-epoch';
    if (offset !== held.bytes.length) return 'not-at-write-pointer';
    held.bytes = Buffer.concat([held.bytes, bytes]);
    this.zones.set(zone, held);
    return offset + bytes.length;
  }

  get known(): ShardKnowledge {
    const zones = [...this.zones].map(([zone, { epoch, instance }]) => ({ zone, epoch, instance }));
    return { fence: this.fence, zones };
  }

  seal(zone: ZoneId, by: Writer): SealResult {
    const { known } = this;
    if (this.isFenced(by)) return { ...refusal('fenced', 'by a later owner', this.fencedBy), known };
    this.fence = by;
    const { process } = this;
    const held = this.zones.get(zone);
    if (held === undefined) return { length: 0, seen: 0, doubtful: false, tail: 'clean', process, known };
    const { length, seen, damaged } = scan(held.bytes);
    if (!damaged) return { length, seen, doubtful: false, tail: 'clean', process, known };
    return { length, seen, doubtful: true, tail: 'damaged', process, known, cut: behind(held.bytes, length) };
  }

  /** S19 */
  fill(zone: ZoneId, by: Writer, offset: number, bytes: Uint8Array): number | LoggerRefusalCode {
    if (this.fence === undefined || this.fence.epoch < by.epoch) return 'unsealed';
    if (this.fence.epoch !== by.epoch || this.fence.instance !== by.instance) return 'fenced';
    const held = this.zones.get(zone);
    const intact = held === undefined ? 0 : scan(held.bytes).length;
    if (offset !== intact) return 'not-at-write-pointer';
    const all = Buffer.concat([held?.bytes.subarray(0, intact) ?? Buffer.alloc(0), bytes]);
    const header = decodeZoneHeader(all);
    assert.ok(header.kind === 'zone', 'a Fill carries whole batches');
    const { epoch: of, instance } = header.header;
    this.zones.set(zone, { epoch: of, instance, bytes: all, restarted: true });
    return all.length;
  }

  /** S10: completes a copy of a zone that ended; no bytes: how much it holds. */
  copy(zone: ZoneId, { by, writer, offset, bytes, length, replaces }: CopyOrder): number | LoggerRefusalCode {
    if (this.isFenced(by)) return 'fenced';
    const held = this.zones.get(zone);
    if (replaces !== '') {
      if (offset !== 0 || replaces !== this.copyIdOf(zone)) return 'other-copy';
      const replacements = (held?.replacements ?? 0) + 1;
      this.zones.set(zone, { ...writer, bytes: Buffer.from(bytes), restarted: true, replacements });
      return bytes.length;
    }
    const whole = held?.finished === true ? held.bytes.length : 0;
    const intact = held === undefined ? 0 : Math.max(whole, scan(held.bytes).length);
    if (bytes.length === 0) return Math.min(intact, length);
    if (this.isFull) return 'device-full';
    const same = held?.bytes.subarray(offset, offset + bytes.length);
    if (offset < intact && same?.equals(bytes) === true) return Math.min(intact, length);
    if (offset !== intact) return 'not-at-write-pointer';
    const all = Buffer.concat([held?.bytes.subarray(0, intact) ?? Buffer.alloc(0), bytes]);
    this.zones.set(zone, { ...writer, bytes: all, restarted: true, replacements: held?.replacements ?? 0 });
    return all.length;
  }

  /** '': none is held. */
  copyIdOf(zone: ZoneId): string {
    const held = this.zones.get(zone);
    return held === undefined ? '' : `copy ${held.replacements ?? 0}`;
  }

  /** What kill -9 and a start do to it, when everything was synced. */
  restart(): void {
    this.#starts += 1;
    for (const zone of this.zones.values()) zone.restarted = true;
  }
}

function behind(bytes: Buffer, length: number): CutRecords {
  const zone = decodeZoneHeader(bytes);
  if (zone.kind !== 'zone') return { records: [], isCutShort: false };
  return cutRecordsOf(bytes.subarray(length), length, { place: zone.header, zoneSize: 64 * 1024, alignment: 1 });
}

/** The intact prefix, and the highest committed length it tells of. */
function scan(bytes: Buffer): { readonly length: number; readonly seen: number; readonly damaged: boolean } {
  const zone = decodeZoneHeader(bytes);
  if (zone.kind !== 'zone') return { length: 0, seen: 0, damaged: bytes.length > 0 };
  let at = zone.length;
  let seen = 0;
  while (at < bytes.length) {
    const seed = zoneSeed(zone.header);
    const batch = decodeBatchHeader(bytes, at, at, zone.header, seed);
    if (batch.kind !== 'batch') return { length: at, seen, damaged: true };
    seen = Math.max(seen, batch.header.committedLength);
    if (checkBatchBody(bytes, at, batch.header, seed) !== 'good') return { length: at, seen, damaged: true };
    at += batch.header.totalLength;
  }
  return { length: at, seen, damaged: false };
}
