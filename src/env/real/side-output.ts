/**
 * Standard output or error of a process that serves. What it writes there is on the side: nothing that happens to it
 * may end or stall the process.
 *
 *  - Its file is full, its disk broken, its reader gone: the lines are lost and counted, and the count is written
 *    before the next line that gets through, at the latest `retryMs` after writing works again.
 *  - Its reader takes nothing (a pipe that nobody reads, Ctrl-S on a terminal): lines wait, up to `queuedBytesMax`;
 *    what comes then is lost and counted.
 *
 * Streams of Node can do neither: after its first error a stream is destroyed for good, and its queue has no limit. One
 * write is under way at a time, outside of the event loop. A pipe or terminal is opened anew where the system allows
 * it, so that a write that finds it full returns at once, and the setting is not that of others who share it.
 *
 * It owns the descriptor's queue and the count of what was lost. It does not own what lines say.
 */
import * as fs from 'node:fs';
import * as tty from 'node:tty';
import type { Clock, Timer } from '../clock.ts';
import { systemCodeOf } from '../files.ts';

export const sideOutputLimits = {
  /** Bytes that wait for a reader. */
  queuedBytesMax: 1024 * 1024,
  /** Time between two attempts on a full pipe, ms. */
  fullRetryMs: 50,
  /** Time after which a lost line's count is tried again when no other line comes, ms. */
  retryMs: 2_000,
  /** Time that `flush`, so the end of the process, waits for a reader, ms. */
  flushMs: 500,
} as const;

export interface SideOutputOptions {
  /** 1 or 2. */
  readonly descriptor: number;
  readonly clock: Clock;
  /** The line that says that `count` lines before it were lost, newline included. */
  readonly lostLine: (count: number) => string;
}

interface Item {
  readonly bytes: Uint8Array;
  readonly lines: number;
  /** Lines between the item before and this one that found no place. */
  readonly lost: number;
}

export class SideOutput {
  readonly isTerminal: boolean;
  readonly #clock: Clock;
  readonly #lostLine: (count: number) => string;
  readonly #descriptor: number;
  /** A write may wait for a reader, as long as that takes. */
  readonly #mayWait: boolean;
  #queue: Item[] = [];
  #queuedBytes = 0;
  /** Bytes of the first item that are written. */
  #offset = 0;
  #isWriting = false;
  /** Set while a full pipe is waited for. */
  #fullTimer: Timer | undefined;
  #lostTimer: Timer | undefined;
  /** Lines that could not be written since the last one that was. */
  #lost = 0;
  /** Lines that found no place behind the last item. */
  #dropped = 0;
  /** The last thing written was the beginning of a line whose rest is lost. */
  #isTorn = false;
  #onIdle: (() => void)[] = [];

  constructor(options: SideOutputOptions) {
    this.#clock = options.clock;
    this.#lostLine = options.lostLine;
    this.isTerminal = tty.isatty(options.descriptor);
    const own = ownDescriptor(options.descriptor, this.isTerminal);
    this.#descriptor = own ?? options.descriptor;
    this.#mayWait = own === undefined && !isFile(options.descriptor);
    process.once('exit', () => this.#writeNow());
  }

  get columns(): number {
    return this.isTerminal ? process.stdout.columns : 80;
  }

  write(text: string): void {
    this.writeBytes(Buffer.from(text));
  }

  writeBytes(bytes: Uint8Array): void {
    const lines = Math.max(1, newlines(bytes));
    if (this.#queuedBytes + bytes.length > sideOutputLimits.queuedBytesMax) this.#dropped += lines;
    else this.#push(bytes, lines);
    this.#pump();
  }

  /** Writes, and waits until this and all before it is written or lost, but `flushMs` at most. */
  async flush(chunk: string | Uint8Array = ''): Promise<void> {
    if (chunk.length > 0) this.writeBytes(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    if (this.#queue.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve);
      this.#clock.after(sideOutputLimits.flushMs, resolve);
    });
  }

  /** A write is under way in its thread. After `flush`: it hangs there. */
  get isStuck(): boolean {
    return this.#isWriting;
  }

  #push(bytes: Uint8Array, lines: number): void {
    this.#queue.push({ bytes, lines, lost: this.#dropped });
    this.#dropped = 0;
    this.#queuedBytes += bytes.length;
  }

  #pump(): void {
    if (this.#isWriting || this.#fullTimer !== undefined) return;
    const [item] = this.#queue;
    if (item === undefined) return;
    const head = this.#offset > 0 ? '' : this.#head(item);
    const bytes = Buffer.concat([Buffer.from(head), item.bytes.subarray(this.#offset)]);
    this.#isWriting = true;
    fs.write(this.#descriptor, bytes, (error, written) => {
      this.#isWriting = false;
      if (error !== null) this.#failed(item, systemCodeOf(error));
      else this.#wrote(item, written - (bytes.length - item.bytes.length + this.#offset));
      this.#pump();
    });
  }

  /** What comes before an item: the end of a torn line, and the count of what was lost. */
  #head(item: Item): string {
    const lost = this.#lost + item.lost;
    return (this.#isTorn ? '\n' : '') + (lost === 0 ? '' : this.#lostLine(lost));
  }

  /** `written`: bytes of the item, negative while its head is not whole. */
  #wrote(item: Item, written: number): void {
    if (written < 0) {
      // It is written again, whole, on a line of its own.
      this.#isTorn = true;
      return;
    }
    this.#lost = 0;
    this.#isTorn = false;
    this.#offset += written;
    if (this.#offset === item.bytes.length) this.#shift(item);
  }

  #failed(item: Item, code: string): void {
    if (code === 'EAGAIN') {
      this.#fullTimer = this.#clock.after(sideOutputLimits.fullRetryMs, () => {
        this.#fullTimer = undefined;
        this.#pump();
      });
      return;
    }
    this.#isTorn ||= this.#offset > 0;
    this.#lost += item.lines + item.lost;
    this.#shift(item);
  }

  #shift(item: Item): void {
    this.#queue.shift();
    this.#queuedBytes -= item.bytes.length;
    this.#offset = 0;
    if (this.#queue.length > 0) return;
    if (this.#lost + this.#dropped > 0) this.#tellLater();
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** Says what was lost although no other line comes: by an item that is nothing but its head. */
  #tellLater(): void {
    this.#lostTimer ??= this.#clock.after(sideOutputLimits.retryMs, () => {
      this.#lostTimer = undefined;
      if (this.#lost + this.#dropped > 0 && this.#queue.length === 0) this.#push(new Uint8Array(0), 0);
      this.#pump();
    });
  }

  /** The process ends: what waits is tried once, without waiting. */
  #writeNow(): void {
    // The first one, when it is under way, is finished by its thread; one after it could wait for ever in a pipe.
    if (this.#isWriting && this.#mayWait) return;
    const waiting = this.#isWriting ? this.#queue.slice(1) : this.#queue;
    const first = this.#isWriting ? 0 : this.#offset;
    this.#queue = [];
    try {
      for (const [index, { bytes }] of waiting.entries())
        fs.writeSync(this.#descriptor, index === 0 ? bytes.subarray(first) : bytes);
    } catch {
      // Nobody is left to tell.
    }
  }
}

/** A descriptor of the same pipe or terminal that never waits, if the system gives one. */
function ownDescriptor(descriptor: number, isTerminal: boolean): number | undefined {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
  try {
    if (!isTerminal && !fs.fstatSync(descriptor).isFIFO()) return undefined;
    return fs.openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    // No /proc, or a pipe of another user: a write may wait, in a thread of its own.
    return undefined;
  }
}

function isFile(descriptor: number): boolean {
  try {
    return fs.fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}

function newlines(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === 10) count += 1;
  return count;
}
