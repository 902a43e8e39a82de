/**
 * A gateway of the bare prototype: `node dist/bench/bare/gateway.js REGION-BYTES LOGGER-PORT...`. The owner of one
 * shard, for one client.
 */
import type { Socket } from 'node:net';
import { connectTo, FrameWriter, headerBytes, kinds, memoryBytes, serve, writeHeader } from './frames.ts';

interface Entry {
  position: number;
  value: Buffer;
}

interface Read {
  readonly number: number;
  readonly entry: Entry;
}

/**
 * The `append` frame of a batch, in memory that is used again when all loggers have answered: none has anything left to
 * read from it.
 */
interface Batch {
  readonly bytes: Buffer;
  length: number;
}

const recordsStart = headerBytes + 4;
const newBatch = (): Batch => ({ bytes: Buffer.allocUnsafeSlow(memoryBytes), length: recordsStart });

class Gateway {
  readonly #index = new Map<string, Entry>();
  readonly #regionBytes: number;
  readonly #loggers: readonly Socket[];
  readonly #client: FrameWriter;
  #isTurnEnding = false;

  #forming = newBatch();
  #sent = newBatch();
  #batchAnswersDue = 0;
  #writePointer = 0;

  #reads: Read[] = [];
  #confirming: Read[] = [];
  readonly #confirm = Buffer.allocUnsafeSlow(headerBytes);
  #confirmAnswersDue = 0;

  constructor(bytes: number, loggers: readonly Socket[], client: FrameWriter) {
    this.#regionBytes = bytes;
    this.#loggers = loggers;
    this.#client = client;
  }

  onRequest(kind: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (kind === kinds.put) {
      const { bytes: batch, length } = this.#forming;
      this.#forming.length += bytes.copy(batch, length, start - headerBytes, end);
    } else {
      const entry = this.#index.get(bytes.toString('latin1', start, end));
      if (entry === undefined) throw new Error('a get of a key that was never put');
      this.#reads.push({ number, entry });
    }
    this.#atEndOfTurn();
  }

  /** Of a logger. One batch and one confirmation are in flight, so that the kind says it all. */
  onAnswer(kind: number): void {
    if (kind === kinds.append && --this.#batchAnswersDue === 0) this.#commit();
    if (kind === kinds.confirm && --this.#confirmAnswersDue === 0) this.#answerReads();
  }

  #atEndOfTurn(): void {
    if (this.#isTurnEnding) return;
    this.#isTurnEnding = true;
    setImmediate(() => {
      this.#isTurnEnding = false;
      if (this.#batchAnswersDue === 0 && this.#forming.length > recordsStart) this.#append();
      if (this.#confirmAnswersDue === 0 && this.#reads.length > 0) this.#askConfirmation();
    });
  }

  #append(): void {
    const { bytes, length } = this.#forming;
    [this.#forming, this.#sent] = [this.#sent, this.#forming];
    if (this.#writePointer + length > this.#regionBytes) this.#writePointer = 0;
    writeHeader(bytes, 0, kinds.append, 0, length);
    bytes.writeUInt32LE(this.#writePointer, headerBytes);
    this.#batchAnswersDue = this.#loggers.length;
    for (const logger of this.#loggers) logger.write(bytes.subarray(0, length));
  }

  #commit(): void {
    const { bytes, length } = this.#sent;
    for (let start = recordsStart; start < length; ) {
      const next = start + bytes.readUInt32LE(start);
      const keyStart = start + headerBytes + 2;
      const keyEnd = keyStart + bytes.readUInt16LE(keyStart - 2);
      this.#learn(bytes.toString('latin1', keyStart, keyEnd), bytes, keyEnd, next);
      const body = this.#client.frame(kinds.put, bytes.readUInt32LE(start + 5), 4);
      this.#client.bytes.writeUInt32LE(this.#writePointer, body);
      start = next;
    }
    this.#writePointer += length;
    this.#sent.length = recordsStart;
    this.#atEndOfTurn();
  }

  /** A value takes the place of the former one if it has its length. */
  #learn(key: string, bytes: Buffer, start: number, end: number): void {
    const entry = this.#index.get(key);
    if (entry?.value.length === end - start) {
      bytes.copy(entry.value, 0, start, end);
      entry.position = this.#writePointer;
    } else {
      this.#index.set(key, { position: this.#writePointer, value: Buffer.from(bytes.subarray(start, end)) });
    }
  }

  #askConfirmation(): void {
    this.#confirming = this.#reads;
    this.#reads = [];
    writeHeader(this.#confirm, 0, kinds.confirm, 0, headerBytes);
    this.#confirmAnswersDue = this.#loggers.length;
    for (const logger of this.#loggers) logger.write(this.#confirm);
  }

  #answerReads(): void {
    for (const { number, entry } of this.#confirming) {
      const body = this.#client.frame(kinds.get, number, entry.value.length);
      entry.value.copy(this.#client.bytes, body);
    }
    this.#atEndOfTurn();
  }
}

const [regionBytes, ...ports] = process.argv.slice(2).map(Number);
let gateway: Gateway | undefined;
const loggers = await Promise.all(ports.map((port) => connectTo(port, (kind) => gateway?.onAnswer(kind))));
serve((socket) => {
  const served = new Gateway(regionBytes ?? 0, loggers, new FrameWriter(socket));
  gateway = served;
  return (kind, number, bytes, start, end) => served.onRequest(kind, number, bytes, start, end);
});
