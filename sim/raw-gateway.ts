/**
 * One gateway as a client without the SDK sees it: a connection to its client port, a hello, and calls in the forms of
 * the protocol, ours and the testbed's. Nothing is sent twice, and every call ends: with an answer, with the gateway's
 * refusal, with the connection, or when patience ends, and then nobody knows.
 */
import { isErrorCode, KvError } from '../src/base/errors.ts';
import { version } from '../src/base/ids.ts';
import { protocolVersion, readError } from '../src/codec/client-protocol.ts';
import type { WriteTerms } from '../src/codec/client-requests.ts';
import {
  readDeleteAnswer,
  readGetAnswer,
  readHasAnswer,
  readPutAnswer,
  writeDelete,
  writeGet,
  writeHas,
  writePut,
} from '../src/codec/client-requests.ts';
import type { MessageReader } from '../src/codec/message-reader.ts';
import { MessageFormatError } from '../src/codec/message-reader.ts';
import type { MessageWriter } from '../src/codec/message-writer.ts';
import { testbedMethod } from '../src/codec/testbed-protocol.ts';
import { welcomeOf } from '../src/client/welcome.ts';
import type { Environment } from '../src/env/environment.ts';
import { openChannel } from '../src/rpc/channel.ts';
import type { RpcChannel, RpcFailure } from '../src/rpc/channel-types.ts';
import { clientOptions } from '../src/rpc/options.ts';

/** What a raw client was told of a key. */
export interface Seen {
  readonly version: number;
  readonly value: Uint8Array;
}

const testbedType = { read: 1, put: 2, delete: 3 } as const;
const testbedBlockBytes = 4096;
const testbedHeaderBytes = 16;

/** Simulated, or real. */
type World = Pick<Environment, 'clock' | 'network'>;

interface Welcomed {
  readonly cluster: string;
  readonly instance: string;
  readonly client: number;
}

/** Connects and says hello; `patienceMs` is for that, and for each call. @throws KvError why it can't be had now */
export async function connectRaw(
  process: World,
  address: string,
  patienceMs: number,
  wantsClientId: boolean,
): Promise<RawGateway> {
  const channel = await opened(process, address, patienceMs);
  const hello = (out: MessageWriter): void => {
    out.array(1);
    const { min, max } = protocolVersion;
    out.value({ role: 'client', protocolMin: min, protocolMax: max, wantsClientId });
  };
  try {
    const read = (result: MessageReader): Welcomed => welcomeOf(result.value(), address);
    const welcome = await call(process, channel, patienceMs, 'hello', hello, read);
    return new RawGateway(process, channel, patienceMs, welcome);
  } catch (error) {
    channel.close('no welcome');
    throw error;
  }
}

export class RawGateway {
  readonly #process: World;
  readonly #channel: RpcChannel;
  readonly #patienceMs: number;
  /** Id of the cluster that the gateway says it belongs to. */
  readonly cluster: string;
  /** Name of this life of the gateway. */
  readonly instance: string;
  /** Client id that was asked for; else 0. */
  readonly client: number;

  constructor(process: World, channel: RpcChannel, patienceMs: number, welcome: Welcomed) {
    this.#process = process;
    this.#channel = channel;
    this.#patienceMs = patienceMs;
    this.cluster = welcome.cluster;
    this.instance = welcome.instance;
    this.client = welcome.client;
  }

  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  close(): void {
    this.#channel.close('the client is done');
  }

  #call<T>(method: string, write: (out: MessageWriter) => void, read: (result: MessageReader) => T): Promise<T> {
    return call(this.#process, this.#channel, this.#patienceMs, method, write, read);
  }

  put(key: string, value: Uint8Array, terms: WriteTerms): Promise<{ readonly version: number }> {
    return this.#call(
      'put',
      (out) => writePut(out, terms, bytesOf(key), value),
      (result) => ({ version: readPutAnswer(result) }),
    );
  }

  delete(key: string, terms: WriteTerms): Promise<{ readonly existed: boolean }> {
    return this.#call(
      'delete',
      (out) => writeDelete(out, terms, bytesOf(key)),
      (result) => {
        const answer = { existed: false, version: version(0) };
        readDeleteAnswer(result, answer);
        return answer;
      },
    );
  }

  get(key: string, stale: boolean): Promise<Seen | undefined> {
    return this.#call(
      'get',
      (out) => writeGet(out, stale, bytesOf(key)),
      (result) => {
        const found: Parameters<typeof readGetAnswer>[1] = { version: version(0), expiresAt: 0, value: undefined };
        if (!readGetAnswer(result, found) || found.value === undefined) return undefined;
        return { version: found.version, value: Uint8Array.from(found.value) };
      },
    );
  }

  has(key: string): Promise<{ readonly version: number; readonly length: number } | undefined> {
    return this.#call(
      'has',
      (out) => writeHas(out, bytesOf(key)),
      (result) => {
        const found = { version: version(0), expiresAt: 0, valueLength: 0 };
        return readHasAnswer(result, found) ? { version: found.version, length: found.valueLength } : undefined;
      },
    );
  }

  /** As rpclib's client does it; `value` undefined: a delete. */
  handleWrite(key: string, value: Uint8Array | undefined): Promise<void> {
    const type = value === undefined ? testbedType.delete : testbedType.put;
    return this.#call(
      testbedMethod.write,
      (out) => writeTestbed(out, type, key, value),
      (result) => {
        const text = result.text();
        if (text !== 'Success') throw new KvError('protocol-error', `HandleWrite was answered '${text}'`);
      },
    );
  }

  handleRead(key: string): Promise<Uint8Array | undefined> {
    return this.#call(
      testbedMethod.read,
      (out) => writeTestbed(out, testbedType.read, key, undefined),
      (result) => valueOfBlock(Number(key), Buffer.from(result.binary())),
    );
  }
}

function bytesOf(key: string): Uint8Array {
  return Buffer.from(key, 'latin1');
}

function writeTestbed(out: MessageWriter, type: number, key: string, value: Uint8Array | undefined): void {
  out.array(1);
  out.array(3);
  out.integer(type);
  out.integer(Number(key));
  out.rawText(value ?? new Uint8Array(0));
}

/** The value in a block as rpclib's client takes it apart; the empty text: there is none. @throws KvError */
function valueOfBlock(key: number, block: Buffer): Uint8Array | undefined {
  if (block.length === 0) return undefined;
  const length = block.length === testbedBlockBytes ? Number(block.readBigInt64LE(8)) : -1;
  const end = testbedHeaderBytes + length;
  const isSound =
    length >= 0 &&
    end <= testbedBlockBytes &&
    block.readInt32LE(0) === key &&
    block.subarray(end).every((b) => b === 0);
  if (!isSound) throw new KvError('protocol-error', `HandleRead gave a block of ${block.length} bytes that is none`);
  return block.subarray(testbedHeaderBytes, end);
}

// --- calls -----------------------------------------------------------------------------------------------------------

function opened(process: World, address: string, patienceMs: number): Promise<RpcChannel> {
  return new Promise((resolve, reject) => {
    const refuse = (reason: string): void =>
      reject(new KvError('connection-lost', `${address}: ${reason}`, { outcome: 'not-applied' }));
    const channel = openChannel(process.network.connect(address), process.clock, clientOptions(), {
      onOpen: (open) => {
        timer.cancel();
        resolve(open);
      },
      onClose: (_channel, reason) => {
        timer.cancel();
        refuse(reason);
      },
      onRequest: () => undefined,
      onNotice: () => undefined,
      onDrain: () => undefined,
    });
    const timer = process.clock.after(patienceMs, () => channel.close('no connection in time'));
  });
}

function call<T>(
  { clock }: World,
  channel: RpcChannel,
  patienceMs: number,
  method: string,
  write: (out: MessageWriter) => void,
  read: (result: MessageReader) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(patienceMs, () =>
      reject(new KvError('timeout', `no answer to ${method} in ${patienceMs} ms`, { outcome: 'unknown' })),
    );
    channel.request(method, write, (failure, result) => {
      timer.cancel();
      try {
        if (failure !== undefined || result === undefined) reject(errorOf(failure));
        else resolve(read(result));
      } catch (error) {
        if (!(error instanceof MessageFormatError) && !(error instanceof KvError)) throw error;
        reject(new KvError('protocol-error', `the answer to ${method} is malformed: ${error.message}`));
      }
    });
  });
}

function errorOf(failure: RpcFailure | undefined): KvError {
  if (failure?.kind === 'error') {
    const start = failure.error.position;
    const value = failure.error.value();
    failure.error.position = start;
    return typeof value === 'string' ? testbedError(value) : readError(failure.error);
  }
  const outcome = failure?.sent === false ? 'not-applied' : 'unknown';
  return new KvError('connection-lost', failure?.message ?? 'no answer', { outcome });
}

/** The texts in which the testbed's methods are refused (docs/protocol.md). */
function testbedError(text: string): KvError {
  if (text.startsWith('rpclib: the value has ')) return new KvError('value-too-large', text);
  const [, code = '', outcome] = /^kv-filelog: ([a-z-]+): .*?(?: \((unknown|not-applied)\))?$/s.exec(text) ?? [];
  if (!isErrorCode(code)) return new KvError('protocol-error', `a refusal of no known form: ${text}`);
  return new KvError(code, text, { outcome: outcome === 'unknown' ? 'unknown' : 'not-applied' });
}
