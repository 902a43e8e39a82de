/**
 * A process that is stopped (SIGSTOP, Ctrl-Z) while it holds the database's lock would stop everybody for as long as it
 * likes. Whoever waits ends it. That is safe: SQLite rolls its transaction back, it never answered for it, and a member
 * that is killed restarts and claims new epochs (S2); to the rest of the cluster it is a crash, which may happen at any
 * moment anyway. It hits nobody else: the holder comes from the kernel's table of locks, is known by pid and start
 * time, must be seen stopped and holding in every look for a whole second, and is looked at once more right before the
 * signal. A holder that runs, however slowly (a disk that hangs), is never ended: then the waiting requests fail at
 * their deadline.
 */
import type { LockHolder, Processes } from '../../env/processes.ts';

export const stoppedHolderLimits = { lookEveryMs: 100, stoppedMsMin: 1_000 } as const;

export class StoppedHolderWatch {
  readonly #processes: Processes;
  readonly #files: readonly string[];
  readonly #onEnded: (holder: LockHolder) => void;
  #suspects = new Map<string, { readonly holder: LockHolder; readonly since: number }>();
  #lookAt: number | undefined;

  constructor(processes: Processes, files: readonly string[], onEnded: (holder: LockHolder) => void) {
    this.#processes = processes;
    this.#files = files;
    this.#onEnded = onEnded;
  }

  /** The lock was free, or is held by a process of this machine that gets on: forget what was seen. */
  free(): void {
    this.#lookAt = undefined;
    if (this.#suspects.size > 0) this.#suspects = new Map();
  }

  /**
   * The lock is held by somebody, at `nowMs` (monotonic). Looks only now and then: a look costs a fraction of a
   * millisecond.
   */
  busy(nowMs: number): void {
    this.#lookAt ??= nowMs + stoppedHolderLimits.lookEveryMs;
    if (nowMs < this.#lookAt) return;
    this.#lookAt = nowMs + stoppedHolderLimits.lookEveryMs;
    const stopped = this.#processes.exclusiveHolders(this.#files).filter((holder) => holder.stopped);
    const suspects = new Map<string, { readonly holder: LockHolder; readonly since: number }>();
    for (const holder of stopped) {
      const name = `${holder.pid} ${holder.startTime}`;
      const since = this.#suspects.get(name)?.since ?? nowMs;
      suspects.set(name, { holder, since });
      if (nowMs - since < stoppedHolderLimits.stoppedMsMin) continue;
      if (this.#processes.endStopped(holder, this.#files)) this.#onEnded(holder);
    }
    this.#suspects = suspects;
  }
}
