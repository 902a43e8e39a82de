/**
 * Space kept beside the coordinator's file for the day when the file system is full: a file of zeros that is given up
 * when SQLite finds no space. So a shard can still be claimed, and reads go on, on a full disk. All processes of the
 * machine share it: whoever finds it missing makes it again, and whoever needs it removes it.
 */
const spareBytes = 2 * 1024 * 1024;
/** Pause between two looks whether it is there. */
const lookEveryMs = 60_000;

/** Files, as a thread without an event loop sees them (env/real/thread.ts). */
export interface ThreadFiles {
  readonly fileExists: (path: string) => boolean;
  readonly makeZeros: (path: string, length: number) => boolean;
  readonly removeFile: (path: string) => void;
}

export class SpareSpace {
  readonly #files: ThreadFiles;
  readonly #path: string;
  #lookAtMs = 0;

  /** `file`: the coordinator's. */
  constructor(file: string, files: ThreadFiles) {
    this.#files = files;
    this.#path = `${file}-spare`;
  }

  /** Makes the file when it is missing, if there is space for it. */
  keep(nowMs: number): void {
    if (nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + lookEveryMs;
    if (!this.#files.fileExists(this.#path)) this.#files.makeZeros(this.#path, spareBytes);
  }

  /** Gives the space up. False: there was none. */
  giveUp(nowMs: number): boolean {
    this.#lookAtMs = nowMs + lookEveryMs;
    if (!this.#files.fileExists(this.#path)) return false;
    this.#files.removeFile(this.#path);
    return true;
  }
}
