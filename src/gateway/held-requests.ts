/**
 * Requests whose shard has no owner in reach at the moment (a start, a take-over, a gateway that is being started
 * again). They are tried again every few milliseconds, in the order they came, until they can be passed on or their
 * time is over, after `times.requestHeldMs`.
 *
 * It does not know where a request could go, nor whom to tell: the router does.
 */
import { limits } from '../base/limits.ts';
import { times } from '../base/times.ts';
import type { Failure } from '../core/shard/requests.ts';
import type { Clock, Timer } from '../env/clock.ts';

/** Limits of what waits. */
export interface HeldLimits {
  readonly requestsMax: number;
  readonly bytesMax: number;
}

export const heldLimits: HeldLimits = {
  requestsMax: limits.requestsHeldMax,
  bytesMax: limits.requestsHeldBytesMax,
};

interface Held<Request> {
  readonly request: Request;
  readonly bytes: number;
  readonly untilMs: number;
}

export interface HeldEvents<Request> {
  /** Passes the request on; gives why that can't be done yet, if it can't. */
  attempt(request: Request): Failure | undefined;
  /** Its time is over, or the gateway closes. */
  refuse(request: Request, failure: Failure): void;
}

export class HeldRequests<Request> {
  readonly #clock: Clock;
  readonly #events: HeldEvents<Request>;
  readonly #limits: HeldLimits;
  #held: Held<Request>[] = [];
  #bytes = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, events: HeldEvents<Request>, bounds: HeldLimits = heldLimits) {
    this.#limits = bounds;
    this.#clock = clock;
    this.#events = events;
  }

  get count(): number {
    return this.#held.length;
  }

  /** `bytes`: memory that the request keeps alive, its whole piece of the socket's. False: too much is held. */
  hold(request: Request, bytes: number): boolean {
    const { requestsMax, bytesMax } = this.#limits;
    if (this.#held.length >= requestsMax || this.#bytes + bytes > bytesMax) return false;
    this.#bytes += bytes;
    this.#held.push({ request, bytes, untilMs: this.#clock.now() + times.requestHeldMs });
    this.#timer ??= this.#clock.after(times.heldRetryMs, () => this.#retry());
    return true;
  }

  #retry(): void {
    this.#timer = undefined;
    const held = this.#held;
    this.#held = [];
    const nowMs = this.#clock.now();
    for (const one of held) {
      const failure = this.#events.attempt(one.request);
      if (failure !== undefined && nowMs < one.untilMs) {
        this.#held.push(one);
        continue;
      }
      this.#bytes -= one.bytes;
      if (failure !== undefined) this.#events.refuse(one.request, failure);
    }
    if (this.#held.length > 0) this.#timer ??= this.#clock.after(times.heldRetryMs, () => this.#retry());
  }

  /** Refuses all with `failure`. */
  close(failure: Failure): void {
    this.#timer?.cancel();
    for (const { request } of this.#held.splice(0)) this.#events.refuse(request, failure);
  }
}
