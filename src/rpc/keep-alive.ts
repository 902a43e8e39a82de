/**
 * Pings over a channel on which the other side owes answers, so that one whose work takes long is told apart from one
 * that is gone: the first answers pings, the second is silent and its connection is closed (channel-watch.ts). Not for
 * ever: when nothing but pings was answered for `patienceMs`, silence may end the connection all the same.
 *
 * It owns the timer. It does not own the connection, nor what a ping is.
 */
import type { Clock, Timer } from '../env/clock.ts';
import type { RpcChannel } from './channel-types.ts';

export interface KeepAliveOptions {
  readonly clock: Clock;
  /** Pause between two looks, shorter than the silence that ends the connection. */
  readonly periodMs: number;
  readonly patienceMs: number;
  /** The channel that is up now. */
  readonly channel: () => RpcChannel | undefined;
  /** Asks something that is answered at once; `done` is called when it was. */
  readonly ping: (done: () => void) => void;
}

export class KeepAlive {
  readonly #options: KeepAliveOptions;
  #timer: Timer | undefined;
  #channel: RpcChannel | undefined;
  #isPinging = false;
  /** Pings on this channel that were answered. */
  #pings = 0;
  /** Other answers, and when the last of them had come. */
  #answers = 0;
  #answeredMs = 0;

  constructor(options: KeepAliveOptions) {
    this.#options = options;
    this.#arm();
  }

  #arm(): void {
    this.#timer = this.#options.clock.after(this.#options.periodMs, () => {
      this.#look();
      this.#arm();
    });
  }

  close(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const { clock, patienceMs } = this.#options;
    const channel = this.#options.channel();
    const isNew = channel !== this.#channel;
    if (isNew) {
      this.#channel = channel;
      this.#isPinging = false;
      this.#pings = 0;
    }
    if (channel === undefined) return;
    const answers = channel.answersReceived - this.#pings;
    if (isNew || channel.requestsInFlight === 0 || answers > this.#answers) this.#answeredMs = clock.now();
    this.#answers = answers;
    if (channel.requestsInFlight === 0 || this.#isPinging || clock.now() - this.#answeredMs > patienceMs) return;
    this.#isPinging = true;
    this.#options.ping(() => {
      if (this.#channel !== channel) return;
      this.#isPinging = false;
      this.#pings += 1;
    });
  }
}
