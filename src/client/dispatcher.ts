/**
 * Sends requests to the gateways that own their keys, and sends them again when that fails, until they settle: all of
 * them do, by their deadline at the latest.
 *
 *            client id, window and a gateway are there          answer
 *   waiting ------------------------------------------> sent ----------------> settled
 *      ^                                                 |  failure that may pass
 *      +---------------- delayed <-----------------------+
 *
 * Safety (S15): every copy of a write carries the same client id and number, so that it is applied at most once. What a
 * write that failed says of its outcome: `not-applied` only if no copy was sent, or every copy was refused with the
 * outcome `not-applied`.
 *
 * What time does to requests stands in retries.ts, who numbers writes in write-identity.ts, opening and closing in
 * lifetime.ts, the choice of a link in gateways.ts.
 */
import { KvError } from '../base/errors.ts';
import { shardId } from '../base/ids.ts';
import type { ShardMap, Welcome } from '../codec/client-protocol.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { Clock } from '../env/clock.ts';
import type { RpcFailure } from '../rpc/channel-types.ts';
import { AbortSignals } from './abort-signals.ts';
import type { Settings } from './arguments.ts';
import { errorOf, malformed, mayPass, withOutcome } from './failures.ts';
import { Gateways } from './gateways.ts';
import type { ProcessHold } from './lifetime.ts';
import { Lifetime } from './lifetime.ts';
import type { Link, LinkOwner, LinkWorld } from './link.ts';
import { PendingRequests, WaitingQueue } from './pending.ts';
import type { Request } from './request.ts';
import { Retries } from './retries.ts';
import type { AbortSignalLike, ClientStatus } from './types.ts';
import { WaitingWrites } from './waiting-writes.ts';
import { WriteIdentity } from './write-identity.ts';

export class Dispatcher implements LinkOwner {
  readonly #clock: Clock;
  readonly #connectTimeoutMs: number;
  readonly #gateways: Gateways;
  readonly #pending: PendingRequests;
  readonly #identity: WriteIdentity;
  readonly #retries: Retries;
  readonly #lifetime: Lifetime;
  readonly #signals = new AbortSignals((request, reason) => this.#aborted(request, reason));
  readonly #waitingReads = new WaitingQueue();
  readonly #waitingWrites = new WaitingWrites();
  #welcome: Welcome | undefined = undefined;
  #resends = 0;

  /** The request that is being written: so that all share one function. */
  #writing: Request | undefined = undefined;
  readonly #trySending = (request: Request): boolean => this.#trySend(request);
  readonly #write = (out: MessageWriter): void => this.#writing?.write(out);

  constructor(world: LinkWorld, endpoints: readonly string[], settings: Settings, processHold: ProcessHold) {
    const { clock } = world;
    this.#clock = clock;
    this.#connectTimeoutMs = settings.connectTimeoutMs;
    this.#gateways = new Gateways(world, this, endpoints, settings.connectionsPerGateway, settings.direct);
    this.#pending = new PendingRequests(settings.requestsMax, settings.bytesMax);
    this.#identity = new WriteIdentity(clock);
    this.#retries = new Retries(world, this.#pending, this.#gateways, {
      expired: (request) => this.#expire(request),
      due: (request) => this.#enqueue(request),
      moved: (request, link) => this.#send(request, link),
      ticked: () => {
        this.#askForClientId();
        this.#pump();
      },
    });
    this.#lifetime = new Lifetime({
      clock,
      processHold,
      gateways: this.#gateways,
      pending: this.#pending,
      isWelcomed: () => this.#welcome !== undefined,
      failAll: (error) => {
        this.#pending.forEach((request) => this.#fail(request, error));
        this.#retries.stop();
      },
    });
  }

  /** Resolves at the first welcome. @throws KvError `unavailable`, or what every endpoint refuses for. */
  open(endpoints: readonly string[]): Promise<void> {
    return this.#lifetime.open(endpoints, this.#connectTimeoutMs);
  }

  /** Waits for what has not settled, up to `graceMs`; what is left then fails with `closed`. Idempotent. */
  close(graceMs: number): Promise<void> {
    return this.#lifetime.close(graceMs);
  }

  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  get cluster(): string {
    return this.#welcome?.cluster ?? '';
  }

  status(): ClientStatus {
    const map = this.#gateways.map;
    return {
      state: this.#lifetime.state,
      cluster: this.cluster,
      client: this.#identity.client,
      mapRevision: this.#gateways.revision,
      shards: map?.shards ?? 0,
      owners: map?.owners ?? [],
      gateways: this.#gateways.describe(),
      requests: this.#pending.count,
      requestBytes: this.#pending.bytes,
      resends: this.#resends,
    };
  }

  // --- the way of a request ------------------------------------------------------------------------------------------

  /** The request settles, whatever happens. */
  submit(request: Request, timeoutMs: number, signal: AbortSignalLike | undefined): void {
    const refusal =
      this.#lifetime.state === 'open' ? this.#pending.refusal(request) : new KvError('closed', 'the client is closed');
    if (refusal !== undefined) {
      request.reject(refusal);
      return;
    }
    if (signal !== undefined) {
      if (signal.aborted) {
        request.reject(new KvError('aborted', 'the request was aborted before it was sent', { cause: signal.reason }));
        return;
      }
      this.#signals.watch(signal, request);
    }
    request.timeoutMs = timeoutMs;
    request.deadlineMs = this.#clock.now() + timeoutMs;
    if (this.#pending.count === 0) this.#lifetime.requestsBegan();
    this.#pending.add(request);
    this.#retries.arm();
    this.#enqueue(request);
  }

  #aborted(request: Request, reason: unknown): void {
    const sent = request.copiesOut > 0 ? 'after it was sent' : 'before it was sent';
    this.#fail(request, new KvError('aborted', `the ${request.method} was aborted ${sent}`, { cause: reason }));
  }

  #enqueue(request: Request): void {
    request.state = 'waiting';
    const isFirst = request.isWrite
      ? this.#waitingWrites.isEmpty(this.#gateways.shardOf(request.slot))
      : this.#waitingReads.peek() === undefined;
    if (!isFirst || !this.#trySend(request)) this.#queue(request);
  }

  #queue(request: Request): void {
    if (request.isWrite) this.#waitingWrites.push(this.#gateways.shardOf(request.slot), request);
    else this.#waitingReads.push(request);
  }

  /** Sends what waits, as far as it can be sent. */
  #pump(): void {
    const reads = this.#waitingReads;
    for (let request = reads.peek(); request !== undefined && this.#trySend(request); request = reads.peek())
      reads.shift();
    this.#waitingWrites.pump(this.#trySending);
  }

  #trySend(request: Request): boolean {
    const link = this.#gateways.choose(request, request.lastError !== undefined && request.sends % 2 === 1);
    if (link === undefined) return false;
    if (request.isWrite && request.window === undefined && !this.#identity.number(request)) return false;
    this.#send(request, link);
    return true;
  }

  #send(request: Request, link: Link): void {
    const copy = ++request.sends;
    if (copy > 1) this.#resends++;
    request.state = 'sent';
    request.copiesOut++;
    request.link = link;
    request.mapRevision = this.#gateways.revision;
    this.#writing = request;
    link.request(request.method, this.#write, (failure, result) =>
      this.#answered(request, copy, failure, result, link),
    );
    this.#writing = undefined;
  }

  #answered(
    request: Request,
    copy: number,
    failure: RpcFailure | undefined,
    result: MessageReader | undefined,
    link: Link,
  ): void {
    if (request.state === 'settled') return;
    if (failure === undefined && result !== undefined) {
      this.#succeed(request, result, link);
      return;
    }
    const error = errorOf(failure, link.address);
    if (error.outcome === 'not-applied') request.copiesOut--;
    // A refused condition counts whichever copy it answers: it is the result of the write (S15). Nothing else that
    // older copies are told does.
    if ((copy === request.sends && request.state === 'sent') || error.code === 'condition-failed')
      this.#failed(request, error);
  }

  #succeed(request: Request, result: MessageReader, link: Link): void {
    try {
      request.resolveWith(result);
    } catch (cause) {
      const error = malformed(cause);
      this.#fail(request, error);
      link.fail(error);
      return;
    }
    this.#settle(request);
  }

  #failed(request: Request, error: KvError): void {
    if (error.code === 'client-forgotten' && request.sends === 1) {
      this.#forgotten(request);
      return;
    }
    if (!mayPass(error)) {
      this.#fail(request, error);
      return;
    }
    request.lastError = error;
    if (error.code !== 'connection-lost' || request.sends > 1) {
      this.#retries.delay(request);
      return;
    }
    // At once, but not on the link that is going down in this turn: `down`, or the next tick, sends what waits.
    request.state = 'waiting';
    this.#queue(request);
  }

  /** The only copy was refused because its shard has forgotten this client, so it may go out under another id (S15). */
  #forgotten(request: Request): void {
    this.#identity.forgotten(request);
    request.sends = 0;
    request.copiesOut = 0;
    this.#retries.delay(request);
  }

  /**
   * Rejects with the outcome that holds for all copies together. A refused condition is the result: nothing was
   * applied.
   */
  #fail(request: Request, error: KvError): void {
    const unknown = request.isWrite && request.copiesOut > 0 && error.code !== 'condition-failed';
    request.reject(withOutcome(error, unknown ? 'unknown' : 'not-applied'));
    this.#settle(request);
  }

  #settle(request: Request): void {
    request.state = 'settled';
    this.#signals.forget(request);
    this.#pending.remove(request);
    if (request.window !== undefined) {
      request.window.end(request.number);
      this.#waitingWrites.pumpShard(this.#gateways.shardOf(request.slot), this.#trySending);
    }
    if (this.#pending.count === 0) this.#lifetime.requestsEnded();
  }

  #expire(request: Request): void {
    const { lastError } = request;
    const last =
      lastError ?? (request.sends === 0 ? (this.#lifetime.lastLinkError ?? this.#identity.missing) : undefined);
    const why = last === undefined ? '' : ` (${last.code}: ${last.message})`;
    this.#fail(
      request,
      new KvError('timeout', `the ${request.method} got no answer within ${request.timeoutMs} ms${why}`, {
        cause: last,
      }),
    );
  }

  // --- what links tell -----------------------------------------------------------------------------------------------

  wantsClientId(link: Link): boolean {
    return this.#identity.shouldAsk(link);
  }

  welcomed(link: Link, welcome: Welcome): void {
    this.#welcome ??= welcome;
    this.#lifetime.linkUp(link);
    this.#identity.welcomed(link, welcome);
    this.#gateways.refresh();
    this.#learn(welcome.map);
    this.#lifetime.changed();
    this.#pump();
  }

  clientIdRefused(link: Link): void {
    this.#identity.answered(link);
  }

  mapChanged(_link: Link, map: ShardMap): void {
    this.#learn(map);
    this.#pump();
  }

  down(link: Link, error: KvError): void {
    this.#identity.answered(link);
    this.#lifetime.linkDown(link, error);
    this.#gateways.refresh();
    this.#pending.forEach((request) => {
      if (request.state === 'sent' && request.link === link) {
        this.#failed(request, new KvError('connection-lost', error.message, { outcome: 'unknown' }));
      }
    });
    this.#lifetime.changed();
    this.#pump();
  }

  #learn(map: ShardMap): void {
    // Nobody knew the shards of the writes that wait: they stand in one line.
    const waiting = this.#gateways.map === undefined ? this.#waitingWrites.takeAll(shardId(0)) : [];
    if (this.#gateways.learn(map)) this.#retries.mapChanged();
    for (const request of waiting) this.#queue(request);
  }

  /** When there is none, or the cluster has forgotten it. */
  #askForClientId(): void {
    const link = this.#gateways.anyReady;
    if (link !== undefined && this.#identity.shouldAsk(link)) link.askForClientId();
  }
}
