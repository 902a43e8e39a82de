/**
 * `Testify`, `Seal`, `Fill`, `Copy`, `Finish` and `Reset` (codec/logger-protocol.ts has the forms): what a taker asks
 * first, and a zone's way from open to gone. Readers throw MessageFormatError, and nothing else.
 */
import type { ShardId, Uuid, ZoneId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { CutRecord, CutRecords } from './cut-records.ts';
import type { Writer } from './log-format.ts';
import type {
  CopyItem,
  CopyState,
  FillItem,
  KnownZone,
  LoggerRefusal,
  SealAnswer,
  ShardKnowledge,
  TailState,
  ZoneRef,
} from './logger-protocol.ts';
import {
  readBytesCount,
  readCode,
  readInstance,
  readShard,
  readWriter,
  readZone,
  refusal,
  writeWriter,
} from './logger-protocol.ts';
import { arrayOf, malformed, skipRest } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export interface TestifyRequest {
  readonly logger: string;
  readonly shard: ShardId;
}

export function writeTestify(out: MessageWriter, logger: Uuid, shard: ShardId): void {
  out.array(2);
  out.text(logger);
  out.integer(shard);
}

export function readTestify(params: MessageReader): TestifyRequest {
  const rest = arrayOf(params, 2, 'Testify');
  const request = { logger: params.text(), shard: readShard(params) };
  skipRest(params, rest);
  return request;
}

export function writeTestimony(out: MessageWriter, known: ShardKnowledge): void {
  out.array(2);
  writeKnown(out, known);
}

export function readTestimony(result: MessageReader): ShardKnowledge {
  const rest = arrayOf(result, 2, 'the answer to Testify');
  const known = readKnown(result);
  skipRest(result, rest);
  return known;
}

export interface SealRequest extends ZoneRef {
  readonly logger: string;
}

/** `at`: the zone that should end, and the taker. */
export function writeSeal(out: MessageWriter, logger: Uuid, at: ZoneRef): void {
  out.array(5);
  out.text(logger);
  out.integer(at.shard);
  out.integer(at.zone);
  writeWriter(out, at);
}

export function readSeal(params: MessageReader): SealRequest {
  const rest = arrayOf(params, 5, 'Seal');
  const logger = params.text();
  const request = { logger, shard: readShard(params), zone: readZone(params), ...readWriter(params) };
  skipRest(params, rest);
  return request;
}

/** Answer to a Seal; a refusal tells what the logger knows, too (S20). */
export type SealResult = SealAnswer | (LoggerRefusal & { readonly known: ShardKnowledge });

export function writeSealResult(out: MessageWriter, result: SealResult): void {
  if ('code' in result) {
    out.array(5);
    out.text(result.code);
    out.text(result.message);
    out.integer(result.detail);
  } else {
    out.array(8);
    out.integer(result.length);
    out.integer(result.seen);
    out.boolean(result.doubtful);
    out.text(result.tail);
    out.text(result.process);
  }
  writeKnown(out, result.known);
  if (!('code' in result)) writeCut(out, result.cut);
}

function writeCut(out: MessageWriter, cut: CutRecords | undefined): void {
  if (cut === undefined) return out.nil();
  const { records, isCutShort } = cut;
  out.array(2);
  out.boolean(isCutShort);
  out.array(2 * records.length);
  for (const { offset, key } of records) {
    out.integer(offset);
    out.binary(key);
  }
}

function readCut(result: MessageReader): CutRecords {
  const rest = arrayOf(result, 2, 'what a logger says of cut records');
  const isCutShort = result.boolean();
  const records: CutRecord[] = [];
  const count = result.array();
  if (count % 2 !== 0 || count > 2 * limits.lostKeysMax) malformed(result, `${count} members of cut records`);
  for (let left = count; left > 0; left -= 2) {
    const offset = readBytesCount(result, 'offset');
    const key = Uint8Array.from(result.binary());
    if (key.length > limits.keyBytesMax) malformed(result, `a key of ${key.length} bytes`);
    records.push({ offset, key });
  }
  skipRest(result, rest);
  return { isCutShort, records };
}

function writeKnown(out: MessageWriter, { fence, zones }: ShardKnowledge): void {
  if (fence === undefined) {
    out.nil();
  } else {
    out.array(2);
    writeWriter(out, fence);
  }
  out.array(zones.length);
  for (const zone of zones) {
    out.array(3);
    out.integer(zone.zone);
    writeWriter(out, zone);
  }
}

export function readSealResult(result: MessageReader): SealResult {
  const rest = arrayOf(result, 5, 'the answer to Seal');
  if (result.nextIsText()) {
    const code = readCode(result, result.text());
    const refused = refusal(code, result.text(), result.integer());
    const known = readKnown(result);
    skipRest(result, rest);
    return { ...refused, known };
  }
  if (rest < 3) malformed(result, 'the answer to Seal is too short');
  const answer = {
    length: readBytesCount(result, 'length'),
    seen: readBytesCount(result, 'seen'),
    doubtful: result.boolean(),
    tail: readTail(result),
    process: readInstance(result),
    known: readKnown(result),
  };
  const cut = result.tryNil() ? undefined : readCut(result);
  skipRest(result, rest - 3);
  return cut === undefined ? answer : { ...answer, cut };
}

function readKnown(result: MessageReader): ShardKnowledge {
  const fence = result.tryNil() ? undefined : readFence(result);
  const zones: KnownZone[] = [];
  for (let count = result.array(); count > 0; count -= 1) {
    const rest = arrayOf(result, 3, 'a known zone');
    zones.push({ zone: readZone(result), ...readWriter(result) });
    skipRest(result, rest);
  }
  return { fence, zones };
}

function readFence(result: MessageReader): Writer {
  const rest = arrayOf(result, 2, 'a fence');
  const fence = readWriter(result);
  skipRest(result, rest);
  return fence;
}

function readTail(reader: MessageReader): TailState {
  const tail = reader.text();
  if (tail === 'clean' || tail === 'torn' || tail === 'damaged') return tail;
  return malformed(reader, `unknown tail state '${tail}'`);
}

export interface FillRequest {
  readonly logger: string;
  readonly item: FillItem;
}

export function writeFill(out: MessageWriter, logger: Uuid, item: FillItem): void {
  out.array(7);
  out.text(logger);
  out.integer(item.shard);
  out.integer(item.zone);
  writeWriter(out, item.by);
  out.integer(item.offset);
  out.binary(item.bytes);
}

/** The item's bytes are a view of the message. */
export function readFill(params: MessageReader): FillRequest {
  const rest = arrayOf(params, 7, 'Fill');
  const logger = params.text();
  const item = {
    shard: readShard(params),
    zone: readZone(params),
    by: readWriter(params),
    offset: readBytesCount(params, 'offset'),
    bytes: params.binary(),
  };
  skipRest(params, rest);
  return { logger, item };
}

export interface CopyRequest {
  readonly logger: string;
  readonly item: CopyItem;
}

export function writeCopy(out: MessageWriter, logger: Uuid, item: CopyItem): void {
  out.array(11);
  out.text(logger);
  out.integer(item.shard);
  out.integer(item.zone);
  writeWriter(out, item.writer);
  writeWriter(out, item.by);
  out.integer(item.length);
  out.integer(item.offset);
  out.binary(item.bytes);
  out.text(item.replaces);
}

/** The item's bytes are a view of the message. */
export function readCopy(params: MessageReader): CopyRequest {
  const rest = arrayOf(params, 11, 'Copy');
  const logger = params.text();
  const item = {
    shard: readShard(params),
    zone: readZone(params),
    writer: readWriter(params),
    by: readWriter(params),
    length: readBytesCount(params, 'length'),
    offset: readBytesCount(params, 'offset'),
    bytes: params.binary(),
    replaces: params.text(),
  };
  skipRest(params, rest);
  return { logger, item };
}

export function writeCopyState(out: MessageWriter, { length, copyId }: CopyState): void {
  out.array(2);
  out.integer(length);
  out.text(copyId);
}

export function readCopyState(result: MessageReader): CopyState {
  const rest = arrayOf(result, 2, 'an answer to Copy');
  const state = { length: readBytesCount(result, 'length'), copyId: result.text() };
  skipRest(result, rest);
  return state;
}

export function writeFinish(out: MessageWriter, logger: Uuid, shard: ShardId, zone: ZoneId, length: number): void {
  out.array(4);
  out.text(logger);
  out.integer(shard);
  out.integer(zone);
  out.integer(length);
}

export interface FinishRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly length: number;
}

export function readFinish(params: MessageReader): FinishRequest {
  const rest = arrayOf(params, 4, 'Finish');
  const request = {
    logger: params.text(),
    shard: readShard(params),
    zone: readZone(params),
    length: readBytesCount(params, 'length'),
  };
  skipRest(params, rest);
  return request;
}

export function writeReset(out: MessageWriter, logger: Uuid, shard: ShardId, zone: ZoneId, copyId: string): void {
  out.array(4);
  out.text(logger);
  out.integer(shard);
  out.integer(zone);
  out.text(copyId);
}

export interface ResetRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly copyId: string;
}

export function readReset(params: MessageReader): ResetRequest {
  const rest = arrayOf(params, 4, 'Reset');
  const request = {
    logger: params.text(),
    shard: readShard(params),
    zone: readZone(params),
    copyId: params.text(),
  };
  skipRest(params, rest);
  return request;
}
