/**
 * The log file of a program that `up` runs: opened for each of its processes, and kept bounded all the time. Nothing
 * that goes wrong with it may end or keep down what writes there: it is said once, and tried again.
 *
 * It owns the file's size. It does not own what is in it, nor who reads the trouble.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Clock } from '../clock.ts';

/** A log beyond this is kept as `<name>.log.1`, in place of the one before, and begins again. */
export const logBytesMax = 8 * 1024 * 1024;
/**
 * ... and beyond this it begins again although it could not be kept (no space, no rights): it must not fill the disk.
 */
export const logBytesLost = 4 * logBytesMax;

const trimEveryMs = 10_000;

/** Trouble: something else is wrong than before; undefined: all is well again. */
type OnTrouble = (trouble: string | undefined) => void;

export class LogFile {
  readonly #file: string;
  readonly #clock: Clock;
  #onTrouble: OnTrouble = () => undefined;
  #openTrouble: string | undefined;
  #trimTrouble: string | undefined;
  #told: string | undefined;
  #isTrimming = false;

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  /**
   * Calls `use` with a descriptor to append to, which is closed afterwards; undefined when the file can't be opened.
   * From the first call on the file is kept bounded. Returns, and throws, what `use` does.
   */
  use<T>(onTrouble: OnTrouble, use: (descriptor: number | undefined) => T): T {
    this.#onTrouble = onTrouble;
    if (!this.#isTrimming) this.#trimRegularly();
    const descriptor = this.#open();
    this.#tell();
    try {
      return use(descriptor);
    } finally {
      if (descriptor !== undefined) fs.closeSync(descriptor);
    }
  }

  #open(): number | undefined {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = fs.constants;
    try {
      // Where a pipe has the log's name the call must not wait for its reader.
      const descriptor = fs.openSync(this.#file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o666);
      this.#openTrouble = undefined;
      return descriptor;
    } catch (cause) {
      this.#openTrouble = `${this.#file} cannot be opened: ${textOf(cause)}`;
      return undefined;
    }
  }

  #trimRegularly(): void {
    this.#isTrimming = true;
    void this.#trim().then(() => this.#clock.after(trimEveryMs, () => this.#trimRegularly()));
  }

  async #trim(): Promise<void> {
    try {
      await trimLog(this.#file);
      this.#trimTrouble = undefined;
    } catch (cause) {
      this.#trimTrouble = `${this.#file} cannot be kept as ${path.basename(this.#file)}.1: ${textOf(cause)}`;
    }
    this.#tell();
  }

  #tell(): void {
    const trouble = this.#openTrouble ?? this.#trimTrouble;
    if (trouble === this.#told) return;
    this.#told = trouble;
    this.#onTrouble(trouble);
  }
}

/**
 * Keeps a log file bounded. It is copied and emptied, not renamed: its process goes on writing to the end of the same
 * file. @throws the system's reason when it could not be kept; it is emptied all the same when it is very long
 */
export async function trimLog(file: string): Promise<void> {
  const size = await sizeOf(file);
  if (size <= logBytesMax) return;
  try {
    await keep(file, size);
  } catch (cause) {
    if (size > logBytesLost) await fs.promises.truncate(file, 0);
    throw cause;
  }
  await fs.promises.truncate(file, 0);
}

async function keep(file: string, size: number): Promise<void> {
  // A copy that fails half way would take the last space from who needs it more.
  const { bavail, bsize } = await fs.promises.statfs(path.dirname(file));
  const freed = await sizeOf(`${file}.1`);
  if (bavail * bsize + freed < size) throw new Error('there is no space for a copy');
  await fs.promises.copyFile(file, `${file}.1`);
}

/** 0 when there is no such file, or something else of that name. */
async function sizeOf(file: string): Promise<number> {
  try {
    const status = await fs.promises.stat(file);
    return status.isFile() ? status.size : 0;
  } catch {
    return 0;
  }
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
