/**
 * The requests `Read` and their answers (codec/logger-protocol.ts has the forms). Readers throw MessageFormatError, and
 * nothing else.
 */
import type { Uuid } from '../base/ids.ts';
import type { ReadAnswer, ReadItem } from './logger-protocol.ts';
import { readBytesCount, readCode, readShard, readZone } from './logger-protocol.ts';
import { arrayOf, malformed, skipRest } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export function writeRead(out: MessageWriter, logger: Uuid, items: readonly ReadItem[]): void {
  out.array(2);
  out.text(logger);
  out.array(items.length);
  for (const item of items) {
    out.array(4);
    out.integer(item.shard);
    out.integer(item.zone);
    out.integer(item.offset);
    out.integer(item.length);
  }
}

export interface ReadRequest {
  readonly logger: string;
  readonly items: readonly ReadItem[];
}

export function readRead(params: MessageReader): ReadRequest {
  const rest = arrayOf(params, 2, 'Read');
  const logger = params.text();
  const items: ReadItem[] = [];
  for (let count = params.array(); count > 0; count -= 1) {
    const more = arrayOf(params, 4, 'a range to read');
    items.push({
      shard: readShard(params),
      zone: readZone(params),
      offset: readBytesCount(params, 'offset'),
      length: readBytesCount(params, 'length'),
    });
    skipRest(params, more);
  }
  skipRest(params, rest);
  return { logger, items };
}

export function writeReadAnswer(out: MessageWriter, answers: readonly ReadAnswer[]): void {
  out.array(answers.length);
  for (const answer of answers) {
    if (answer.kind === 'ok') out.binary(answer.value);
    else out.text(answer.code);
  }
}

/** The bytes are views of the message. */
export function readReadAnswer(result: MessageReader): ReadAnswer[] {
  const answers: ReadAnswer[] = [];
  for (let count = result.array(); count > 0; count -= 1) {
    const value = result.value();
    if (value instanceof Uint8Array) answers.push({ kind: 'ok', value });
    else if (typeof value === 'string') answers.push({ kind: 'refused', code: readCode(result, value) });
    else malformed(result, 'the answer to a read is neither bytes nor a refusal');
  }
  return answers;
}
