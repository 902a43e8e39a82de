/**
 * Sends requests to the gateways that own their keys, and sends them again when that fails, until they settle: all of
 * them do, by their deadline at the latest.
 *
 *            session, window and a gateway are there            answer
 *   waiting ------------------------------------------> sent ----------------> settled
 *      ^                                                 |  failure that may pass
 *      +---------------- delayed <-----------------------+
 *
 * Safety (S15): every copy of a write carries the same client id and number, so that it is applied at most once. What a
 * write that failed says of its outcome: `not-applied` only if no copy was sent, or every copy was refused with the
 * outcome `not-applied`.
 */
import { KvError } from '../base/errors.ts';
import { times } from '../base/times.ts';
import type { ShardMap, Welcome } from '../codec/client-protocol.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { Timer } from '../env/clock.ts';
import type { RpcFailure } from '../rpc/channel-types.ts';
import type { Settings } from './arguments.ts';
import { errorOf, malformed, mayPass, withOutcome } from './failures.ts';
import { Gateways } from './gateways.ts';
import type { Link, LinkOwner, LinkWorld } from './link.ts';
import { PendingRequests, WaitingQueue } from './pending.ts';
import type { AbortListener, Request } from './request.ts';
import { Session } from './session.ts';
import type { ClientStatus } from './types.ts';

/** Keeps the process alive while requests wait: timers and connections under way do not. */
export interface ProcessHold {
  hold(): void;
  release(): void;
}

export class Dispatcher implements LinkOwner, AbortListener {
  readonly #world: LinkWorld;
  readonly #settings: Settings;
  readonly #processHold: ProcessHold;
  readonly #gateways: Gateways;
  readonly #pending: PendingRequests;
  readonly #waitingReads = new WaitingQueue();
  readonly #waitingWrites = new WaitingQueue();
  #delayed: Request[] = [];
  #timer: Timer | undefined = undefined;
  #state: ClientStatus['state'] = 'open';
  #resends = 0;
  #mapChangedMs = 0;
  /** Requests in the old owners' hands have not been looked at since. */
  #mapIsNew = false;

  #welcome: Welcome | undefined = undefined;
  #session: Session | undefined = undefined;
  /** The link that was asked for a client id. */
  #asked: Link | undefined = undefined;
  #askAtMs = 0;

  /** The request that is being written: so that all share one function. */
  #writing: Request | undefined = undefined;
  readonly #write = (out: MessageWriter): void => this.#writing?.write(out);
  #whenChanged: (() => void)[] = [];
  #lastLinkError: KvError | undefined = undefined;
  /** By address: it answered, and refused. */
  readonly #refusedFor = new Map<string, KvError>();

  constructor(world: LinkWorld, endpoints: readonly string[], settings: Settings, processHold: ProcessHold) {
    this.#world = world;
    this.#settings = settings;
    this.#processHold = processHold;
    this.#gateways = new Gateways(world, this, endpoints, settings.connectionsPerGateway, settings.direct);
    this.#pending = new PendingRequests(settings.requestsMax, settings.bytesMax);
  }

  // --- opening and closing
  // -------------------------------------------------------------------------------------------------

  /** Resolves at the first welcome. @throws KvError `unavailable`, or what every endpoint refuses for. */
  async open(endpoints: readonly string[]): Promise<void> {
    const { clock } = this.#world;
    const deadlineMs = clock.now() + this.#settings.connectTimeoutMs;
    this.#processHold.hold();
    const timer = clock.after(this.#settings.connectTimeoutMs, () => this.#changed());
    this.#gateways.open();
    try {
      while (this.#welcome === undefined) {
        const refusal = endpoints.every((address) => this.#refusedFor.has(address)) ? this.#lastLinkError : undefined;
        if (refusal !== undefined) throw refusal;
        if (clock.now() >= deadlineMs || this.#state !== 'open') throw this.#notConnected(endpoints);
        await this.#change();
      }
    } catch (error) {
      await this.close(0);
      throw error;
    } finally {
      timer.cancel();
      this.#processHold.release();
    }
  }

  /** Waits for what has not settled, up to `graceMs`; what is left then fails with `closed`. Idempotent. */
  async close(graceMs: number): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    const deadlineMs = this.#world.clock.now() + graceMs;
    const timer = this.#world.clock.after(graceMs, () => this.#changed());
    while (this.#pending.count > 0 && this.#world.clock.now() < deadlineMs) await this.#change();
    timer.cancel();
    this.#pending.forEach((request) => this.#fail(request, new KvError('closed', 'the client was closed')));
    this.#state = 'closed';
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#closeLinks();
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
      state: this.#state,
      cluster: this.cluster,
      client: this.#session?.client ?? 0,
      mapRevision: this.#gateways.revision,
      shards: map?.shards ?? 0,
      owners: map?.owners ?? [],
      gateways: this.#gateways.describe(),
      requests: this.#pending.count,
      requestBytes: this.#pending.bytes,
      resends: this.#resends,
    };
  }

  // --- the way of a request
  // ------------------------------------------------------------------------------------------------

  /** The request settles, whatever happens. */
  submit(request: Request, timeoutMs: number, signal: AbortSignal | undefined): void {
    const refusal =
      this.#state === 'open' ? this.#pending.refusal(request) : new KvError('closed', 'the client is closed');
    if (refusal !== undefined) {
      request.reject(refusal);
      return;
    }
    if (signal !== undefined) {
      if (signal.aborted) {
        request.reject(new KvError('aborted', 'the request was aborted before it was sent', { cause: signal.reason }));
        return;
      }
      request.listen(signal, this);
    }
    request.timeoutMs = timeoutMs;
    request.deadlineMs = this.#world.clock.now() + timeoutMs;
    if (this.#pending.count === 0) this.#processHold.hold();
    this.#pending.add(request);
    this.#arm();
    this.#enqueue(request);
  }

  aborted(request: Request): void {
    const sent = request.copiesOut > 0 ? 'after it was sent' : 'before it was sent';
    this.#fail(
      request,
      new KvError('aborted', `the ${request.method} was aborted ${sent}`, { cause: request.abortReason }),
    );
  }

  #enqueue(request: Request): void {
    request.state = 'waiting';
    const queue = request.isWrite ? this.#waitingWrites : this.#waitingReads;
    if (queue.peek() === undefined && this.#trySend(request)) return;
    queue.push(request);
  }

  /** Sends what waits, as far as it can be sent. */
  #pump(): void {
    for (const queue of [this.#waitingReads, this.#waitingWrites]) {
      for (let request = queue.peek(); request !== undefined && this.#trySend(request); request = queue.peek())
        queue.shift();
    }
  }

  #trySend(request: Request): boolean {
    const link = this.#gateways.choose(request, request.lastError !== undefined && request.sends % 2 === 1);
    if (link === undefined) return false;
    if (request.isWrite && request.session === undefined) {
      const session = this.#session;
      if (session === undefined || !session.hasRoom) return false;
      request.session = session;
      request.number = session.take();
    }
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
    // Of older copies only a refused condition counts: it is the result of the write (S15), whichever copy it answers.
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
      this.#delay(request);
      return;
    }
    // At once, but not on the link that is going down in this turn: `down`, or the next tick, sends what waits.
    request.state = 'waiting';
    (request.isWrite ? this.#waitingWrites : this.#waitingReads).push(request);
  }

  /** The only copy was refused because its shard has forgotten this client, so it may go out under another id (S15). */
  #forgotten(request: Request): void {
    request.session?.settle(request.number);
    if (request.session === this.#session) this.#session = undefined;
    request.session = undefined;
    request.sends = 0;
    request.copiesOut = 0;
    this.#delay(request);
  }

  #delay(request: Request): void {
    const { clock, random } = this.#world;
    const delayMs = Math.min(times.clientRetryMaxMs, times.clientRetryMinMs * 2 ** Math.min(request.sends, 10));
    request.state = 'delayed';
    request.retryAtMs = clock.now() + delayMs * (0.5 + random.uint32() / 2 ** 33);
    this.#delayed.push(request);
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
    request.unlisten();
    this.#pending.remove(request);
    if (request.session !== undefined) {
      request.session.settle(request.number);
      if (this.#waitingWrites.peek() !== undefined) this.#pump();
    }
    if (this.#pending.count > 0) return;
    this.#processHold.release();
    this.#changed();
  }

  // --- time
  // ----------------------------------------------------------------------------------------------------------------

  #arm(): void {
    if (this.#timer !== undefined || this.#pending.count === 0) return;
    this.#timer = this.#world.clock.after(times.clientTickMs, () => {
      this.#timer = undefined;
      this.#tick(this.#world.clock.now());
      this.#arm();
    });
  }

  #tick(nowMs: number): void {
    this.#pending.forEach((request) => {
      if (request.deadlineMs <= nowMs) this.#expire(request);
    });
    const delayed = this.#delayed;
    this.#delayed = [];
    for (const request of delayed) {
      if (request.state !== 'delayed') continue;
      if (request.retryAtMs <= nowMs) this.#enqueue(request);
      else this.#delayed.push(request);
    }
    this.#followMoves(nowMs);
    this.#askForClientId();
    this.#pump();
  }

  #expire(request: Request): void {
    const { lastError } = request;
    const last = lastError ?? (request.sends === 0 ? (this.#lastLinkError ?? this.#waitedFor()) : undefined);
    const why = last === undefined ? '' : ` (${last.code}: ${last.message})`;
    this.#fail(
      request,
      new KvError('timeout', `the ${request.method} got no answer within ${request.timeoutMs} ms${why}`, {
        cause: last,
      }),
    );
  }

  #waitedFor(): KvError {
    return this.#session === undefined
      ? new KvError('unavailable', 'no gateway has given this client an id yet')
      : new KvError('window-exceeded', `${this.#session.window} writes of this client had to be settled first`);
  }

  /**
   * Requests still in the hands of a gateway that lost their shard a while ago go to the new owner too: a hung owner
   * answers nothing.
   */
  #followMoves(nowMs: number): void {
    if (!this.#mapIsNew || nowMs < this.#mapChangedMs + times.movedGraceMs) return;
    this.#mapIsNew = false;
    this.#pending.forEach((request) => {
      const owner = this.#gateways.ownerOf(request.slot);
      const moved =
        request.state === 'sent' && request.mapRevision < this.#gateways.revision && request.link?.gateway !== owner;
      if (!moved) return;
      if (!this.#gateways.isReady(owner)) {
        this.#mapIsNew = true; // It may be reached at a later tick.
        return;
      }
      const link = this.#gateways.choose(request, false);
      if (link !== undefined) this.#send(request, link);
    });
  }

  // --- what links tell
  // -----------------------------------------------------------------------------------------------------

  wantsClientId(link: Link): boolean {
    const nowMs = this.#world.clock.now();
    if (this.#session !== undefined || this.#asked !== undefined || nowMs < this.#askAtMs) return false;
    this.#asked = link;
    this.#askAtMs = nowMs + times.clientIdRetryMs;
    return true;
  }

  welcomed(link: Link, welcome: Welcome): void {
    if (this.#welcome !== undefined && this.#welcome.cluster !== welcome.cluster) {
      throw new KvError(
        'wrong-cluster',
        `${link.address} belongs to cluster ${welcome.cluster}, this client to ${this.#welcome.cluster}`,
      );
    }
    this.#welcome ??= welcome;
    this.#refusedFor.delete(link.address);
    this.#lastLinkError = undefined;
    if (this.#asked === link) this.#asked = undefined;
    if (welcome.client > 0 && this.#session === undefined)
      this.#session = new Session(welcome.client, welcome.clientWindow);
    this.#gateways.refresh();
    this.#learn(welcome.map);
    this.#changed();
    this.#pump();
  }

  clientIdRefused(link: Link): void {
    if (this.#asked === link) this.#asked = undefined;
  }

  mapChanged(_link: Link, map: ShardMap): void {
    this.#learn(map);
    this.#pump();
  }

  down(link: Link, error: KvError): void {
    if (this.#asked === link) this.#asked = undefined;
    this.#lastLinkError = error;
    if (error.code === 'connection-lost' || error.code === 'timeout') this.#refusedFor.delete(link.address);
    else this.#refusedFor.set(link.address, error);
    this.#gateways.refresh();
    this.#pending.forEach((request) => {
      if (request.state === 'sent' && request.link === link) {
        this.#failed(request, new KvError('connection-lost', error.message, { outcome: 'unknown' }));
      }
    });
    this.#changed();
    this.#pump();
  }

  #learn(map: ShardMap): void {
    if (!this.#gateways.learn(map)) return;
    this.#mapChangedMs = this.#world.clock.now();
    this.#mapIsNew = true;
  }

  /** When there is none, or the cluster has forgotten it: at most every `clientIdRetryMs`. */
  #askForClientId(): void {
    const link = this.#gateways.anyReady;
    if (link !== undefined && this.wantsClientId(link)) link.greet(true);
  }

  // --- waiting for a change
  // ------------------------------------------------------------------------------------------------

  #change(): Promise<void> {
    return new Promise((resolve) => this.#whenChanged.push(resolve));
  }

  #changed(): void {
    const waiting = this.#whenChanged;
    if (waiting.length === 0) return;
    this.#whenChanged = [];
    for (const resolve of waiting) resolve();
  }

  #notConnected(endpoints: readonly string[]): KvError {
    const last = this.#lastLinkError;
    const why = last === undefined ? '' : `: ${last.message}`;
    return new KvError('unavailable', `no gateway answered at ${endpoints.join(', ')}${why}`, { cause: last });
  }

  async #closeLinks(): Promise<void> {
    let timer: Timer | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = this.#world.clock.after(times.closeChannelMs, resolve);
    });
    await Promise.race([this.#gateways.close(), tooLong]);
    timer?.cancel();
  }
}
