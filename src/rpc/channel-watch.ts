/**
 * Sees that a channel makes progress, with one timer for all there is to wait for:
 *
 *  - requests of ours wait, nothing at all was received for `progressTimeoutMs`, and none of what still waits to be
 *    sent was taken: a large request over a slow network goes on;
 *  - no complete message came within `idleFrameTimeoutMs` of opening;
 *  - a message is unfinished and grew by less than `frameProgressBytes` in `idleFrameTimeoutMs`: a large one over a
 *    slow network goes on, one that trickles byte by byte ends in bounded time, as its length is bounded;
 *  - output waits and the other side took nothing for the shorter of the two.
 *
 * While reading is paused by ourselves, silence is no fault of the other side; that its output is stuck then still
 * counts.
 *
 * It owns the timer and what it knows of progress. It does not own the connection: it says that it stalled, the channel
 * closes it.
 */
import { times } from '../base/times.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { RpcOptions } from './channel-types.ts';

export const frameProgressBytes = 64 * 1024;

/** Questions of the watch to its channel. */
export interface Watched {
  requestsWaiting(): boolean;
  inputPaused(): boolean;
  /** Bytes held of an unfinished message. */
  unfinishedBytes(): number;
  /** Output was written that the network has not taken. */
  outputWaiting(): boolean;
  /** Bytes of output that the network has taken, since the beginning. */
  outputTaken(): number;
  onStalled(reason: string): void;
}

const never = Number.POSITIVE_INFINITY;

export class ChannelWatch {
  readonly #clock: Clock;
  readonly #watched: Watched;
  readonly #progressMs: number;
  readonly #frameMs: number;
  readonly #outputMs: number;
  #timer: Timer | undefined;
  #timerAt = never;
  #closeTimer: Timer | undefined;
  #stopped = false;

  /** Time at which something was received last, or requests of ours began to wait, or went on to be sent. */
  #quietSince: number;
  /** Bytes that the connection had taken when that was looked at last. */
  #requestsTaken = 0;
  #firstMessageCame = false;
  /** Time since when a message is unfinished, or the first one awaited, and its bytes that were there then. */
  #frameSince: number;
  #frameBytes = 0;
  #outputSince = never;
  /** Bytes that the connection had taken then. */
  #outputTaken = 0;

  constructor(clock: Clock, options: RpcOptions, watched: Watched) {
    this.#clock = clock;
    this.#watched = watched;
    this.#progressMs = options.progressTimeoutMs;
    this.#frameMs = options.idleFrameTimeoutMs;
    this.#outputMs = Math.min(this.#progressMs, this.#frameMs);
    const now = clock.now();
    this.#quietSince = now;
    this.#frameSince = now;
    this.#arm(now + this.#frameMs);
  }

  /** Requests of ours wait that did not before. */
  requestsBegan(): void {
    this.#quietSince = this.#clock.now();
    this.#arm(this.#quietSince + this.#progressMs);
  }

  received(): void {
    this.#quietSince = this.#clock.now();
  }

  /** A complete message came. */
  messageReceived(): void {
    this.#firstMessageCame = true;
    this.#frameSince = never;
  }

  /** All that came was handled: `bytes` of an unfinished message are left. */
  unfinished(bytes: number): void {
    if (bytes === 0 || this.#frameSince !== never) return;
    this.#frameSince = this.#quietSince;
    this.#frameBytes = bytes;
    this.#arm(this.#frameSince + this.#frameMs);
  }

  /** The connection doesn't take output as fast as it is written. */
  outputBlocked(): void {
    if (this.#outputSince !== never) return;
    this.#outputSince = this.#clock.now();
    this.#outputTaken = this.#watched.outputTaken();
    this.#arm(this.#outputSince + this.#outputMs);
  }

  outputDrained(): void {
    this.#outputSince = never;
  }

  /**
   * The channel is closed and sends what waits: `destroy` is called when the other side takes nothing any more and does
   * not close.
   */
  closing(destroy: () => void): void {
    const taken = this.#watched.outputTaken();
    this.#closeTimer = this.#clock.after(Math.min(this.#outputMs, times.idleFrameTimeoutMs), () => {
      if (this.#watched.outputTaken() > taken) this.closing(destroy);
      else destroy();
    });
  }

  /** The channel is closed. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The connection is closed. */
  closed(): void {
    this.stop();
    this.#closeTimer?.cancel();
  }

  #arm(at: number): void {
    if (this.#stopped || at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.after(at - this.#clock.now(), () => this.#check());
  }

  #check(): void {
    this.#timerAt = never;
    const now = this.#clock.now();
    const reason = this.#stalled(now);
    if (reason !== undefined) return this.#watched.onStalled(reason);
    if (this.#watched.requestsWaiting()) this.#arm(this.#quietSince + this.#progressMs);
    this.#arm(this.#frameSince + this.#frameMs);
    this.#arm(this.#outputSince + this.#outputMs);
  }

  #stalled(now: number): string | undefined {
    const watched = this.#watched;
    if (watched.inputPaused()) {
      this.#quietSince = now;
      if (this.#frameSince !== never) this.#frameSince = now;
    }
    if (watched.requestsWaiting() && now >= this.#quietSince + this.#progressMs && !this.#requestsGoOn(now)) {
      return `nothing was received for ${this.#progressMs} ms while requests waited`;
    }
    if (now >= this.#frameSince + this.#frameMs && !this.#frameGrew(now)) {
      const what = this.#firstMessageCame ? 'a message was unfinished' : 'no complete message came';
      return `${what} for ${this.#frameMs} ms`;
    }
    if (now >= this.#outputSince + this.#outputMs && !this.#outputShrank(now)) {
      return `the other side took nothing of what it was sent for ${this.#outputMs} ms`;
    }
    return undefined;
  }

  /** What is taken without delay, by the memory of the systems between, is no sign of life: only what had to wait. */
  #requestsGoOn(now: number): boolean {
    const taken = this.#watched.outputTaken();
    const grew = taken > this.#requestsTaken;
    this.#requestsTaken = taken;
    if (!grew || !this.#watched.outputWaiting()) return false;
    this.#quietSince = now;
    return true;
  }

  #frameGrew(now: number): boolean {
    const bytes = this.#watched.unfinishedBytes();
    if (bytes < this.#frameBytes + frameProgressBytes) return false;
    this.#frameSince = now;
    this.#frameBytes = bytes;
    return true;
  }

  /** The count of bytes taken decides: what was written since the last look may hide what was taken. */
  #outputShrank(now: number): boolean {
    const bytes = this.#watched.outputTaken();
    if (bytes <= this.#outputTaken) return false;
    this.#outputSince = now;
    this.#outputTaken = bytes;
    return true;
  }
}
