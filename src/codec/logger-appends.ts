/**
 * `Append`, `AppendPiece` and `Confirm` (codec/logger-protocol.ts has the forms): the requests on the path of every
 * write and read. Readers throw MessageFormatError, and nothing else.
 */
import type { Uuid } from '../base/ids.ts';
import { lba } from '../base/ids.ts';
import type { AppendAnswer, AppendItem, ConfirmItem, LoggerRefusalCode } from './logger-protocol.ts';
import {
  readBytesCount,
  readCode,
  readShard,
  readEpoch,
  readInstance,
  readWriter,
  readZone,
  refusal,
  writeRefusal,
  writeWriter,
} from './logger-protocol.ts';
import { arrayOf, natural, skipRest } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export function writeAppend(out: MessageWriter, logger: Uuid, items: readonly AppendItem[]): void {
  out.array(2);
  out.text(logger);
  out.array(items.length);
  for (const item of items) {
    out.array(6);
    out.integer(item.shard);
    out.integer(item.zone);
    writeWriter(out, item);
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
    const more = arrayOf(params, 6, 'an append');
    items.push({
      shard: readShard(params),
      zone: readZone(params),
      epoch: readEpoch(params),
      instance: readInstance(params),
      offset: readBytesCount(params, 'offset'),
      bytes: params.binary(),
    });
    skipRest(params, more);
  }
  skipRest(params, rest);
  return { logger, items };
}

/** A piece of a long append; `rest` 0: the last one. */
export function writeAppendPiece(out: MessageWriter, logger: Uuid, item: AppendItem): void {
  out.array(8);
  out.text(logger);
  out.integer(item.shard);
  out.integer(item.zone);
  writeWriter(out, item);
  out.integer(item.offset);
  out.binary(item.bytes);
  out.integer(item.rest ?? 0);
}

export interface AppendPieceRequest {
  readonly logger: string;
  readonly item: AppendItem;
}

/** The item's bytes are a view of the message. */
export function readAppendPiece(params: MessageReader): AppendPieceRequest {
  const more = arrayOf(params, 8, 'AppendPiece');
  const logger = params.text();
  const item = {
    shard: readShard(params),
    zone: readZone(params),
    ...readWriter(params),
    offset: readBytesCount(params, 'offset'),
    bytes: params.binary(),
    rest: readBytesCount(params, 'rest'),
  };
  skipRest(params, more);
  return { logger, item };
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

export function writeConfirm(out: MessageWriter, logger: Uuid, number: number, items: readonly ConfirmItem[]): void {
  out.array(3);
  out.text(logger);
  out.integer(number);
  out.array(items.length);
  for (const item of items) {
    out.array(4);
    out.integer(item.shard);
    out.integer(item.zone);
    writeWriter(out, item);
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
    const more = arrayOf(params, 4, 'an item to confirm');
    items.push({
      shard: readShard(params),
      zone: readZone(params),
      epoch: readEpoch(params),
      instance: readInstance(params),
    });
    skipRest(params, more);
  }
  skipRest(params, rest);
  return { logger, number, items };
}

export interface ConfirmAnswer {
  /** Number of the request: an older answer confirms nothing (S7). */
  readonly number: number;
  /** Refusal of each item; undefined where the epoch is not fenced. */
  readonly refusals: readonly (LoggerRefusalCode | undefined)[];
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
