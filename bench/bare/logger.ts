/** A logger of the bare prototype: writes each batch at its position in the file, one fdatasync for what a turn brought, then answers. */
import { fdatasync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { FrameHandler } from './frames.ts';
import { FrameWriter, headerBytes, kinds, listen, regionBytes, serve } from './frames.ts';

interface Waiting {
  readonly writer: FrameWriter;
  readonly number: number;
}

class Log {
  readonly #file: number;
  #waiting: Waiting[] = [];
  #isSyncing = false;

  constructor(name: string, shards: number) {
    this.#file = openSync(name, 'w');
    const zeros = Buffer.alloc(regionBytes);
    for (let shard = 0; shard < shards; shard++) writeSync(this.#file, zeros);
    fdatasyncSync(this.#file);
  }

  append(bytes: Buffer, start: number, end: number, position: number, waiting: Waiting): void {
    writeSync(this.#file, bytes, start, end - start, position);
    if (this.#waiting.push(waiting) === 1 && !this.#isSyncing) setImmediate(() => this.#sync());
  }

  #sync(): void {
    const covered = this.#waiting;
    this.#waiting = [];
    this.#isSyncing = true;
    fdatasync(this.#file, (error) => {
      if (error !== null) throw error;
      this.#isSyncing = false;
      for (const { writer, number } of covered) writer.frame(kinds.append, number, 0);
      if (this.#waiting.length > 0) this.#sync();
    });
  }
}

class Connection implements FrameHandler {
  readonly #writer: FrameWriter;
  readonly #log: Log;
  readonly #shard: number;
  #writePointer = 0;

  constructor(writer: FrameWriter, log: Log, shard: number) {
    this.#writer = writer;
    this.#log = log;
    this.#shard = shard;
  }

  onFrame(kind: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (kind === kinds.confirm) this.#writer.frame(kinds.confirm, number, 0);
    else this.#append(number, bytes, start - headerBytes, end, bytes.readUInt32LE(start));
  }

  onPause(): void {
    // Nothing is kept from one frame to the next.
  }

  #append(number: number, bytes: Buffer, start: number, end: number, position: number): void {
    if (position !== this.#writePointer && position !== 0) throw new Error(`an append at ${position} instead of ${this.#writePointer}`);
    this.#writePointer = position + end - start;
    this.#log.append(bytes, start, end, this.#shard * regionBytes + position, { writer: this.#writer, number });
  }
}

const [name = '', shards = ''] = process.argv.slice(2);
const log = new Log(name, Number(shards));
let connections = 0;
serve(await listen((socket) => new Connection(new FrameWriter(socket), log, connections++)));
