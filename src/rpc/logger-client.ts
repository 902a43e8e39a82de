/**
 * A gateway's side of one logger. Callbacks instead of promises: append, confirm and read are on the path of every
 * batch and every turn. Every request names the logger's UUID, so that a logger that came back empty refuses what was
 * meant for its predecessor (S16).
 *
 * Each `onAnswer` is called exactly once. `lost` means that the outcome is unknown (the connection is down, was cut, or
 * the answer was not understood); nothing was sent when there was no connection. It is then called before the method
 * returns: callers must be ready for that.
 *
 * It owns no state but the logger's name. It does not own the connections (the gateway's links), deadlines, nor
 * repetition.
 */
import type { ShardId, Uuid, ZoneId } from '../base/ids.ts';
import type { ConfirmAnswer } from '../codec/logger-appends.ts';
import type {
  AppendAnswer,
  AppendItem,
  ConfirmItem,
  DigestItem,
  CopyItem,
  CopyState,
  FillItem,
  LoggerAnswer,
  LoggerLost,
  LoggerStatus,
  LoggerWelcome,
  ReadAnswer,
  ReadItem,
  ShardKnowledge,
  ZoneRef,
  ZoneStatus,
} from '../codec/logger-protocol.ts';
import {
  readAppendAnswer,
  readConfirmAnswer,
  writeAppend,
  writeAppendPiece,
  writeConfirm,
} from '../codec/logger-appends.ts';
import { loggerMethods, readBytesCount, readRefusal } from '../codec/logger-protocol.ts';
import type { SealResult } from '../codec/logger-seals.ts';
import {
  readSealResult,
  readTestimony,
  readCopyState,
  writeCopy,
  writeFill,
  writeFinish,
  writeReset,
  writeSeal,
  writeTestify,
} from '../codec/logger-seals.ts';
import { writeProbe } from '../codec/logger-probes.ts';
import { readReadAnswer, writeRead } from '../codec/logger-reads.ts';
import { nextReport, readReportAnswer, readStatus, readWelcome, writeReport } from '../codec/logger-reports.ts';
import type { GatewayIdentity } from '../codec/member-hello.ts';
import { writeMemberHello } from '../codec/member-hello.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import { MessageFormatError } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { RpcChannel, RpcFailure } from './channel-types.ts';

export interface LoggerChannels {
  /** Connected to the logger's write port; undefined while down. */
  readonly write: RpcChannel | undefined;
  /** Connected to its read port. */
  readonly read: RpcChannel | undefined;
}

type OnAnswer<T> = (answer: LoggerAnswer<T>) => void;

const down: LoggerLost = { kind: 'lost', message: 'no connection to the logger' };

export class LoggerClient {
  readonly logger: Uuid;
  readonly #channels: LoggerChannels;

  constructor(logger: Uuid, channels: LoggerChannels) {
    this.logger = logger;
    this.#channels = channels;
  }

  /** Whether requests to the write port would be sent. */
  get canWrite(): boolean {
    return this.#channels.write?.isOpen === true;
  }

  /** Bytes on their way to the write port that the network has not taken. */
  get waitingBytes(): number {
    return this.#channels.write?.waitingBytes ?? 0;
  }

  get canRead(): boolean {
    return this.#channels.read?.isOpen === true;
  }

  /**
   * One answer per item, in order. The items' bytes must not change any more. At most `limits.appendItemsMax` items.
   */
  append(items: readonly AppendItem[], onAnswer: OnAnswer<readonly AppendAnswer[]>): void {
    const read = (result: MessageReader): readonly AppendAnswer[] =>
      counted(readAppendAnswer(result), items.length, result);
    call(this.#channels.write, loggerMethods.append, (out) => writeAppend(out, this.logger, items), read, onAnswer);
  }

  /** A piece of a long append: stable when it is answered, and with the last one (`rest` 0) all of the append. */
  appendPiece(item: AppendItem, onAnswer: OnAnswer<undefined>): void {
    const write = (out: MessageWriter): void => writeAppendPiece(out, this.logger, item);
    call(this.#channels.write, loggerMethods.appendPiece, write, readNothing, onAnswer);
  }

  /** `number` comes back in the answer (S7). */
  confirm(number: number, items: readonly ConfirmItem[], onAnswer: OnAnswer<ConfirmAnswer>): void {
    const read = (result: MessageReader): ConfirmAnswer => {
      const answer = readConfirmAnswer(result);
      counted(answer.refusals, items.length, result);
      if (answer.number !== number)
        throw new MessageFormatError(`S7: an answer to confirmation ${answer.number}, not ${number}`, result.position);
      return answer;
    };
    call(
      this.#channels.write,
      loggerMethods.confirm,
      (out) => writeConfirm(out, this.logger, number, items),
      read,
      onAnswer,
    );
  }

  /** Tells what the shard is here, and changes nothing (S20). */
  testify(shard: ShardId, onAnswer: OnAnswer<ShardKnowledge>): void {
    const write = (out: MessageWriter): void => writeTestify(out, this.logger, shard);
    call(this.#channels.write, loggerMethods.testify, write, readTestimony, onAnswer);
  }

  /** Fences all epochs of the shard below the taker's, and tells what the zone and the shard are here (S4, S9, S20). */
  seal(at: ZoneRef, onAnswer: OnAnswer<SealResult>): void {
    const write = (out: MessageWriter): void => writeSeal(out, this.logger, at);
    call(this.#channels.write, loggerMethods.seal, write, readSealResult, onAnswer);
  }

  /** Completes a shorter copy (S19); answered with its new intact length. */
  fill(item: FillItem, onAnswer: OnAnswer<number>): void {
    const write = (out: MessageWriter): void => writeFill(out, this.logger, item);
    call(this.#channels.write, loggerMethods.fill, write, (result) => readBytesCount(result, 'length'), onAnswer);
  }

  /** Completes a copy of a zone that ended (S10); answered with its intact length. */
  copy(item: CopyItem, onAnswer: OnAnswer<CopyState>): void {
    const write = (out: MessageWriter): void => writeCopy(out, this.logger, item);
    call(this.#channels.write, loggerMethods.copy, write, readCopyState, onAnswer);
  }

  /** The metadata says that the zone is sealed at `length`: the logger keeps [0, length) and gives the rest back. */
  finish(shard: ShardId, zone: ZoneId, length: number, onAnswer: OnAnswer<undefined>): void {
    call(
      this.#channels.write,
      loggerMethods.finish,
      (out) => writeFinish(out, this.logger, shard, zone, length),
      readNothing,
      onAnswer,
    );
  }

  /** Deletes the copy of the zone that `copyId` names (S10). */
  reset(shard: ShardId, zone: ZoneId, copyId: string, onAnswer: OnAnswer<undefined>): void {
    call(
      this.#channels.write,
      loggerMethods.reset,
      (out) => writeReset(out, this.logger, shard, zone, copyId),
      readNothing,
      onAnswer,
    );
  }

  /** Asks whether a new zone would find `bytes` of room, on a device that writes and syncs. */
  probe(bytes: number, onAnswer: OnAnswer<undefined>): void {
    const write = (out: MessageWriter): void => writeProbe(out, this.logger, bytes);
    call(this.#channels.write, loggerMethods.probe, write, readNothing, onAnswer);
  }

  /** One answer per item, in order. At most `limits.readItemsMax` items of `limits.readBytesMax` bytes together. */
  read(items: readonly ReadItem[], onAnswer: OnAnswer<readonly ReadAnswer[]>): void {
    const read = (result: MessageReader): readonly ReadAnswer[] => checkedRead(readReadAnswer(result), items, result);
    call(this.#channels.read, loggerMethods.read, (out) => writeRead(out, this.logger, items), read, onAnswer);
  }

  /** Asks for one page after another; the answer has all zones, by shard and id. */
  reportZones(
    shard: ShardId | undefined,
    digests: readonly DigestItem[],
    onAnswer: OnAnswer<readonly ZoneStatus[]>,
    before: readonly ZoneStatus[] = [],
  ): void {
    const after = before.at(-1);
    const write = (out: MessageWriter): void => writeReport(out, this.logger, shard, digests, after);
    call(this.#channels.read, loggerMethods.reportZones, write, readReportAnswer, (answer) => {
      if (answer.kind !== 'ok') return onAnswer(answer);
      const zones = [...before, ...answer.value];
      if (nextReport(answer.value) === undefined) return onAnswer({ kind: 'ok', value: zones });
      this.reportZones(shard, digests, onAnswer, zones);
    });
  }

  /** Asks whoever listens there: compare `logger` of the answer. Answered also while a sync hangs. */
  ping(port: 'read' | 'write', onAnswer: OnAnswer<LoggerStatus>): void {
    call(this.#channels[port], loggerMethods.ping, (out) => out.array(0), readStatus, onAnswer);
  }

  /** `self`: the gateway that asks; undefined: a command that looks at the logger. */
  hello(port: 'read' | 'write', self: GatewayIdentity | undefined, onAnswer: OnAnswer<LoggerWelcome>): void {
    const write = (out: MessageWriter): void => {
      out.array(1);
      if (self === undefined) out.map(0);
      else writeMemberHello(out, self);
    };
    call(this.#channels[port], loggerMethods.hello, write, readWelcome, onAnswer);
  }
}

function call<T>(
  channel: RpcChannel | undefined,
  method: string,
  write: (out: MessageWriter) => void,
  read: (result: MessageReader) => T,
  onAnswer: OnAnswer<T>,
): void {
  if (channel === undefined || !channel.isOpen) {
    onAnswer(down);
    return;
  }
  channel.request(method, write, (failure, result) => onAnswer(answerOf(failure, result, read)));
}

function answerOf<T>(
  failure: RpcFailure | undefined,
  result: MessageReader | undefined,
  read: (result: MessageReader) => T,
): LoggerAnswer<T> {
  try {
    if (failure?.kind === 'error') return readRefusal(failure.error);
    if (failure !== undefined || result === undefined)
      return { kind: 'lost', message: failure?.message ?? 'no answer' };
    return { kind: 'ok', value: read(result) };
  } catch (error) {
    if (!(error instanceof MessageFormatError)) throw error;
    return { kind: 'lost', message: `the logger's answer is malformed: ${error.message}` };
  }
}

function readNothing(): undefined {
  return undefined;
}

function counted<T>(list: readonly T[], count: number, result: MessageReader): readonly T[] {
  if (list.length !== count) throw new MessageFormatError(`${list.length} answers to ${count} items`, result.position);
  return list;
}

function checkedRead(
  answers: readonly ReadAnswer[],
  items: readonly ReadItem[],
  result: MessageReader,
): readonly ReadAnswer[] {
  counted(answers, items.length, result);
  for (const [index, answer] of answers.entries()) {
    if (answer.kind === 'ok' && answer.value.length !== items[index]?.length)
      throw new MessageFormatError('a read gave another length than asked for', result.position);
  }
  return answers;
}
