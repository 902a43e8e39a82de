/**
 * When `up` stops: at the first signal that asks for it, or when npm, which started it, is gone. A second one of the
 * same name kills (Ctrl-C twice); different ones in a row are how init systems and terminals ask.
 */
import type { CliIo, StopSignal } from './io.ts';

/** A second signal within this time is the same one, told twice (npm passes on what the terminal sent to all). */
const sameSignalMs = 500;

export class StopRequest {
  /** Resolves when it is to stop. */
  readonly requested: Promise<void>;
  readonly #ends: readonly (() => void)[];
  #isRequested = false;
  #kill: () => void = () => undefined;

  constructor(io: CliIo) {
    let resolveRequest: () => void = () => undefined;
    this.requested = new Promise((resolve) => {
      resolveRequest = resolve;
    });
    const request = (): void => {
      this.#isRequested = true;
      resolveRequest();
    };
    const firstAt = new Map<StopSignal, number>();
    const onSignal = (name: StopSignal): void => {
      const now = io.environment.clock.now();
      const at = firstAt.get(name);
      if (at === undefined) firstAt.set(name, now);
      // Each terminal and shell that closes says SIGHUP: nobody means to kill by that.
      else if (now - at > sameSignalMs && name !== 'SIGHUP') this.#kill();
      request();
    };
    this.#ends = [io.onSignal(onSignal), io.onParentGone(request)];
  }

  get isRequested(): boolean {
    return this.#isRequested;
  }

  /** From now on `kill` is what the second signal does. */
  onKill(kill: () => void): void {
    this.#kill = kill;
  }

  /** No longer listens. */
  end(): void {
    for (const end of this.#ends) end();
  }
}
