/**
 * One connected client (or gateway that forwards): answers its requests on its channel. The reply of a PUT leaves here.
 */
import { limits } from '../../base/limits.ts';
import type { ErrorCode, Outcome } from '../../base/errors.ts';
import type { KvError } from '../../base/errors.ts';
import { writeError } from '../../codec/client-protocol.ts';
import {
  writeAbsent,
  writeDeleteAnswer,
  writeGetAnswer,
  writeHasAnswer,
  writePutAnswer,
} from '../../codec/client-requests.ts';
import type {
  Failure,
  Outlet,
  ReadReply,
  ShardRead,
  ShardWrite,
  WriteReply,
  WriteResult,
} from '../../core/shard/requests.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';

/** Unsent output with which a value still goes out: more would close the connection. */
const answerBytesMax = limits.outputBytesMax - limits.outputBytesPause;

export class Session implements WriteReply, ReadReply {
  readonly channel: RpcChannel;
  /** Said hello: it is told of changes of the shard map. */
  wantsMap = false;

  constructor(channel: RpcChannel) {
    this.channel = channel;
  }

  get outlet(): Outlet {
    return this.channel;
  }

  written(write: ShardWrite, result: WriteResult): void {
    const { channel } = this;
    switch (result.kind) {
      case 'put':
        writePutAnswer(channel.beginAnswer(write.id), result.version);
        channel.endAnswer();
        return;
      case 'deleted':
        writeDeleteAnswer(channel.beginAnswer(write.id), result.existed, result.version);
        channel.endAnswer();
        return;
      case 'refused': {
        const found =
          result.currentVersion === 0 ? 'the key is absent' : `the key has version ${result.currentVersion}`;
        this.fail(
          write.id,
          'condition-failed',
          `the condition does not hold: ${found}`,
          'not-applied',
          result.currentVersion,
        );
        return;
      }
      case 'failed':
        this.fail(write.id, result.code, result.message, result.outcome, detailOf(result));
        return;
    }
  }

  found(read: ShardRead): void {
    const { version, expiresAt, value, valueLength } = read;
    if (value !== undefined && this.channel.waitingBytes + value.length > answerBytesMax)
      return this.fail(read.id, 'overloaded', 'this connection does not take the values that it asked for');
    const out = this.channel.beginAnswer(read.id);
    if (version === 0) writeAbsent(out);
    else if (value === undefined) writeHasAnswer(out, version, expiresAt, valueLength);
    else writeGetAnswer(out, version, expiresAt, value);
    this.channel.endAnswer();
  }

  failed(read: ShardRead, failure: Failure): void {
    this.fail(read.id, failure.code, failure.message, failure.outcome, detailOf(failure));
  }

  fail(id: number, code: ErrorCode, message: string, outcome: Outcome = 'not-applied', detail = 0): void {
    this.channel.answerError(id, (out) => writeError(out, code, message, outcome, detail));
  }

  failWith(id: number, error: KvError): void {
    this.fail(id, error.code, error.message, error.outcome);
  }
}

/** Number that goes with the error (codec/client-protocol.ts). */
function detailOf({ code, owner }: Failure): number {
  return code === 'not-owner' ? (owner ?? -1) : 0;
}
