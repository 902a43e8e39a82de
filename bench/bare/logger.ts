/**
 * A logger of the bare prototype: `node dist/bench/bare/logger.js REGION-BYTES SHARDS FILE`. Writes batches, syncs what
 * a turn brought, answers.
 */
import { fdatasync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { OnFrame } from './frames.ts';
import { FrameWriter, headerBytes, kinds, serve } from './frames.ts';

/**
 * A file with a region for each shard, full of zeros at first, used round and round: a sync never has to write how long
 * the file is.
 */
class Log {
  readonly #file: number;
  #unsynced: (() => void)[] = [];
  #isSyncing = false;

  constructor(name: string, regionBytes: number, shards: number) {
    this.#file = openSync(name, 'w');
    const zeros = Buffer.alloc(regionBytes);
    for (let shard = 0; shard < shards; shard++) writeSync(this.#file, zeros);
    fdatasyncSync(this.#file);
  }

  append(bytes: Buffer, start: number, end: number, position: number, onStable: () => void): void {
    writeSync(this.#file, bytes, start, end - start, position);
    if (this.#unsynced.push(onStable) === 1 && !this.#isSyncing) setImmediate(() => this.#sync());
  }

  /** What is written meanwhile waits for the next one. */
  #sync(): void {
    const covered = this.#unsynced;
    this.#unsynced = [];
    this.#isSyncing = true;
    fdatasync(this.#file, (error) => {
      if (error !== null) throw error;
      this.#isSyncing = false;
      for (const onStable of covered) onStable();
      if (this.#unsynced.length > 0) this.#sync();
    });
  }
}

function answer(log: Log, regionStart: number, gateway: FrameWriter): OnFrame {
  let writePointer = 0;
  return (kind, number, bytes, start, end) => {
    if (kind === kinds.confirm) return void gateway.frame(kinds.confirm, number, 0);
    const position = bytes.readUInt32LE(start);
    if (position !== writePointer && position !== 0)
      throw new Error(`an append at ${position} instead of ${writePointer}`);
    const batchStart = start - headerBytes;
    writePointer = position + end - batchStart;
    log.append(bytes, batchStart, end, regionStart + position, () => gateway.frame(kinds.append, number, 0));
  };
}

const [regionBytes, shards, name = ''] = process.argv.slice(2);
const log = new Log(name, Number(regionBytes), Number(shards));
let connections = 0;
serve((socket) => answer(log, connections++ * Number(regionBytes), new FrameWriter(socket)));
