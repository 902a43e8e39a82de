/**
 * Brings a request to the shard, here or at the gateway that owns it. Shared by all doors. While a shard has no owner
 * that can be reached (a start, a take-over, a gateway that is being started again) requests are held for a while
 * instead of being refused at once.
 */
import { KvError } from '../base/errors.ts';
import type { ShardId } from '../base/ids.ts';
import { version } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { times } from '../base/times.ts';
import { readError } from '../codec/client-protocol.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import { MessageFormatError } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { Failure, ShardRead, ShardWrite, WriteResult } from '../core/shard/requests.ts';
import type { Shard } from '../core/shard/shard.ts';
import { shardOfKey } from '../core/slots.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { RpcChannel, RpcFailure } from '../rpc/channel-types.ts';
import type { MetadataStore } from './metadata-store.ts';
import type { PeerLinks } from './peer-links.ts';
import type { ShardRunner } from './shard-runner.ts';

interface Held {
  readonly bytes: number;
  readonly untilMs: number;
  readonly attempt: () => Failure | undefined;
  readonly refuse: (failure: Failure) => void;
}

export class Router {
  readonly #runner: ShardRunner;
  readonly #store: MetadataStore;
  readonly #peers: PeerLinks;
  readonly #self: number;
  readonly #clock: Clock;
  #held: Held[] = [];
  #heldBytes = 0;
  #timer: Timer | undefined;

  constructor(runner: ShardRunner, store: MetadataStore, peers: PeerLinks, self: number, clock: Clock) {
    this.#clock = clock;
    this.#runner = runner;
    this.#store = store;
    this.#peers = peers;
    this.#self = self;
  }

  /** `forward`: whether another gateway may be asked; not for what was forwarded already. */
  write(write: ShardWrite, forward: boolean): void {
    const failure = this.#tryWrite(write, forward);
    if (failure === undefined) return;
    if (
      !forward ||
      !this.#hold(
        write.source.length,
        () => this.#tryWrite(write, true),
        (late) => write.replyTo.written(write, late),
      )
    )
      write.replyTo.written(write, failure);
  }

  read(read: ShardRead, forward: boolean): void {
    const failure = this.#tryRead(read, forward);
    if (failure === undefined) return;
    if (
      !forward ||
      !this.#hold(
        0,
        () => this.#tryRead(read, true),
        (late) => read.replyTo.failed(read, late),
      )
    )
      read.replyTo.failed(read, failure);
  }

  /** Gives why it can't be passed on, if it can't. */
  #tryWrite(write: ShardWrite, forward: boolean): Failure | undefined {
    const shard = this.#shardOf(write.source, write.keyStart, write.keyLength);
    const channel = this.#elsewhere(shard, forward);
    if (channel !== undefined && 'code' in channel) return channel;
    if (channel === undefined) this.#runner.dispatch(shard, write);
    else forwardWrite(channel, write);
    return undefined;
  }

  #tryRead(read: ShardRead, forward: boolean): Failure | undefined {
    const shard = this.#shardOf(read.source, read.keyStart, read.keyLength);
    if (read.stale && this.#runner.shard(shard) === undefined)
      return failed('unavailable', `the index of shard ${shard} is being loaded`);
    const channel = read.stale ? undefined : this.#elsewhere(shard, forward);
    if (channel !== undefined && 'code' in channel) return channel;
    if (channel === undefined) this.#runner.dispatch(shard, read);
    else forwardRead(channel, read);
    return undefined;
  }

  /** `bytes`: what the request keeps alive, its whole piece of the socket's memory. False: too much is held. */
  #hold(bytes: number, attempt: () => Failure | undefined, refuse: (failure: Failure) => void): boolean {
    if (this.#held.length >= limits.requestsHeldMax || this.#heldBytes + bytes > limits.requestsHeldBytesMax)
      return false;
    this.#heldBytes += bytes;
    this.#held.push({ bytes, untilMs: this.#clock.now() + times.requestHeldMs, attempt, refuse });
    this.#timer ??= this.#clock.after(times.heldRetryMs, () => this.#retryHeld());
    return true;
  }

  /**
   * Those whose shard has an owner again go on, in the order they came; the others wait until their time has passed.
   */
  #retryHeld(): void {
    this.#timer = undefined;
    const held = this.#held;
    this.#held = [];
    const nowMs = this.#clock.now();
    for (const request of held) {
      const failure = request.attempt();
      if (failure !== undefined && nowMs < request.untilMs) {
        this.#held.push(request);
        continue;
      }
      this.#heldBytes -= request.bytes;
      if (failure !== undefined) request.refuse(failure);
    }
    if (this.#held.length > 0) this.#timer ??= this.#clock.after(times.heldRetryMs, () => this.#retryHeld());
  }

  /** What is held is refused. */
  close(): void {
    this.#timer?.cancel();
    for (const { refuse } of this.#held.splice(0)) refuse(failed('closed', 'the gateway is closing'));
  }

  #shardOf(source: Uint8Array, start: number, length: number): ShardId {
    return shardOfKey(source, start, length, this.#runner.shardCount);
  }

  /** The owner's connection, undefined when this gateway serves the shard, a failure when nobody can be reached. */
  #elsewhere(shard: ShardId, forward: boolean): RpcChannel | Failure | undefined {
    if (isServedBy(this.#runner.shard(shard))) return undefined;
    const owner = this.#store.ownerOf(shard);
    if (!forward) return failed('not-owner', `gateway ${owner} owns shard ${shard}`);
    if (owner === -1 || owner === this.#self) return failed('unavailable', `shard ${shard} has no owner`);
    return (
      this.#peers.channel(owner) ??
      failed('unavailable', `gateway ${owner}, which owns shard ${shard}, is not connected`)
    );
  }
}

/** Also one that is being taken over: it queues what it is asked. */
function isServedBy(shard: Shard | undefined): boolean {
  return shard !== undefined && shard.role !== 'follower';
}

function failed(code: Failure['code'], message: string, outcome: Failure['outcome'] = 'not-applied'): Failure {
  return { kind: 'failed', code, message, outcome };
}

function forwardWrite(channel: RpcChannel, write: ShardWrite): void {
  const { source, keyStart, keyLength, valueStart, wantedLength } = write;
  const isPut = write.operation === 'put';
  const params = (out: MessageWriter): void => {
    out.array(isPut ? 7 : 5);
    out.binary(source, keyStart, keyStart + keyLength);
    if (isPut) out.binary(source, valueStart, valueStart + wantedLength);
    out.integer(write.condition);
    if (isPut) out.integer(0);
    out.integer(write.client);
    out.integer(write.number);
    out.integer(write.firstIncomplete);
  };
  channel.request(write.operation, params, (failure, result) =>
    write.replyTo.written(write, writeAnswer(isPut, failure, result)),
  );
}

function writeAnswer(isPut: boolean, failure: RpcFailure | undefined, result: MessageReader | undefined): WriteResult {
  try {
    if (failure !== undefined || result === undefined) return writeFailure(failure);
    if (isPut) return { kind: 'put', version: version(result.integer()) };
    result.array();
    return { kind: 'deleted', existed: result.boolean(), version: version(result.integer()) };
  } catch (error) {
    if (!(error instanceof MessageFormatError || error instanceof RangeError)) throw error;
    return failed('protocol-error', `the owner's answer is malformed: ${error.message}`, 'unknown');
  }
}

function writeFailure(failure: RpcFailure | undefined): WriteResult {
  if (failure?.kind === 'error') {
    const error = readError(failure.error);
    return error.code === 'condition-failed'
      ? { kind: 'refused', currentVersion: version(error.currentVersion ?? 0) }
      : failed(error.code, error.message, error.outcome);
  }
  return failed(
    'connection-lost',
    `the owner's connection went down: ${failure?.message ?? ''}`,
    failure?.sent === false ? 'not-applied' : 'unknown',
  );
}

function forwardRead(channel: RpcChannel, read: ShardRead): void {
  const params = (out: MessageWriter): void => {
    out.array(read.wantsValue ? 2 : 1);
    out.binary(read.key);
    if (read.wantsValue) out.integer(0);
  };
  channel.request(read.wantsValue ? 'get' : 'has', params, (failure, result) => {
    const problem = readAnswer(read, failure, result);
    if (problem === undefined) read.replyTo.found(read);
    else read.replyTo.failed(read, problem);
  });
}

function readAnswer(
  read: ShardRead,
  failure: RpcFailure | undefined,
  result: MessageReader | undefined,
): Failure | undefined {
  try {
    if (failure?.kind === 'error') {
      const error = readError(failure.error);
      return failed(error.code, error.message);
    }
    if (failure !== undefined || result === undefined)
      return failed('connection-lost', `the owner's connection went down: ${failure?.message ?? ''}`);
    if (result.tryNil()) return undefined;
    result.array();
    read.version = version(result.integer());
    read.expiresAt = result.integer();
    if (read.wantsValue) read.value = result.binary();
    else read.valueLength = result.integer();
    return undefined;
  } catch (error) {
    if (!(error instanceof MessageFormatError || error instanceof RangeError)) throw error;
    return failed('protocol-error', `the owner's answer is malformed: ${error.message}`);
  }
}

/** @throws KvError `key-empty`, `key-too-long` */
export function checkKey(length: number): void {
  if (length === 0) throw new KvError('key-empty', `a key has 1..${limits.keyBytesMax} bytes, this one has none`);
  if (length > limits.keyBytesMax)
    throw new KvError('key-too-long', `a key has 1..${limits.keyBytesMax} bytes, this one has ${length}`);
}

/** @throws KvError `value-too-large` */
export function checkValue(length: number): void {
  if (length > limits.valueBytesMax)
    throw new KvError('value-too-large', `a value has at most ${limits.valueBytesMax} bytes, this one has ${length}`);
}
