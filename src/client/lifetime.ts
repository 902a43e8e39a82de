/**
 * Opening and closing of a client, and the process that must not end meanwhile.
 *
 *   open --close--> closing (requests may still settle, up to a grace) --> closed
 *
 * It knows why there is no connection, and waits for changes; links and requests are the dispatcher's.
 */
import { KvError } from '../base/errors.ts';
import { times } from '../base/times.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { Gateways } from './gateways.ts';
import type { Link } from './link.ts';
import type { PendingRequests } from './pending.ts';
import type { ClientStatus } from './types.ts';

/** Keeps the process alive while requests wait: timers and connections under way do not. */
export interface ProcessHold {
  hold(): void;
  release(): void;
}

export interface LifetimeParts {
  readonly clock: Clock;
  readonly processHold: ProcessHold;
  readonly gateways: Gateways;
  readonly pending: PendingRequests;
  /** A gateway has welcomed this client. */
  isWelcomed(): boolean;
  /** The client closes: requests that have not settled do now. */
  failAll(error: KvError): void;
}

export class Lifetime {
  readonly #parts: LifetimeParts;
  #state: ClientStatus['state'] = 'open';
  #whenChanged: (() => void)[] = [];
  #lastLinkError: KvError | undefined = undefined;
  /** By address: it answered, and refused. */
  readonly #refusedFor = new Map<string, KvError>();

  constructor(parts: LifetimeParts) {
    this.#parts = parts;
  }

  get state(): ClientStatus['state'] {
    return this.#state;
  }

  /** Why the last link that went down did so; undefined since one was welcomed. */
  get lastLinkError(): KvError | undefined {
    return this.#lastLinkError;
  }

  /**
   * Resolves at the first welcome.
   * @throws KvError `unavailable`, with a reason for each endpoint, or what every endpoint refuses for.
   */
  async open(endpoints: readonly string[], timeoutMs: number): Promise<void> {
    const { clock, processHold, gateways } = this.#parts;
    const deadlineMs = clock.now() + timeoutMs;
    processHold.hold();
    const timer = clock.after(timeoutMs, () => this.changed());
    gateways.open();
    try {
      while (!this.#parts.isWelcomed()) {
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
      processHold.release();
    }
  }

  /** Waits for what has not settled, up to `graceMs`; what is left then fails with `closed`. Idempotent. */
  async close(graceMs: number): Promise<void> {
    const { clock, pending } = this.#parts;
    if (this.#state === 'open') this.#state = 'closing';
    const deadlineMs = clock.now() + graceMs;
    const timer = clock.after(graceMs, () => this.changed());
    while (pending.count > 0 && clock.now() < deadlineMs) await this.#change();
    timer.cancel();
    this.#parts.failAll(new KvError('closed', 'the client was closed'));
    this.#state = 'closed';
    await this.#closeLinks();
  }

  /** A request was made where there was none. */
  requestsBegan(): void {
    this.#parts.processHold.hold();
  }

  /** The last request has settled. */
  requestsEnded(): void {
    this.#parts.processHold.release();
    this.changed();
  }

  linkUp(link: Link): void {
    this.#refusedFor.delete(link.address);
    this.#lastLinkError = undefined;
  }

  linkDown(link: Link, error: KvError): void {
    this.#lastLinkError = error;
    if (error.code === 'connection-lost' || error.code === 'timeout') this.#refusedFor.delete(link.address);
    else this.#refusedFor.set(link.address, error);
  }

  /** Something happened that `open` or `close` may wait for. */
  changed(): void {
    const waiting = this.#whenChanged;
    if (waiting.length === 0) return;
    this.#whenChanged = [];
    for (const resolve of waiting) resolve();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#whenChanged.push(resolve));
  }

  #notConnected(endpoints: readonly string[]): KvError {
    const reasons = new Map(this.#parts.gateways.describe().map(({ address, reason }) => [address, reason]));
    const why = endpoints.map((address) => {
      const reason = reasons.get(address) ?? 'no answer';
      return reason.startsWith(address) ? reason : `${address}: ${reason}`;
    });
    return new KvError('unavailable', `no gateway answered: ${why.join('; ')}`, { cause: this.#lastLinkError });
  }

  async #closeLinks(): Promise<void> {
    const { clock, gateways } = this.#parts;
    let timer: Timer | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = clock.after(times.closeChannelMs, resolve);
    });
    await Promise.race([gateways.close(), tooLong]);
    timer?.cancel();
  }
}
