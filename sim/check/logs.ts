/**
 * Reads the committed log of every shard from every logger that should hold it, and compares: replicas byte by byte
 * (S11), checksums and places (S16), acknowledged writes against the records at their versions (S5), request numbers
 * that appear twice (S15), shard time, which only grows from batch to batch (S18).
 */
import { asBuffer } from '../../src/base/bytes.ts';
import type { Uuid } from '../../src/base/ids.ts';
import { epoch, lbaOf, shardId, zoneId } from '../../src/base/ids.ts';
import { limits } from '../../src/base/limits.ts';
import type { ZonePlace } from '../../src/codec/log-format.ts';
import { checkBatchBody, decodeBatchHeader } from '../../src/codec/log-batch.ts';
import { decodeRecord, decodeZoneHeader, recordKind, zoneSeed } from '../../src/codec/log-format.ts';
import { slotOfKey, shardOfSlot } from '../../src/core/slots.ts';
import type { HistoryEvent } from '../history.ts';
import { decodeValue } from '../values.ts';
import type { CutZone } from './lost-keys.ts';
import { OwedKeys } from './lost-keys.ts';
import { Violation } from './violation.ts';

export interface ZoneToCheck extends ZonePlace, CutZone {
  readonly length: number;
  readonly replicas: readonly Uuid[];
  /** Bytes in the open zone may be followed by others. */
  readonly isOpen: boolean;
}

/** Bytes [0, length) of a zone as `logger` serves them. */
export type ReadZone = (logger: Uuid, zone: ZoneToCheck) => Promise<Uint8Array>;

/** Committed put or delete. */
export interface LogRecord {
  readonly key: string;
  readonly kind: number;
  /** Name of the value; undefined: a delete. */
  readonly name: string | undefined;
  readonly valueLength: number;
  readonly lba: number;
}

/** Log of all committed records. */
export class CommittedLog {
  readonly records = new Map<number, LogRecord>();
  /** LBAs of the records that name a key lost. */
  readonly lost = new Map<string, readonly number[]>();
  /** Puts and deletes of each key in the log's order. */
  readonly #histories = new Map<string, LogRecord[]>();
  readonly #names = new Map<string, LogRecord>();
  readonly #numbers = new Map<string, number>();
  readonly #zoneSize: number;
  readonly #shardCount: number;
  batches = 0;
  /** Time of the last batch of the shard that is being read. */
  #shardTimeMs = 0;

  constructor(zoneSize: number, shardCount: number) {
    this.#zoneSize = zoneSize;
    this.#shardCount = shardCount;
  }

  /** Zones of one shard in their order. @throws Violation */
  async read(zones: readonly ZoneToCheck[], readZone: ReadZone): Promise<void> {
    const owed = new OwedKeys();
    this.#shardTimeMs = 0;
    for (const zone of zones) {
      await this.#zone(zone, readZone, owed);
      owed.ended(`shard ${zone.shard} zone ${zone.zone}`, zone);
    }
  }

  async #zone(zone: ZoneToCheck, readZone: ReadZone, owed: OwedKeys): Promise<void> {
    if (zone.length === 0) return; // Cut to nothing.
    const copies: { readonly logger: Uuid; readonly bytes: Uint8Array }[] = [];
    for (const logger of zone.replicas) copies.push({ logger, bytes: await readZone(logger, zone) });
    const [first, ...others] = copies;
    if (first === undefined) throw new Violation(`S5 shard ${zone.shard} zone ${zone.zone} has no replica`);
    for (const other of others) {
      const at = firstDifference(first.bytes, other.bytes);
      if (at !== -1)
        throw new Violation(
          `S11 shard ${zone.shard} zone ${zone.zone} of ${zone.length} bytes: ${first.logger} and ${other.logger} differ at ${at}`,
        );
    }
    this.#scan(zone, asBuffer(first.bytes), owed);
  }

  #scan(zone: ZoneToCheck, bytes: Buffer, owed: OwedKeys): void {
    const where = `shard ${zone.shard} zone ${zone.zone}`;
    const head = decodeZoneHeader(bytes);
    if (head.kind !== 'zone')
      throw new Violation(`S10 ${where}: no zone header: ${'reason' in head ? head.reason : head.kind}`);
    const { header } = head;
    if (
      header.shard !== zone.shard ||
      header.zone !== zone.zone ||
      header.epoch !== zone.epoch ||
      header.cluster !== zone.cluster
    ) {
      throw new Violation(
        `S16 ${where}: the zone header belongs to shard ${header.shard} zone ${header.zone} epoch ${header.epoch}`,
      );
    }
    const seed = zoneSeed(zone);
    let at = head.length;
    if (at < zone.length) misplace(zone, bytes, at, where);
    while (at < zone.length) {
      const result = decodeBatchHeader(bytes, at, at, zone, seed);
      if (result.kind !== 'batch')
        throw new Violation(
          `S10 ${where}: no batch at ${at} of ${zone.length}: ${'reason' in result ? result.reason : result.kind}`,
        );
      const batch = result.header;
      if (at + batch.totalLength > zone.length)
        throw new Violation(`${where}: the length ${zone.length} is no batch boundary`);
      if (checkBatchBody(bytes, at, batch, seed) !== 'good')
        throw new Violation(`S10 ${where}: the batch at ${at} is damaged`);
      if (batch.committedLength > at)
        throw new Violation(`${where}: the batch at ${at} says ${batch.committedLength} is committed`);
      this.#time(batch.shardTimeMs, `${where}: the batch at ${at}`);
      const start = at + batch.headerLength;
      const lost = this.#records(zone, bytes, start, start + batch.recordsLength, seed, where);
      owed.batch(`${where} at ${at}`, batch.recordCount, lost);
      this.batches += 1;
      at += batch.totalLength;
    }
  }

  /** @throws Violation */
  #time(shardTimeMs: number, where: string): void {
    if (shardTimeMs < this.#shardTimeMs)
      throw new Violation(`S18 ${where} has time ${shardTimeMs}, behind one of ${this.#shardTimeMs}`);
    this.#shardTimeMs = shardTimeMs;
  }

  /** Gives the keys that are named as lost. */
  #records(zone: ZoneToCheck, bytes: Buffer, start: number, end: number, seed: number, where: string): string[] {
    const lost: string[] = [];
    for (let at = start; at < end; ) {
      const result = decodeRecord(bytes, at, seed, at);
      if (result.kind !== 'record') throw new Violation(`S10 ${where}: no record at ${at}`);
      const { record } = result;
      const lba = lbaOf(zone.zone, at, this.#zoneSize);
      if (record.client !== 0) this.#once(`${zone.shard}/${record.client}/${record.number}`, lba, where);
      const key = bytes.toString('latin1', record.keyStart, record.keyStart + record.keyLength);
      const isWrite = record.kind === recordKind.put || record.kind === recordKind.delete;
      if (isWrite || record.kind === recordKind.lost) {
        const owner = shardOfSlot(slotOfKey(Buffer.from(key, 'latin1')), this.#shardCount);
        if (owner !== zone.shard) throw new Violation(`${where}: ${key} belongs to shard ${owner}`);
      }
      if (record.kind === recordKind.lost) {
        lost.push(key);
        this.lost.set(key, [...(this.lost.get(key) ?? []), lba]);
      }
      if (isWrite) {
        const value = bytes.subarray(record.valueStart, record.valueStart + record.valueLength);
        this.#add(zone, {
          key,
          kind: record.kind,
          name: record.kind === recordKind.put ? decodeValue(value) : undefined,
          valueLength: record.valueLength,
          lba,
        });
      }
      at += record.length;
    }
    return lost;
  }

  #once(number: string, lba: number, where: string): void {
    const other = this.#numbers.get(number);
    if (other !== undefined)
      throw new Violation(`S15 ${where}: request ${number} is in the log twice, at ${other} and ${lba}`);
    this.#numbers.set(number, lba);
  }

  #add(zone: ZoneToCheck, record: LogRecord): void {
    if (record.kind === recordKind.put) {
      if (record.name === undefined)
        throw new Violation(`shard ${zone.shard}: ${record.key} at ${record.lba} has a value that nobody wrote`);
      const other = this.#names.get(record.name);
      if (other !== undefined)
        throw new Violation(
          `S15 ${record.name} of ${record.key} is in the log twice, at ${other.lba} and ${record.lba}`,
        );
      this.#names.set(record.name, record);
    }
    this.records.set(zone.shard * 2 ** 40 + record.lba, record);
    const history = this.#histories.get(record.key);
    if (history === undefined) this.#histories.set(record.key, [record]);
    else history.push(record);
  }

  /** Puts and deletes of a key in the log's order. */
  historyOf(key: string): readonly LogRecord[] {
    return this.#histories.get(key) ?? [];
  }

  /** What clients were told is not applied is not in the log, whether or not anybody has read it. @throws Violation */
  checkRefused(events: readonly HistoryEvent[]): void {
    for (const event of events) {
      if (event.type !== 'fail' || event.value === null) continue;
      const record = this.#names.get(event.value);
      if (record === undefined) continue;
      throw new Violation(`${event.f} of ${event.key} = ${event.value} was told not applied, and is at ${record.lba}`);
    }
  }

  /**
   * Every write that a client was told of is at the version it was told, or, where it was told none, anywhere; reads
   * give what the log says. @throws Violation
   */
  checkAcknowledged(events: readonly HistoryEvent[]): void {
    for (const event of events) {
      if (event.type !== 'ok' || (event.f === 'has' ? event.version === 0 : event.value === null)) continue;
      const version = event.f === 'cas' ? event.newVersion : event.version;
      const record = version === undefined ? this.#names.get(event.value ?? '') : this.#at(event.key, version);
      if (isTold(record, event)) continue;
      const found = record === undefined ? 'nothing' : `${record.key} = ${record.name ?? 'a deletion'}`;
      throw new Violation(
        `S5 ${event.f} of ${event.key} = ${event.value ?? `${event.length ?? 0} bytes`} was answered with version ${version ?? 'none'}, where the log holds ${found}`,
      );
    }
  }

  #at(key: string, version: number): LogRecord | undefined {
    const shard = shardOfSlot(slotOfKey(Buffer.from(key, 'latin1')), this.#shardCount);
    return this.records.get(shard * 2 ** 40 + version);
  }
}

/** Whether the record is what the call was told, or has told. */
function isTold(record: LogRecord | undefined, event: HistoryEvent): boolean {
  if (record?.key !== event.key || record.name === undefined) return false;
  return event.f === 'has' ? record.valueLength === event.length : record.name === event.value;
}

/**
 * S16: what lies in one place must not pass in another: the next zone, another epoch, another shard, a batch further
 * on. @throws Violation
 */
function misplace(zone: ZoneToCheck, bytes: Buffer, at: number, where: string): void {
  const batch = decodeBatchHeader(bytes, at, at, zone, zoneSeed(zone));
  if (batch.kind !== 'batch') return; // The scan says what is wrong.
  const start = at + batch.header.headerLength;
  const elsewhere: readonly { readonly place: ZonePlace; readonly offset: number }[] = [
    { place: { ...zone, zone: zoneId(zone.zone + 1) }, offset: start },
    { place: { ...zone, epoch: epoch(zone.epoch + 1) }, offset: start },
    { place: { ...zone, shard: shardId(zone.shard + 1) }, offset: start },
    { place: zone, offset: start + batch.header.totalLength },
  ];
  for (const { place, offset } of elsewhere) {
    if (decodeRecord(bytes, start, zoneSeed(place), offset).kind === 'record')
      throw new Violation(
        `S16 ${where}: the record at ${start} would pass in shard ${place.shard} zone ${place.zone} at ${offset}`,
      );
  }
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.compare(a, b) === 0) return -1;
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at += 1) if (a[at] !== b[at]) return at;
  return end;
}

/** Ranges of a zone in pieces that one request can carry. */
export function piecesOf(length: number): { readonly offset: number; readonly length: number }[] {
  const pieces = [];
  for (let offset = 0; offset < length; offset += limits.readBytesMax)
    pieces.push({ offset, length: Math.min(limits.readBytesMax, length - offset) });
  return pieces;
}

export function placeOf(
  cluster: Uuid,
  shard: number,
  { zone, epoch, instance }: Pick<ZonePlace, 'zone' | 'epoch' | 'instance'>,
): ZonePlace {
  return { cluster, shard: shardId(shard), zone, epoch, instance };
}
