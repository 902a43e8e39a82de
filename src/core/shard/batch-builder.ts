/**
 * PUT 2/5, next: gateway/shard-runner.ts. Forms a batch from queued writes. Decides each write against the newest
 * state, records in flight included (S12, S15: the log's order is the only order), and encodes it once.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { ClientId, Millis, Version } from '../../base/ids.ts';
import { clientId, lbaOf, millis, requestNumber, version } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { RecordInput } from '../../codec/log-format.ts';
import { batchHeaderBytes, batchLayout, finishBatch } from '../../codec/log-batch.ts';
import {
  encodeRecord,
  encodeZoneHeader,
  recordHeaderBytes,
  recordKind,
  recordLength,
  zoneHeaderLength,
} from '../../codec/log-format.ts';
import type { ShardState } from './apply.ts';
import type { ShardEffect } from './events.ts';
import { NewestWrites } from './newest-writes.ts';
import { absentReply, encodeConditionRefused, resultOfRecord, ShardWrite } from './requests.ts';
import type { Batch, ZoneWriter } from './zone-writer.ts';

/** Fields of a record besides key and value, at most: header, numbers, a refusal's reply. */
const recordOverhead = recordHeaderBytes + 20 + 11;
const unseenVersion = version(0);

/** Most that a write's record can take. */
export function recordBytesMax(write: ShardWrite): number {
  return recordOverhead + write.keyLength + write.wantedLength;
}

/** Most that a batch with so many bytes of records takes at any offset. */
function batchBytesMax(recordsLength: number, alignment: number): number {
  return recordsLength + batchHeaderBytes + 4 * (Math.ceil(recordsLength / limits.blockBytes) + 3) + alignment;
}

/** Room for the owner's own record in a batch: a floor (S15). */
const ownRecordBytes = 64;

/** Whether a batch with `recordsLength` bytes of clients' records fits behind what the zone holds. */
export function fitsZone(zone: ZoneWriter, recordsLength: number, zoneSize: number): boolean {
  const header = zone.length === 0 ? zoneHeaderLength(zone.alignment) : 0;
  return zone.length + header + batchBytesMax(recordsLength + ownRecordBytes, zone.alignment) <= zoneSize;
}

/** Whether a record fits an empty zone of this alignment. */
export function fitsEmptyZone(recordLength: number, alignment: number, zoneSize: number): boolean {
  return zoneHeaderLength(alignment) + batchBytesMax(recordLength + ownRecordBytes, alignment) <= zoneSize;
}

/** Decides writes in log order. Holds the newest write in flight of each key; what isn't here is as the index says. */
export class Decider {
  readonly #state: ShardState;
  readonly #newest = new NewestWrites();

  constructor(state: ShardState) {
    this.#state = state;
  }

  /**
   * True: the write gets a record (`kind` and `reply` say which). False: it was answered or waits for its first copy.
   */
  decide(write: ShardWrite, out: ShardEffect[]): boolean {
    if (write.client !== 0 && !this.#firstTime(write, out)) return false;
    const { index } = this.#state;
    write.keyHash = index.hash(write.source, write.keyStart, write.keyLength);
    const pending = this.#newest.find(write);
    let exists: boolean;
    let current: Version = unseenVersion;
    if (pending !== undefined) {
      exists = pending.kind === recordKind.put;
    } else if (write.condition === -1 && write.operation === 'put') {
      exists = false; // Nobody asks.
    } else {
      const id = index.findHashed(write.keyHash, write.source, write.keyStart, write.keyLength);
      exists = id !== -1;
      if (exists) current = index.versionOf(id);
    }
    this.#choose(write, pending, exists, current);
    return true;
  }

  #choose(write: ShardWrite, pending: ShardWrite | undefined, exists: boolean, current: Version): void {
    const holds =
      write.condition === -1 ||
      (write.condition === 0 ? !exists : exists && pending === undefined && current === write.condition);
    write.decidedOn = undefined;
    if (!holds) {
      write.kind = recordKind.refusal;
      write.valueLength = 0;
      write.currentVersion = current;
      if (exists) write.decidedOn = pending;
      write.reply = encodeConditionRefused(current);
    } else if (write.operation === 'put') {
      write.kind = recordKind.put;
      write.valueLength = write.wantedLength;
      write.reply = undefined;
      this.#newest.put(write, pending);
    } else {
      write.kind = exists ? recordKind.delete : recordKind.refusal;
      write.valueLength = 0;
      write.reply = exists ? undefined : absentReply;
      if (exists) this.#newest.put(write, pending);
    }
  }

  /** S15: whether this number was never seen. */
  #firstTime(write: ShardWrite, out: ShardEffect[]): boolean {
    const seen = this.#state.once.check(write.client, write.number, write.firstIncomplete);
    switch (seen.kind) {
      case 'new':
        this.#state.once.begin(write.client, write.number, write.firstIncomplete, write);
        return true;
      case 'in-flight':
        assert(seen.token instanceof ShardWrite, 'S15 the token of a write in flight is that write');
        (seen.token.repetitions ??= []).push(write);
        return false;
      case 'done':
        out.push({
          effect: 'answer-write',
          write,
          result: resultOfRecord(seen.result.kind, version(seen.result.version), seen.result.reply),
        });
        return false;
      case 'superseded':
        out.push(
          failure(
            write,
            'request-superseded',
            `request ${write.number} of client ${write.client} lies below its first incomplete one`,
            'unknown',
          ),
        );
        return false;
      case 'forgotten':
        out.push(
          failure(
            write,
            'client-forgotten',
            `client ${write.client} is not remembered here any more; take a new client id`,
            'unknown',
          ),
        );
        return false;
      case 'window-exceeded':
        out.push(
          failure(
            write,
            'window-exceeded',
            `at most ${limits.clientWindow} requests of a client may be incomplete`,
            'not-applied',
          ),
        );
        return false;
      default:
        return unreachable(seen);
    }
  }

  /** The write's record committed, or will never. */
  settled(write: ShardWrite): void {
    this.#newest.remove(write);
  }

  /** All that was in flight is taken back: its writes are decided anew (S6). */
  takeBack(batches: readonly Batch[]): ShardWrite[] {
    const writes: ShardWrite[] = [];
    for (const batch of batches) {
      for (const write of batch.writes) {
        this.settled(write);
        const repetitions = write.repetitions;
        write.repetitions = undefined;
        writes.push(write);
        if (repetitions !== undefined) writes.push(...repetitions);
      }
    }
    // Floors among them, too: their clients can be named again.
    this.#state.once.abandonAll();
    assert(this.#newest.size === 0, 'S6 nothing is in flight any more');
    return writes;
  }
}

function failure(
  write: ShardWrite,
  code: 'request-superseded' | 'client-forgotten' | 'window-exceeded',
  message: string,
  outcome: 'unknown' | 'not-applied',
): ShardEffect {
  return { effect: 'answer-write', write, result: { kind: 'failed', code, message, outcome } };
}

/** A floor record: client ids at or below `client` that are not in the table are forgotten from here on (S15). */
function floorRecord(client: ClientId): RecordInput {
  const key = Buffer.alloc(8);
  key.writeUIntLE(client, 0, 6);
  return {
    kind: recordKind.floor,
    source: key,
    keyStart: 0,
    keyLength: 8,
    valueStart: 0,
    valueLength: 0,
    client: clientId(0),
    number: requestNumber(0),
    firstIncomplete: requestNumber(0),
  };
}

export interface BatchContext {
  readonly state: ShardState;
  readonly zone: ZoneWriter;
  readonly nowMs: Millis;
  readonly wallMs: Millis;
  readonly number: number;
}

/**
 * Encodes decided `writes` into the next batch of the zone. REQUIRES: `fitsZone`. The writes' sources become the batch,
 * so that the sockets' memory is let go.
 */
export function buildBatch(context: BatchContext, writes: readonly ShardWrite[], floors: readonly ClientId[]): Batch {
  const { state, zone } = context;
  const records: RecordInput[] = floors.map(floorRecord);
  let recordsLength = records.reduce((sum, record) => sum + recordLength(record), 0);
  for (const write of writes) recordsLength += write.recordBytes = recordLength(write);
  const isFirst = zone.length === 0;
  const header = isFirst ? zoneHeaderLength(zone.alignment) : 0;
  const offset = zone.length + header;
  const { headerLength, totalLength } = batchLayout(offset, recordsLength, zone.alignment);
  assert(offset + totalLength <= state.zoneSize, 'a batch ends within its zone');
  const bytes = Buffer.allocUnsafe(header + totalLength);
  if (isFirst) {
    const zoneHeader = {
      cluster: state.cluster,
      shard: state.shard,
      zone: zone.zone,
      epoch: zone.epoch,
      alignment: zone.alignment,
      zoneSize: state.zoneSize,
      createdMs: context.wallMs,
    };
    bytes.set(encodeZoneHeader(zoneHeader), 0);
  }
  let at = header + headerLength;
  for (const record of records) at = encodeRecord(bytes, at, record, zone.seed, offset + at - header);
  for (const write of writes) at = encodeWrite(bytes, at, write, zone, offset + at - header, state.zoneSize);
  bytes.fill(0, at);
  const shardTimeMs = millis(Math.max(Math.floor(context.wallMs), state.shardTimeMs));
  finishBatch(
    bytes,
    header,
    {
      shard: state.shard,
      zone: zone.zone,
      epoch: zone.epoch,
      offset,
      headerLength,
      recordsLength,
      totalLength,
      recordCount: records.length + writes.length,
      committedLength: zone.committed,
      shardTimeMs,
    },
    zone.seed,
  );
  return {
    appendOffset: zone.length,
    offset,
    end: offset + totalLength,
    recordsStart: offset + headerLength,
    recordCount: records.length + writes.length,
    bytes,
    shardTimeMs,
    sentMs: context.nowMs,
    number: context.number,
    writes,
    floors,
  };
}

function encodeWrite(
  bytes: Buffer,
  at: number,
  write: ShardWrite,
  zone: ZoneWriter,
  offset: number,
  zoneSize: number,
): number {
  if (write.decidedOn !== undefined) {
    write.currentVersion = version(lbaOf(zone.zone, write.decidedOn.recordOffset, zoneSize));
    write.reply = encodeConditionRefused(write.currentVersion);
  }
  write.recordOffset = offset;
  const end = encodeRecord(bytes, at, write, zone.seed, offset);
  if (write.kind !== recordKind.refusal) {
    write.source = bytes;
    write.valueStart = end - write.valueLength;
    write.keyStart = write.valueStart - write.keyLength;
  }
  return end;
}
