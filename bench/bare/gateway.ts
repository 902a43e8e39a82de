/** A gateway of the bare prototype: the owner of one shard for one client, with one batch and one confirmation in flight. */
import type { Socket } from 'node:net';
import { type FrameHandler, FrameWriter, connectTo, headerBytes, kinds, listen, regionBytes, serve, writeHeader } from './frames.ts';

interface Entry {
  position: number;
  value: Buffer;
}

interface Read {
  readonly number: number;
  readonly entry: Entry;
}

const recordsStart = headerBytes + 4;
const batchBytes = 1024 * 1024;

/** Memory that is used again when all loggers have answered: then none has anything left to read from it. */
class Batch {
  bytes = Buffer.allocUnsafeSlow(batchBytes);
  length = recordsStart;

  add(bytes: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * length);
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    bytes.copy(this.bytes, this.length, start, end);
    this.length = length;
  }
}

class Gateway implements FrameHandler {
  readonly #index = new Map<string, Entry>();
  readonly #client: FrameWriter;
  readonly #loggers: readonly Socket[];
  #isTurnEnding = false;

  #forming = new Batch();
  #sent = new Batch();
  #batchNumber = 0;
  #batchAnswersDue = 0;
  #writePointer = 0;
  /** Puts that lie one behind the other in what was read last: copied at once. */
  #runStart = 0;
  #runEnd = 0;

  #reads: Read[] = [];
  #confirming: Read[] = [];
  readonly #confirm = Buffer.allocUnsafeSlow(headerBytes);
  #confirmNumber = 0;
  #confirmAnswersDue = 0;

  constructor(client: FrameWriter, loggers: readonly Socket[]) {
    this.#client = client;
    this.#loggers = loggers;
  }

  onFrame(kind: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (kind === kinds.put) {
      if (this.#runEnd !== start - headerBytes) {
        this.#endRun(bytes);
        this.#runStart = start - headerBytes;
      }
      this.#runEnd = end;
    } else {
      const entry = this.#index.get(bytes.toString('latin1', start, end));
      if (entry === undefined) throw new Error('a get of a key that was never put');
      this.#reads.push({ number, entry });
    }
  }

  onPause(bytes: Buffer): void {
    this.#endRun(bytes);
    this.#atEndOfTurn();
  }

  onAnswer(kind: number, number: number): void {
    if (kind === kinds.append) {
      if (number !== this.#batchNumber) throw new Error('an answer to another batch');
      if (--this.#batchAnswersDue === 0) this.#commit();
    } else {
      if (number !== this.#confirmNumber) throw new Error('an answer to another confirmation');
      if (--this.#confirmAnswersDue === 0) this.#answerReads();
    }
  }

  #endRun(bytes: Buffer): void {
    if (this.#runEnd > this.#runStart) this.#forming.add(bytes, this.#runStart, this.#runEnd);
    this.#runStart = 0;
    this.#runEnd = 0;
  }

  #atEndOfTurn(): void {
    if (this.#isTurnEnding) return;
    this.#isTurnEnding = true;
    setImmediate(() => {
      this.#isTurnEnding = false;
      if (this.#batchAnswersDue === 0 && this.#forming.length > recordsStart) this.#sendBatch();
      if (this.#confirmAnswersDue === 0 && this.#reads.length > 0) this.#sendConfirm();
    });
  }

  #sendBatch(): void {
    const batch = this.#forming;
    this.#forming = this.#sent;
    this.#sent = batch;
    if (this.#writePointer + batch.length > regionBytes) this.#writePointer = 0;
    writeHeader(batch.bytes, 0, kinds.append, ++this.#batchNumber, batch.length);
    batch.bytes.writeUInt32LE(this.#writePointer, headerBytes);
    const bytes = batch.bytes.subarray(0, batch.length);
    for (const logger of this.#loggers) logger.write(bytes);
    this.#batchAnswersDue = this.#loggers.length;
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

  /** A value takes the place of the former one if that fits. */
  #learn(key: string, bytes: Buffer, start: number, end: number): void {
    const entry = this.#index.get(key);
    if (entry?.value.length === end - start) {
      bytes.copy(entry.value, 0, start, end);
      entry.position = this.#writePointer;
    } else {
      this.#index.set(key, { position: this.#writePointer, value: Buffer.from(bytes.subarray(start, end)) });
    }
  }

  #sendConfirm(): void {
    this.#confirming = this.#reads;
    this.#reads = [];
    writeHeader(this.#confirm, 0, kinds.confirm, ++this.#confirmNumber, headerBytes);
    for (const logger of this.#loggers) logger.write(this.#confirm);
    this.#confirmAnswersDue = this.#loggers.length;
  }

  #answerReads(): void {
    for (const { number, entry } of this.#confirming) {
      const body = this.#client.frame(kinds.get, number, entry.value.length);
      entry.value.copy(this.#client.bytes, body);
    }
    this.#atEndOfTurn();
  }
}

const ports = process.argv.slice(2).map(Number);
let gateway: Gateway | undefined;
const answers: FrameHandler = { onFrame: (kind, number) => gateway?.onAnswer(kind, number), onPause: () => undefined };
const loggers = await Promise.all(ports.map((port) => connectTo(port, answers)));
serve(await listen((socket) => (gateway = new Gateway(new FrameWriter(socket), loggers))));
