/**
 * Brings a request to the shard, here or at the gateway that owns it. Shared by all doors. While a shard has no owner
 * that can be reached, requests are held for a while instead of being refused at once (held-requests.ts).
 */
import { unreachable } from '../base/assert.ts';
import { limits } from '../base/limits.ts';
import type { ShardId } from '../base/ids.ts';
import { version } from '../base/ids.ts';
import { readError } from '../codec/client-protocol.ts';
import {
  readDeleteAnswer,
  readGetAnswer,
  readHasAnswer,
  readPutAnswer,
  writeDelete,
  writeGet,
  writeHas,
  writePut,
} from '../codec/client-requests.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import { MessageFormatError } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type {
  Failure,
  Outlet,
  ShardRead,
  ShardWrite,
  WriteOperation,
  WriteReply,
  WriteResult,
} from '../core/shard/requests.ts';
import type { Shard } from '../core/shard/shard.ts';
import { shardOfKey } from '../core/slots.ts';
import type { Clock } from '../env/clock.ts';
import type { RpcChannel, RpcFailure } from '../rpc/channel-types.ts';
import type { ForwardLimits } from './forward-budget.ts';
import { ForwardBudget } from './forward-budget.ts';
import type { HeldLimits } from './held-requests.ts';
import { HeldRequests } from './held-requests.ts';
import type { MetadataStore } from './metadata-store.ts';
import type { PeerLinks } from './peers/peer-links.ts';
import type { ReadBudget } from './shards/read-budget.ts';
import type { ShardRunner } from './shards/shard-runner.ts';

type ShardRequest = ShardWrite | ShardRead;

/** Where a request can go at this moment. */
type Route =
  | { readonly kind: 'here' }
  /** To the gateway that owns its shard. */
  | { readonly kind: 'at'; readonly channel: RpcChannel }
  | { readonly kind: 'nowhere'; readonly failure: Failure };

const here: Route = { kind: 'here' };

export interface RouterParts {
  readonly runner: Pick<ShardRunner, 'shardCount' | 'dispatch'> & {
    shard(shard: ShardId): Pick<Shard, 'role'> | undefined;
  };
  readonly store: Pick<MetadataStore, 'ownerOf'>;
  readonly peers: Pick<PeerLinks, 'channel'>;
  readonly budget: ReadBudget;
  /** Number of this gateway. */
  readonly self: number;
  readonly clock: Clock;
  /** Absent: the defaults. */
  readonly limits?: { readonly forwards: ForwardLimits; readonly held: HeldLimits };
}

export class Router {
  readonly #parts: RouterParts;
  readonly #held: HeldRequests<ShardRequest>;
  readonly #forwards: ForwardBudget;
  /** How often requests were forwarded in vain. */
  readonly #forwardings = new WeakMap<ShardRequest, number>();

  constructor(parts: RouterParts) {
    this.#parts = parts;
    this.#forwards = new ForwardBudget(parts.limits?.forwards);
    const events = { attempt: (request: ShardRequest) => this.#attempt(request, true), refuse };
    this.#held = new HeldRequests(parts.clock, events, parts.limits?.held);
  }

  /** `forward`: whether another gateway may be asked; not for what was forwarded already. */
  write(write: ShardWrite, forward: boolean): void {
    this.#bring(write, forward, write.source.length);
  }

  read(read: ShardRead, forward: boolean): void {
    this.#bring(read, forward, 0);
  }

  /** The shard went to another owner while the request waited here: it is brought there, if that is ours to do. */
  takesBack(request: ShardRequest, failure: Failure): boolean {
    if (!request.mayForward || failure.code !== 'not-owner' || failure.outcome !== 'not-applied') return false;
    if (request.isAnswered) return false;
    if (request.event === 'write') return this.#holdsAgain(request, failure, false);
    // What was looked up here is nothing to the next owner's answer.
    const read = request.renewed();
    this.#forwardings.set(read, this.#forwardings.get(request) ?? 0);
    if (!this.#holdsAgain(read, failure, false)) read.fail(failure);
    return true;
  }

  /** Requests that wait for an owner in reach. */
  get held(): number {
    return this.#held.count;
  }

  /** What is held is refused. */
  close(): void {
    this.#held.close(failed('unavailable', 'the gateway is closing'));
  }

  #bring(request: ShardRequest, forward: boolean, bytes: number): void {
    request.mayForward = forward;
    const failure = this.#attempt(request, forward);
    if (failure === undefined || (forward && this.#held.hold(request, bytes))) return;
    refuse(request, failure);
  }

  /** Gives why the request can't be passed on, if it can't. */
  #attempt(request: ShardRequest, forward: boolean): Failure | undefined {
    const { source, keyStart, keyLength } = request;
    const shard = shardOfKey(source, keyStart, keyLength, this.#parts.runner.shardCount);
    const isStale = request.event === 'read' && request.stale;
    const route = isStale ? this.#staleRoute(shard) : this.#route(shard, forward);
    switch (route.kind) {
      case 'here':
        this.#parts.runner.dispatch(shard, request);
        return undefined;
      case 'at':
        return request.event === 'write'
          ? this.#forwardWrite(route.channel, request)
          : this.#forwardRead(route.channel, request);
      case 'nowhere':
        return route.failure;
      default:
        return unreachable(route);
    }
  }

  /** Another gateway that takes nothing, or a connection that sends too much, must not use up this one's memory. */
  #forwardWrite(channel: RpcChannel, write: ShardWrite): Failure | undefined {
    const { outlet } = write.replyTo;
    const bytes = write.keyLength + write.wantedLength;
    if (!this.#forwards.takes(channel))
      return failed('overloaded', 'the gateway that owns the shard does not take what it is sent');
    if (!this.#forwards.tryWrite(outlet, bytes))
      return failed('overloaded', 'too many bytes of this connection are on their way to other gateways');
    forwardWrite(channel, write, (answer, isLost) => {
      this.#forwards.written(outlet, bytes);
      if (answer.kind === 'failed' && this.#holdsAgain(write, answer, isLost)) return;
      write.replyTo.written(write, answer);
    });
    return undefined;
  }

  #forwardRead(channel: RpcChannel, read: ShardRead): undefined {
    const { budget } = this.#parts;
    const { outlet } = read.replyTo;
    const forward = (): void => {
      if (!channel.isOpen) return refuse(read, failed('connection-lost', "the owner's connection went down"));
      forwardRead(channel, read, (failure, isLost) => {
        this.#forwards.read(outlet, read.value?.length ?? 0);
        if (failure === undefined) read.pass();
        else if (!this.#holdsAgain(read, failure, isLost)) read.fail(failure);
      });
    };
    const bytes = read.wantsValue ? this.#forwards.usualReadBytes(outlet) : 0;
    if (budget.tryBegin(read, bytes)) forward();
    else budget.wait(read, bytes, forward);
  }

  /**
   * The owner went away, or is none any more: the request goes to the next one. A write that may have arrived must be
   * numbered for that (S15), and is never told `not-applied` from then on. False: it is answered with the failure.
   */
  #holdsAgain(request: ShardRequest, failure: Failure, isLost: boolean): boolean {
    const isElsewhere = failure.code === 'not-owner' && failure.outcome === 'not-applied';
    if (!isLost && !isElsewhere) return false;
    const isWrite = request.event === 'write';
    if (isWrite && isLost && request.client === 0) return false;
    const times = (this.#forwardings.get(request) ?? 0) + 1;
    if (times > limits.forwardingsMax) return false;
    this.#forwardings.set(request, times);
    if (isWrite && failure.outcome === 'unknown') request.replyTo = new SentBefore(request.replyTo);
    if (!isWrite) request.count?.answered(request);
    return this.#held.hold(request, isWrite ? request.source.length : 0);
  }

  #route(shard: ShardId, forward: boolean): Route {
    const { runner, store, peers, self } = this.#parts;
    if (isServedBy(runner.shard(shard))) return here;
    const owner = store.ownerOf(shard);
    if (!forward) return nowhere({ ...failed('not-owner', `gateway ${owner} owns shard ${shard}`), owner });
    if (owner === -1 || owner === self) return nowhere(failed('unavailable', `shard ${shard} has no owner`));
    const channel = peers.channel(owner);
    if (channel !== undefined) return { kind: 'at', channel };
    return nowhere(failed('unavailable', `gateway ${owner}, which owns shard ${shard}, is not connected`));
  }

  /** Any gateway answers a stale read, from its own index. */
  #staleRoute(shard: ShardId): Route {
    if (this.#parts.runner.shard(shard) !== undefined) return here;
    return nowhere(failed('unavailable', `the index of shard ${shard} is being loaded`));
  }
}

function nowhere(failure: Failure): Route {
  return { kind: 'nowhere', failure };
}

function refuse(request: ShardRequest, failure: Failure): void {
  if (request.event === 'write') request.replyTo.written(request, failure);
  else request.fail(failure);
}

/** Also one that is being taken over: it queues what it is asked. */
function isServedBy(shard: Pick<Shard, 'role'> | undefined): boolean {
  return shard !== undefined && shard.role !== 'follower';
}

function failed(code: Failure['code'], message: string, outcome: Failure['outcome'] = 'not-applied'): Failure {
  return { kind: 'failed', code, message, outcome };
}

/**
 * Reply of a write that was sent to an owner which went away: that it was not applied nobody can say any more. A shard
 * that has forgotten its number may have applied it before: nobody may send it under another (S15).
 */
class SentBefore implements WriteReply {
  readonly #replyTo: WriteReply;

  constructor(replyTo: WriteReply) {
    this.#replyTo = replyTo;
  }

  get outlet(): Outlet | undefined {
    return this.#replyTo.outlet;
  }

  written(write: ShardWrite, result: WriteResult): void {
    if (result.kind !== 'failed') return this.#replyTo.written(write, result);
    const message = 'the owner that had the write went away, and the next one has forgotten its number';
    const told = result.code === 'client-forgotten' ? failed('connection-lost', message) : result;
    this.#replyTo.written(write, { ...told, outcome: 'unknown' });
  }
}

/** `isLost`: there is no answer. */
type OnForwarded<T> = (answer: T, isLost: boolean) => void;

function forwardWrite(channel: RpcChannel, write: ShardWrite, onAnswer: OnForwarded<WriteResult>): void {
  const { source, keyStart, keyLength, valueStart, wantedLength } = write;
  const keyEnd = keyStart + keyLength;
  const params =
    write.operation === 'put'
      ? (out: MessageWriter): void =>
          writePut(out, write, source, source, keyStart, keyEnd, valueStart, valueStart + wantedLength)
      : (out: MessageWriter): void => writeDelete(out, write, source, keyStart, keyEnd);
  channel.request(write.operation, params, (failure, result) => {
    onAnswer(writeAnswer(write.operation, failure, result), failure?.kind === 'lost');
  });
}

function writeAnswer(
  operation: WriteOperation,
  failure: RpcFailure | undefined,
  result: MessageReader | undefined,
): WriteResult {
  try {
    if (failure !== undefined || result === undefined) return writeFailure(failure);
    if (operation === 'put') return { kind: 'put', version: readPutAnswer(result) };
    const answer = { kind: 'deleted' as const, existed: false, version: version(0) };
    readDeleteAnswer(result, answer);
    return answer;
  } catch (error) {
    if (!(error instanceof MessageFormatError)) throw error;
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

function forwardRead(channel: RpcChannel, read: ShardRead, onAnswer: OnForwarded<Failure | undefined>): void {
  const { source, keyStart, keyLength, wantsValue } = read;
  const keyEnd = keyStart + keyLength;
  const params = (out: MessageWriter): void => {
    if (wantsValue) writeGet(out, false, source, keyStart, keyEnd);
    else writeHas(out, source, keyStart, keyEnd);
  };
  channel.request(wantsValue ? 'get' : 'has', params, (failure, result) => {
    onAnswer(readAnswer(read, failure, result), failure?.kind === 'lost');
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
    if (read.wantsValue) readGetAnswer(result, read);
    else readHasAnswer(result, read);
    return undefined;
  } catch (error) {
    if (!(error instanceof MessageFormatError)) throw error;
    return failed('protocol-error', `the owner's answer is malformed: ${error.message}`);
  }
}
