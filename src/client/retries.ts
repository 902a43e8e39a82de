/**
 * All that time does to requests, by one timer for all of them: deadlines, the pause before a request is sent again,
 * and requests that their gateway still has although their shard went to another one. The timer runs while requests
 * have not settled.
 *
 * It says when; what is sent, and what callers are told, is the dispatcher's.
 */
import { times } from '../base/times.ts';
import type { Timer } from '../env/clock.ts';
import { backoffMs } from '../rpc/backoff.ts';
import type { Gateways } from './gateways.ts';
import type { Link, LinkWorld } from './link.ts';
import type { PendingRequests } from './pending.ts';
import type { Request } from './request.ts';

export interface RetryEvents {
  /** The deadline of the request has passed. It settles. */
  expired(request: Request): void;
  /** The delay of the request is over. */
  due(request: Request): void;
  /** The request should also go to `link`: its shard's new owner is there. */
  moved(request: Request, link: Link): void;
  /** End of a tick. */
  ticked(): void;
}

export class Retries {
  readonly #world: LinkWorld;
  readonly #pending: PendingRequests;
  readonly #gateways: Gateways;
  readonly #events: RetryEvents;
  #delayed: Request[] = [];
  #timer: Timer | undefined = undefined;
  #mapChangedMs = 0;
  /** Requests in the old owners' hands have not been looked at since the map changed. */
  #mapIsNew = false;

  constructor(world: LinkWorld, pending: PendingRequests, gateways: Gateways, events: RetryEvents) {
    this.#world = world;
    this.#pending = pending;
    this.#gateways = gateways;
    this.#events = events;
  }

  /** A request was added to those that have not settled. */
  arm(): void {
    if (this.#timer !== undefined || this.#pending.count === 0) return;
    this.#timer = this.#world.clock.after(times.clientTickMs, () => {
      this.#timer = undefined;
      this.#tick(this.#world.clock.now());
      this.arm();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Puts the request off, for longer each time it was sent. */
  delay(request: Request): void {
    const { clock, random } = this.#world;
    request.state = 'delayed';
    request.retryAtMs = clock.now() + backoffMs(random, request.sends, times.clientRetryMinMs, times.clientRetryMaxMs);
    this.#delayed.push(request);
  }

  mapChanged(): void {
    this.#mapChangedMs = this.#world.clock.now();
    this.#mapIsNew = true;
  }

  #tick(nowMs: number): void {
    this.#pending.forEach((request) => {
      if (request.deadlineMs <= nowMs) this.#events.expired(request);
    });
    const delayed = this.#delayed;
    this.#delayed = [];
    for (const request of delayed) {
      if (request.state !== 'delayed') continue;
      if (request.retryAtMs <= nowMs) this.#events.due(request);
      else this.#delayed.push(request);
    }
    this.#followMoves(nowMs);
    this.#events.ticked();
  }

  /**
   * Requests still in the hands of a gateway that lost their shard a while ago go to the new owner too: a hung owner
   * answers nothing.
   */
  #followMoves(nowMs: number): void {
    if (!this.#mapIsNew || nowMs < this.#mapChangedMs + times.movedGraceMs) return;
    this.#mapIsNew = false;
    const gateways = this.#gateways;
    this.#pending.forEach((request) => {
      const owner = gateways.ownerOf(request.slot);
      const moved =
        request.state === 'sent' && request.mapRevision < gateways.revision && request.link?.gateway !== owner;
      if (!moved) return;
      if (!gateways.isReady(owner)) {
        this.#mapIsNew = true; // It may be reached at a later tick.
        return;
      }
      const link = gateways.choose(request, false);
      if (link !== undefined) this.#events.moved(request, link);
    });
  }
}
