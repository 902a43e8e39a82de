/**
 * Other processes of the machine, as far as one may know them: who keeps a file locked, and whether it is stopped.
 */

export interface LockHolder {
  readonly pid: number;
  /**
   * Time at which the process began, in the system's own unit: with the pid it names one process for ever, also when
   * pids are used again.
   */
  readonly startTime: string;
  /** Stopped by a signal (SIGSTOP, Ctrl-Z): it does nothing until somebody continues it. */
  readonly stopped: boolean;
}

export interface Processes {
  /**
   * Processes other than this one that hold an exclusive lock on a part of one of `files`, from the system's own table
   * of locks. Empty where the system has no such table. Synchronous: called by a thread that waits for such a lock.
   */
  exclusiveHolders(files: readonly string[]): readonly LockHolder[];
  /**
   * Ends `holder` (SIGKILL) if it is still the same process, still stopped, and still holds an exclusive lock on one of
   * `files`. Returns whether the signal was sent.
   */
  endStopped(holder: LockHolder, files: readonly string[]): boolean;
}
