/**
 * Signals of the callers of a client: one listener on each, however many requests wait for it, since Node warns of more
 * than ten. What becomes of a request whose signal fires is the dispatcher's.
 */
import type { Request } from './request.ts';
import type { AbortSignalLike } from './types.ts';

export class AbortSignals {
  readonly #onAbort: (request: Request, reason: unknown) => void;
  readonly #groups = new Map<AbortSignalLike, Group>();

  /** `onAbort` settles the request; it is called once for each that is watched when its signal fires. */
  constructor(onAbort: (request: Request, reason: unknown) => void) {
    this.#onAbort = onAbort;
  }

  /** REQUIRES: the signal has not fired. */
  watch(signal: AbortSignalLike, request: Request): void {
    request.signal = signal;
    const known = this.#groups.get(signal);
    const group = known ?? new Group(signal, this.#onAbort);
    group.requests.add(request);
    if (known !== undefined) return;
    this.#groups.set(signal, group);
    signal.addEventListener('abort', group, { once: true });
  }

  /** The request has settled. Nothing happens when no signal is watched for it. */
  forget(request: Request): void {
    const { signal } = request;
    if (signal === undefined) return;
    request.signal = undefined;
    const group = this.#groups.get(signal);
    group?.requests.delete(request);
    if (group === undefined || group.requests.size > 0) return;
    this.#groups.delete(signal);
    signal.removeEventListener('abort', group);
  }
}

/** Requests of one signal. An EventListenerObject. */
class Group {
  readonly requests = new Set<Request>();
  readonly #signal: AbortSignalLike;
  readonly #onAbort: (request: Request, reason: unknown) => void;

  constructor(signal: AbortSignalLike, onAbort: (request: Request, reason: unknown) => void) {
    this.#signal = signal;
    this.#onAbort = onAbort;
  }

  handleEvent(): void {
    const reason: unknown = this.#signal.reason;
    for (const request of this.requests) this.#onAbort(request, reason);
  }
}
