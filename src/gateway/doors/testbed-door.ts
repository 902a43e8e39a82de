/**
 * The testbed's methods on the client port, so that its unchanged rpclib client works. Its forms stand in
 * codec/testbed-protocol.ts.
 */
import { KvError } from '../../base/errors.ts';
import type { MessageReader } from '../../codec/message-reader.ts';
import {
  decodeTestbedRequest,
  testbedKey,
  testbedMethod,
  testbedTooLarge,
  testbedValueBytesMax,
  unknownFunction,
  writeTestbedBlock,
  writeTestbedMissing,
  writeTestbedSuccess,
} from '../../codec/testbed-protocol.ts';
import type { Failure, Outlet, ReadReply, WriteReply, WriteResult } from '../../core/shard/requests.ts';
import { ShardRead, ShardWrite } from '../../core/shard/requests.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import type { Numbering } from '../numbering.ts';
import type { Router } from '../router.ts';

/** One request's way back. An outage is an RPC error, never "Success" and never an empty value. */
class TestbedReply implements WriteReply, ReadReply {
  readonly #channel: RpcChannel;
  readonly #key: number;

  constructor(channel: RpcChannel, key: number) {
    this.#channel = channel;
    this.#key = key;
  }

  get outlet(): Outlet {
    return this.#channel;
  }

  written(write: ShardWrite, result: WriteResult): void {
    if (result.kind === 'put' || result.kind === 'deleted') {
      writeTestbedSuccess(this.#channel.beginAnswer(write.id));
      this.#channel.endAnswer();
    } else {
      this.#channel.answerErrorText(write.id, result.kind === 'failed' ? errorText(result) : 'kv-filelog: refused');
    }
  }

  found(read: ShardRead): void {
    if (read.value !== undefined && read.value.length > testbedValueBytesMax) {
      this.#channel.answerErrorText(read.id, testbedTooLarge(read.value.length));
      return;
    }
    const out = this.#channel.beginAnswer(read.id);
    if (read.value === undefined) writeTestbedMissing(out);
    else writeTestbedBlock(out, this.#key, read.value);
    this.#channel.endAnswer();
  }

  failed(read: ShardRead, failure: Failure): void {
    this.#channel.answerErrorText(read.id, errorText(failure));
  }
}

function errorText(failure: Failure): string {
  return `kv-filelog: ${failure.code}: ${failure.message} (${failure.outcome})`;
}

export class TestbedDoor {
  readonly #router: Router;
  readonly #numbering: Numbering;

  constructor(router: Router, numbering: Numbering) {
    this.#router = router;
    this.#numbering = numbering;
  }

  /** Whether it is one of the testbed's methods, whose errors are texts. */
  knows(method: string): boolean {
    return method === testbedMethod.write || method === testbedMethod.read;
  }

  /** Any method that is not one of ours: rpclib's answer when it isn't the testbed's either. */
  request(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    if (method !== testbedMethod.write && method !== testbedMethod.read) {
      channel.answerErrorText(id, unknownFunction(method, params.array()));
      return;
    }
    const request = decodeTestbedRequest(method, params);
    if (request.kind === 'refused') {
      channel.answerErrorText(id, request.message);
      return;
    }
    const key = testbedKey(request.key);
    const reply = new TestbedReply(channel, request.key);
    if (request.kind === 'get') {
      const read = new ShardRead(reply, id, true);
      read.source = key;
      read.keyLength = key.length;
      this.#router.read(read, true);
    } else {
      const write = new ShardWrite(reply, id, request.kind);
      write.source = request.kind === 'put' ? Buffer.concat([key, request.value]) : key;
      write.keyLength = key.length;
      write.valueStart = key.length;
      write.wantedLength = write.source.length - key.length;
      this.#write(channel, write);
    }
  }

  #write(channel: RpcChannel, write: ShardWrite): void {
    try {
      this.#numbering.send(write, (numbered) => this.#router.write(numbered, true));
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      channel.answerErrorText(write.id, `kv-filelog: ${error.code}: ${error.message}`);
    }
  }
}
