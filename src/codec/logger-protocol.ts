/**
 * What gateways and loggers say to each other (docs/protocol.md), over MessagePack-RPC. `Append`, `Seal`, `Confirm`,
 * `Finish` and `Reset` go to a logger's write port, `Read`, `ReportZones` and `Ping` to its read port; `Ping` works on
 * both.
 *
 *   Append      [logger:str, [[shard, zone, epoch, offset, bytes:bin]*]]      -> [answer*], answer = [nil, lba] | [code:str, message:str, detail:int]
 *   Confirm     [logger:str, number, [[shard, zone, epoch]*]]                 -> [number, [nil | code:str]*]
 *   Seal        [logger:str, shard, zone, epoch]                              -> [length, seen, doubtful:bool, tail:str]
 *   Finish      [logger:str, shard, zone, length]                             -> nil
 *   Reset       [logger:str, shard, zone, copyId:str]                     -> nil
 *   Read        [logger:str, [[shard, zone, offset, length]*]]                -> [bytes:bin | code:str]*
 *   ReportZones [logger:str, shard|nil, [[shard, zone, length]*] to digest]   -> [map (see ZoneStatus)*]
 *   Ping        []                                                            -> map (see LoggerStatus)
 *   hello       [map, ignored]                                                -> map: cluster, logger, instance, protocol
 * A request that is refused as a whole is answered by an error [code, message, detail]. Extra members of arrays and
 * unknown keys of maps are ignored, so that later versions can add some.
 *
 * Readers throw MessageFormatError when a message has another form; they never throw anything else, whatever the bytes.
 */
import type { Epoch, InstanceId, Lba, ShardId, Uuid, ZoneId } from '../base/ids.ts';
import { epoch as toEpoch, lba, shardId, zoneId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { MessageFormatError } from './message-reader.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

/** Why a logger refuses. Nothing was changed by a refused request. */
export const loggerRefusals = {
  'wrong-logger': 'the request names another logger (S16)',
  fenced: 'a higher epoch has sealed this shard here (S4); detail: that epoch',
  'retired-zone': 'a zone with this id, or a later one, existed here before: ids are never used again (S4)',
  'other-epoch': 'the zone belongs to another epoch (S2)',
  'not-at-write-pointer':
    'the offset is neither the write pointer nor an identical repetition below it (S11); detail: the write pointer',
  restarted: 'the zone was found open after a restart and takes no appends (S3)',
  sealed: 'the zone is closed at a length',
  'unknown-zone': 'this logger holds no such zone',
  'other-copy': 'the order names another copy of the zone than the one held (S10)',
  'not-held': 'this logger does not hold the zone up to that length',
  misaligned: 'offset or length is not a multiple of the alignment',
  malformed: 'the bytes are not a zone header or a batch for this place',
  'zone-full': 'the zone ends before the append does',
  'device-full': 'no space is left on the device',
  'device-failed': 'a write or sync failed; this process answers for nothing new any more (S17)',
  'out-of-range': 'the range to read lies beyond what is held',
  'too-large': 'more items or bytes than a request may have',
} as const;
export type LoggerRefusalCode = keyof typeof loggerRefusals;

export interface LoggerRefusal {
  readonly kind: 'refused';
  readonly code: LoggerRefusalCode;
  readonly message: string;
  readonly detail: number;
}

/** The connection went down, or the deadline passed, before the answer came: the outcome is unknown. */
export interface LoggerLost {
  readonly kind: 'lost';
  readonly message: string;
}

export type LoggerAnswer<T> = { readonly kind: 'ok'; readonly value: T } | LoggerRefusal | LoggerLost;

export interface AppendItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  /** 0 creates the zone: the bytes begin with a zone header. */
  readonly offset: number;
  /** Whole batches, one after another. Sent as one binary; must not change afterwards. */
  readonly bytes: Uint8Array;
}

/** The LBA of the append's first byte. */
export type AppendAnswer = { readonly kind: 'ok'; readonly value: Lba } | LoggerRefusal;

export interface ConfirmItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
}

/**
 * What the end of a zone's bytes looks like to a scan (S9). `clean`: nothing follows. `torn`: an append that never
 * became stable.
 */
export type TailState = 'clean' | 'torn' | 'damaged';

export interface SealAnswer {
  /** End of the intact prefix, a batch boundary; 0 when the zone was never seen. */
  readonly length: number;
  /** Highest committed length in any good batch header, also behind damage. */
  readonly seen: number;
  /** `tail` is damaged (bytes follow that are neither untouched nor a torn batch), or `seen` lies beyond `length`. */
  readonly doubtful: boolean;
  readonly tail: TailState;
}

export interface ReadItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly offset: number;
  readonly length: number;
}

export type ReadAnswer =
  | { readonly kind: 'ok'; readonly value: Uint8Array }
  | { readonly kind: 'refused'; readonly code: LoggerRefusalCode };

/** A zone as a logger reports it. */
export interface ZoneStatus {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  /**
   * `restarted`: open, but found so after a restart, so it takes no appends. `fenced`: a higher epoch has sealed the shard
   * here (S4); its end is not known until `Finish` tells it.
   */
  readonly state: 'open' | 'restarted' | 'fenced' | 'finished';
  /** End of the intact prefix; of a finished zone its sealed length. */
  readonly length: number;
  readonly seen: number;
  readonly capacity: number;
  readonly occupied: number;
  /** Names this copy (S10): drawn when the zone was created here. */
  readonly copyId: string;
  readonly batches: number;
  /** SHA-256 of bytes [0, length asked for), hexadecimal, when asked for. */
  readonly digest: string | undefined;
}

export interface LoggerStatus {
  readonly logger: Uuid;
  readonly instance: InstanceId;
  readonly cluster: Uuid;
  /** `failed`: S17. */
  readonly state: 'ready' | 'failed';
  readonly deviceCapacity: number;
  readonly deviceOccupied: number;
  readonly zones: number;
  readonly alignment: number;
}

// --- methods
// -------------------------------------------------------------------------------------------------------------

export const loggerMethods = {
  append: 'Append',
  confirm: 'Confirm',
  seal: 'Seal',
  finish: 'Finish',
  reset: 'Reset',
  read: 'Read',
  reportZones: 'ReportZones',
  ping: 'Ping',
  hello: 'hello',
} as const;

export const loggerProtocolVersion = 1;

export interface LoggerWelcome {
  readonly cluster: Uuid;
  readonly logger: Uuid;
  readonly instance: InstanceId;
  readonly protocol: number;
}

export interface SealRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
}

export interface FinishRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly length: number;
}

export interface ResetRequest {
  readonly logger: string;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly copyId: string;
}

/** Asks for the SHA-256 of bytes [0, length) of a zone. */
export interface DigestItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly length: number;
}

export interface ReportRequest {
  readonly logger: string;
  /** Only this shard's zones; undefined: all. */
  readonly shard: ShardId | undefined;
  readonly digests: readonly DigestItem[];
}

export interface ConfirmAnswer {
  /** The request's: an older answer confirms nothing (S7). */
  readonly number: number;
  /** By item: undefined when the epoch is not fenced, else why it is refused. */
  readonly refusals: readonly (LoggerRefusalCode | undefined)[];
}

// --- primitives
// ----------------------------------------------------------------------------------------------------------

export function malformed(reader: MessageReader, what: string): never {
  throw new MessageFormatError(what, reader.position);
}

function natural(reader: MessageReader, least: number, most: number, what: string): number {
  const value = reader.integer();
  if (value < least || value > most) malformed(reader, `${what} is out of range: ${value}`);
  return value;
}

const u48Max = 2 ** 48 - 1;
export const readShard = (reader: MessageReader): ShardId =>
  shardId(natural(reader, 0, limits.shardCountMax - 1, 'shard'));
export const readZone = (reader: MessageReader): ZoneId => zoneId(natural(reader, 1, u48Max, 'zone id'));
const readEpoch = (reader: MessageReader): Epoch => toEpoch(natural(reader, 1, u48Max, 'epoch'));
export const readBytesCount = (reader: MessageReader, what: string): number =>
  natural(reader, 0, limits.zoneBytesMax, what);

/** Reads the head of an array of at least `least` members; gives how many more there are. */
export function arrayOf(reader: MessageReader, least: number, what: string): number {
  const count = reader.array();
  if (count < least) malformed(reader, `${what} has ${count} members, not ${least}`);
  return count - least;
}

export function skipRest(reader: MessageReader, count: number): void {
  for (let left = count; left > 0; left -= 1) reader.skip();
}

export function readCode(reader: MessageReader, code: string): LoggerRefusalCode {
  if (isRefusalCode(code)) return code;
  return malformed(reader, `unknown refusal '${code}'`);
}

export function isRefusalCode(code: string): code is LoggerRefusalCode {
  return Object.hasOwn(loggerRefusals, code);
}

export function refusal(code: LoggerRefusalCode, message: string, detail = 0): LoggerRefusal {
  return { kind: 'refused', code, message, detail };
}

/** The error object of a request that is refused as a whole. */
export function writeRefusal(out: MessageWriter, refused: LoggerRefusal): void {
  out.array(3);
  out.text(refused.code);
  out.text(refused.message);
  out.integer(refused.detail);
}

/** An error that isn't in our form, or has a code we don't know, leaves the outcome open: `lost`. */
export function readRefusal(error: MessageReader): LoggerRefusal | LoggerLost {
  const value = error.value();
  if (!Array.isArray(value)) return { kind: 'lost', message: `the logger answered with an error: ${String(value)}` };
  const [code, message, detail] = value as readonly unknown[];
  if (typeof code !== 'string' || !isRefusalCode(code))
    return { kind: 'lost', message: `the logger refused for an unknown reason: ${String(code)}` };
  return refusal(code, typeof message === 'string' ? message : '', typeof detail === 'number' ? detail : 0);
}

// --- Append
// --------------------------------------------------------------------------------------------------------------

export function writeAppend(out: MessageWriter, logger: Uuid, items: readonly AppendItem[]): void {
  out.array(2);
  out.text(logger);
  out.array(items.length);
  for (const item of items) {
    out.array(5);
    out.integer(item.shard);
    out.integer(item.zone);
    out.integer(item.epoch);
    out.integer(item.offset);
    out.binary(item.bytes);
  }
}

export interface AppendRequest {
  readonly logger: string;
  readonly items: readonly AppendItem[];
}

/** The items' bytes are views of the message. */
export function readAppend(params: MessageReader): AppendRequest {
  const rest = arrayOf(params, 2, 'Append');
  const logger = params.text();
  const items: AppendItem[] = [];
  for (let count = params.array(); count > 0; count -= 1) {
    const more = arrayOf(params, 5, 'an append');
    items.push({
      shard: readShard(params),
      zone: readZone(params),
      epoch: readEpoch(params),
      offset: readBytesCount(params, 'offset'),
      bytes: params.binary(),
    });
    skipRest(params, more);
  }
  skipRest(params, rest);
  return { logger, items };
}

export function writeAppendAnswer(out: MessageWriter, answers: readonly AppendAnswer[]): void {
  out.array(answers.length);
  for (const answer of answers) {
    if (answer.kind === 'ok') {
      out.array(2);
      out.nil();
      out.integer(answer.value);
    } else {
      writeRefusal(out, answer);
    }
  }
}

export function readAppendAnswer(result: MessageReader): AppendAnswer[] {
  const answers: AppendAnswer[] = [];
  for (let count = result.array(); count > 0; count -= 1) {
    const more = arrayOf(result, 2, 'the answer to an append');
    if (result.tryNil()) {
      answers.push({ kind: 'ok', value: lba(natural(result, 0, Number.MAX_SAFE_INTEGER, 'LBA')) });
      skipRest(result, more);
    } else {
      const code = readCode(result, result.text());
      const message = result.text();
      answers.push(refusal(code, message, more > 0 ? result.integer() : 0));
      skipRest(result, more - 1);
    }
  }
  return answers;
}

// --- Confirm
// -------------------------------------------------------------------------------------------------------------

export function writeConfirm(out: MessageWriter, logger: Uuid, number: number, items: readonly ConfirmItem[]): void {
  out.array(3);
  out.text(logger);
  out.integer(number);
  out.array(items.length);
  for (const item of items) {
    out.array(3);
    out.integer(item.shard);
    out.integer(item.zone);
    out.integer(item.epoch);
  }
}

export interface ConfirmRequest {
  readonly logger: string;
  readonly number: number;
  readonly items: readonly ConfirmItem[];
}

export function readConfirm(params: MessageReader): ConfirmRequest {
  const rest = arrayOf(params, 3, 'Confirm');
  const logger = params.text();
  const number = params.integer();
  const items: ConfirmItem[] = [];
  for (let count = params.array(); count > 0; count -= 1) {
    const more = arrayOf(params, 3, 'an item to confirm');
    items.push({ shard: readShard(params), zone: readZone(params), epoch: readEpoch(params) });
    skipRest(params, more);
  }
  skipRest(params, rest);
  return { logger, number, items };
}

export function writeConfirmAnswer(out: MessageWriter, answer: ConfirmAnswer): void {
  out.array(2);
  out.integer(answer.number);
  out.array(answer.refusals.length);
  for (const code of answer.refusals) {
    if (code === undefined) out.nil();
    else out.text(code);
  }
}

export function readConfirmAnswer(result: MessageReader): ConfirmAnswer {
  const rest = arrayOf(result, 2, 'the answer to Confirm');
  const number = result.integer();
  const refusals: (LoggerRefusalCode | undefined)[] = [];
  for (let count = result.array(); count > 0; count -= 1)
    refusals.push(result.tryNil() ? undefined : readCode(result, result.text()));
  skipRest(result, rest);
  return { number, refusals };
}

// --- Seal, Finish, Reset
// -------------------------------------------------------------------------------------------------

export function writeSeal(out: MessageWriter, logger: Uuid, shard: ShardId, zone: ZoneId, epoch: Epoch): void {
  out.array(4);
  out.text(logger);
  out.integer(shard);
  out.integer(zone);
  out.integer(epoch);
}

export function readSeal(params: MessageReader): SealRequest {
  const rest = arrayOf(params, 4, 'Seal');
  const request = { logger: params.text(), shard: readShard(params), zone: readZone(params), epoch: readEpoch(params) };
  skipRest(params, rest);
  return request;
}

export function writeSealAnswer(out: MessageWriter, answer: SealAnswer): void {
  out.array(4);
  out.integer(answer.length);
  out.integer(answer.seen);
  out.boolean(answer.doubtful);
  out.text(answer.tail);
}

function readTail(reader: MessageReader): TailState {
  const tail = reader.text();
  if (tail === 'clean' || tail === 'torn' || tail === 'damaged') return tail;
  return malformed(reader, `unknown tail state '${tail}'`);
}

export function readSealAnswer(result: MessageReader): SealAnswer {
  const rest = arrayOf(result, 4, 'the answer to Seal');
  const answer = {
    length: readBytesCount(result, 'length'),
    seen: readBytesCount(result, 'seen'),
    doubtful: result.boolean(),
    tail: readTail(result),
  };
  skipRest(result, rest);
  return answer;
}

export function writeFinish(out: MessageWriter, logger: Uuid, shard: ShardId, zone: ZoneId, length: number): void {
  out.array(4);
  out.text(logger);
  out.integer(shard);
  out.integer(zone);
  out.integer(length);
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
